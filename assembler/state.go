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
	numStates
)

var stateNames = [...]string{
	"UNKNOWN", "CLOSED", "LISTEN", "SYN_SENT", "SYN_RECEIVED", "ESTABLISHED",
	"FIN_WAIT1", "FIN_WAIT2", "CLOSE_WAIT", "CLOSING", "LAST_ACK", "TIME_WAIT",
}

func (s State) String() string { return stateNames[s] }

// Synchronized reports whether both sequence spaces are agreed (RFC 9293 3.3.2).
func (s State) Synchronized() bool { return s >= Established }

// event is something that a captured packet proves of one end.
type event uint8

const (
	onSYN       event = iota // it sent SYN
	onSYNACK                 // it sent SYN and ACK
	onHandshake              // it sent, or was sent, the ACK that completes the handshake
	onFIN                    // it sent FIN
	onFINAcked               // its FIN was acknowledged
	onPeerFIN                // it acknowledged its peer's FIN
	onReset                  // it sent, or took, a RST
	numEvents
)

// transitions says which state follows; where a pair is missing, the state
// stays. Each line has its reason.
var transitions = [...]struct {
	from State
	on   event
	to   State
	why  string
}{
	{Unknown, onSYN, SynSent, "an active open begins"},
	{Unknown, onSYNACK, SynReceived, "a listener answers"},
	{SynSent, onSYNACK, SynReceived, "both opened at once, and this end answers the other's SYN"},

	{Unknown, onHandshake, Established, "the capture began after the handshake"},
	{SynSent, onHandshake, Established, "it acknowledges the SYN-ACK"},
	{SynReceived, onHandshake, Established, "its SYN-ACK is acknowledged"},

	{Unknown, onFIN, FinWait1, "closes a connection whose beginning was not captured"},
	{SynReceived, onFIN, FinWait1, "closes before the handshake's ACK was seen"},
	{SynSent, onFIN, FinWait1, "sends FIN although no SYN-ACK was captured: one direction is missing"},
	{Established, onFIN, FinWait1, "the program closes first"},
	{CloseWait, onFIN, LastAck, "the program closes after the peer"},

	{FinWait1, onFINAcked, FinWait2, "its half is closed; the peer's is not"},
	{Closing, onFINAcked, TimeWait, "simultaneous close, completed"},
	{LastAck, onFINAcked, Closed, "passive close, completed"},

	{Unknown, onPeerFIN, CloseWait, "acknowledges a FIN in the middle of the capture"},
	{SynSent, onPeerFIN, CloseWait, "the peer closed at once; the SYN-ACK was not captured"},
	{SynReceived, onPeerFIN, CloseWait, "the peer closed at once"},
	{Established, onPeerFIN, CloseWait, "the peer is done; the program has yet to close"},
	{FinWait1, onPeerFIN, Closing, "FINs crossed"},
	{FinWait2, onPeerFIN, TimeWait, "active close, completed"},

	{Unknown, onReset, Closed, "a RST ends whatever was"},
	{SynSent, onReset, Closed, "refused"},
	{SynReceived, onReset, Closed, "the opener withdrew"},
	{Established, onReset, Closed, "aborted"},
	{FinWait1, onReset, Closed, "aborted while closing"},
	{FinWait2, onReset, Closed, "aborted while half closed"},
	{CloseWait, onReset, Closed, "aborted while half closed by the peer"},
	{Closing, onReset, Closed, "aborted while closing"},
	{LastAck, onReset, Closed, "aborted while closing"},
	{TimeWait, onReset, Closed, "TIME_WAIT cut short (RFC 1337 warns of it)"},
}

// nextState is transitions laid out for lookup; 0 (Unknown, which nothing
// leads to) keeps the state.
var nextState = func() (t [numStates][numEvents]State) {
	for _, tr := range transitions {
		t[tr.from][tr.on] = tr.to
	}
	return
}()

// move applies an event to the end's state.
func (e *End) move(on event) {
	if to := nextState[e.State][on]; to != Unknown {
		e.State = to
	}
}
