package generate

// Ending is how a generated connection ends.
type Ending uint8

const (
	CloseByClient   Ending = iota // FIN, ACK, FIN, ACK; the client first
	CloseByServer                 // ... the server first
	ThreeSegments                 // FIN, FIN+ACK, ACK by the client
	Simultaneous                  // FINs cross
	HalfClose                     // client's FIN, then more data of the server's, then its FIN
	AbortByClient                 // RST+ACK by the live socket, everything answered
	AbortByServer                 //
	Refused                       // SYN, RST+ACK
	NoAnswer                      // SYN at 0, 1, 3, 7 s and nothing
	LoneSYN                       // one SYN and nothing
	WriteAfterClose               // server's FIN, client's next request, RST
	Leak                          // client's FIN acknowledged, the server never closes
	LostState                     // request answered by a stateless RST
	Unanswered                    // request retransmitted with back-off, never acknowledged
	KeepAlive                     // probes unanswered, then the prober's RST+ACK
	numEndings
)

var endingNames = [numEndings]string{
	"close-by-client", "close-by-server", "three-segments", "simultaneous", "half-close", "abort-by-client",
	"abort-by-server", "refused", "no-answer", "lone-syn", "write-after-close", "leak", "lost-state", "unanswered", "keep-alive",
}

func (e Ending) String() string { return endingNames[e] }

// truths is what is true of each ending, by construction.
var truths = [numEndings]struct{ class, by string }{
	CloseByClient:   {"graceful", "client"},
	CloseByServer:   {"graceful", "server"},
	ThreeSegments:   {"graceful", "client"},
	Simultaneous:    {"graceful", "both"},
	HalfClose:       {"graceful", "client"},
	AbortByClient:   {"reset", "client"},
	AbortByServer:   {"reset", "server"},
	Refused:         {"reset", "server"},
	NoAnswer:        {"timed-out", "unknown"},
	LoneSYN:         {"timed-out", "unknown"},
	WriteAfterClose: {"reset", "client"},
	Leak:            {"half-open", "server"},
	LostState:       {"reset", "server"},
	Unanswered:      {"timed-out", "unknown"},
	KeepAlive:       {"timed-out", "unknown"},
}

// Healthy is a service that mostly works.
var Healthy = []Share{
	{CloseByClient, 50}, {CloseByServer, 25}, {ThreeSegments, 10}, {Simultaneous, 2}, {HalfClose, 3},
	{AbortByClient, 3}, {AbortByServer, 2}, {Refused, 1}, {NoAnswer, 1}, {WriteAfterClose, 1}, {Leak, 0.5},
	{LostState, 0.5}, {Unanswered, 0.5}, {KeepAlive, 0.5},
}

// Mixes are the captures that the speed of hangup is measured on.
var Mixes = []Mix{
	{Name: "web", Connections: 95_000, Concurrent: 20_000, Exchanges: 6, Request: 420, Response: 2700, Snaplen: 262144, Think: 4, IPv6: 0.1, Endings: Healthy, Seed: 1},
	{Name: "hdr", Connections: 615_000, Concurrent: 50_000, Exchanges: 7, Request: 420, Response: 1400, Snaplen: 96, Think: 4, IPv6: 0.1, Endings: Healthy, Seed: 2},
	{Name: "churn", Connections: 2_000_000, Concurrent: 100_000, Exchanges: 1, Request: 120, Response: 300, Snaplen: 262144, Think: 5, IPv6: 0.1, Endings: Healthy, Seed: 3},
	{Name: "syn", Connections: 5_000_000, Concurrent: 1000, Exchanges: 0, Snaplen: 262144, Endings: []Share{{LoneSYN, 1}}, Seed: 4},
}
