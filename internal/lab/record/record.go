// Package record holds what the laboratory writes beside its captures: the
// result of every call that the programs of a scenario made, and what the
// author of the scenario knows to be true. It has no dependency on the
// laboratory, so that tests anywhere can load recordings on any system.
package record

// Side names one of the two programs of a scenario, or who else can be the
// actor of a cause (the words of the report).
const (
	Client    = "client"
	Server    = "server"
	Both      = "both"
	Middlebox = "middlebox"
	Network   = "network"
	Unknown   = "unknown"
)

// Levels of a call.
const (
	Socket = "socket" // a method of net.Conn, net.Listener or net.Dialer
	App    = "app"    // net/http or crypto/tls, above the socket
)

// Phases of a call, as far as the scenario's probe knows them.
const (
	Before  = ""        // ordinary traffic, or no probe in this scenario
	Pending = "pending" // it was blocked in the kernel when the terminal event came
	After   = "after"   // begun after the terminal event had reached its socket
)

// Recording is one run of one scenario: the content of calls.json.
type Recording struct {
	Scenario    string  `json:"scenario"`    // unique, and the directory's name
	Family      string  `json:"family"`      // close, reset, dial, timeout, http, tls, ...
	Base        string  `json:"base"`        // the scenario without its variation
	Description string  `json:"description"` // what happens, in a sentence or two
	Probe       string  `json:"probe"`       // reader, writer, inread, inwrite, nobody, or ""
	Place       string  `json:"place"`       // topology and address family: v4, v6, routed4, lo4, any4, ...
	Go          string  `json:"go"`          // runtime.Version()
	Kernel      string  `json:"kernel"`      // uname -r
	Client      Host    `json:"client"`
	Server      Host    `json:"server"`
	Router      *Host   `json:"router,omitempty"`
	Events      []Event `json:"events"` // steps reached and what the network did, in order
	Calls       []Call  `json:"calls"`  // in order of their start
	Expect      Expect  `json:"expect"`

	Dir string `json:"-"` // where it was loaded from
}

// Host is one network namespace of the run.
type Host struct {
	Addrs   []string          `json:"addrs"`
	Capture string            `json:"capture,omitempty"` // file in the recording's directory; the two ends of lo share one
	Link    string            `json:"link,omitempty"`    // interface captured on: eth0, lo, any
	Filter  string            `json:"filter,omitempty"`  // tcpdump filter, when the scenario narrows the capture
	Snap    int               `json:"snap,omitempty"`    // snaplen, when the scenario cuts packets
	Sysctl  map[string]string `json:"sysctl,omitempty"`  // changed before the start
	State   string            `json:"state,omitempty"`   // of the process at the end: running, exited, killed
}

// Event is a synchronisation step or an action of the network.
type Event struct {
	Time int64  `json:"time"` // wall clock, ns since the epoch: the clock of the packets
	Who  string `json:"who"`  // client, server or network
	What string `json:"what"`
}

// Call is one call of a program.
type Call struct {
	Side     string   `json:"side"`
	Number   int      `json:"number"` // per side, from 1, in order of start
	Op       string   `json:"op"`     // dial, accept, read, write, closewrite, close, http.get, tls.handshake, ...
	Level    string   `json:"level"`
	Conn     int      `json:"conn,omitempty"` // per side, from 1; 0 when there is no connection (yet)
	Local    string   `json:"local,omitempty"`
	Remote   string   `json:"remote,omitempty"`
	Phase    string   `json:"phase,omitempty"`
	Asked    int      `json:"asked,omitempty"`    // bytes: buffer of a read, data of a write
	N        int      `json:"n"`                  // bytes moved
	Patience float64  `json:"patience,omitempty"` // seconds: the program's own deadline for this call, from its start
	Error    string   `json:"error"`              // token: nil, blocked, EOF, UnexpectedEOF, ErrClosed, DeadlineExceeded, Canceled, an errno, or other
	Text     string   `json:"text,omitempty"`
	Types    []string `json:"types,omitempty"` // of the chain of wrapped errors, outermost first
	Is       []string `json:"is,omitempty"`    // sentinels that errors.Is finds
	Timeout  bool     `json:"timeout,omitempty"`
	Note     string   `json:"note,omitempty"` // HTTP status and the like
	Start    int64    `json:"start"`          // wall clock, ns
	End      int64    `json:"end"`            // 0: had not returned when the recording ended (error is blocked), or its process died
}

// StillBlocked reports whether the call shows that the socket had nothing to
// say: it never returned, or only because of its own patience.
func (c Call) StillBlocked() bool {
	return c.Error == "blocked" || c.Patience > 0 && c.Error == "DeadlineExceeded"
}

// Expect is what the author of the scenario knows.
type Expect struct {
	Conns []Conn `json:"conns"` // in order of their first packets
	// OffWire says what happened that no packet shows ("" when the packets
	// tell it all): a cause or call result that rests on it can only be
	// reported as a condition.
	OffWire string `json:"off_wire,omitempty"`
	// Findings are the kinds of findings that every capture shows, NoFindings
	// those that none does; of others nothing is said.
	Findings   []string `json:"findings,omitempty"`
	NoFindings []string `json:"no_findings,omitempty"`
}

// Conn is the truth about one connection.
type Conn struct {
	Client   string   `json:"client,omitempty"` // address and port; empty when only the order is known
	Server   string   `json:"server,omitempty"`
	Class    string   `json:"class"`
	Cause    string   `json:"cause"`
	By       string   `json:"by"`
	Also     []string `json:"also,omitempty"` // causes that the packets do not exclude: allowed as verdict unless certain, or as alternatives
	AlsoBy   []string `json:"also_by,omitempty"`
	AlsoIn   []string `json:"also_class,omitempty"`
	FirstEnd string   `json:"first_end,omitempty"` // side of the first FIN or effective RST on the wire, none, or "" when not asked
	Flag     string   `json:"flag,omitempty"`      // FIN, RST or ICMP
	Views    []View   `json:"views,omitempty"`     // captures in which the truth looks different
}

// View overrides the truth for one capture: what can be said at best from
// that file alone. Empty fields are as in Conn; a view with nothing but Why
// means that the file does not show the connection at all.
type View struct {
	Capture string   `json:"capture"` // client, server or router
	Class   string   `json:"class,omitempty"`
	Cause   string   `json:"cause,omitempty"`
	By      string   `json:"by,omitempty"`
	Also    []string `json:"also,omitempty"`

	FirstEnd string `json:"first_end,omitempty"` // as in Conn
	Flag     string `json:"flag,omitempty"`
	Why      string `json:"why"`

	// Blind: what the programs' calls met is not on this wire, whatever came
	// of it, and so they are not compared.
	Blind bool `json:"blind,omitempty"`
}
