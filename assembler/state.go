package assembler

// State is a connection state of RFC 9293 3.3.2, as the packets imply it.
type State uint8

const (
	Unknown State = iota // the capture does not show enough
	Closed
	Listen
	SynSent
	SynReceived
	Established
	FinWait1
	FinWait2
	CloseWait
	Closing
	LastAck
	TimeWait
)

var stateNames = [...]string{
	"UNKNOWN", "CLOSED", "LISTEN", "SYN_SENT", "SYN_RECEIVED", "ESTABLISHED",
	"FIN_WAIT1", "FIN_WAIT2", "CLOSE_WAIT", "CLOSING", "LAST_ACK", "TIME_WAIT",
}

func (s State) String() string { return stateNames[s] }

// Synchronized reports whether both sequence spaces are agreed (RFC 9293 3.3.2).
func (s State) Synchronized() bool { return s >= Established }
