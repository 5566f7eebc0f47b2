package classify

import "fmt"

// saying is what a packet shows in a finding's proof.
type saying uint8

const (
	_ saying = iota
	saysSYN
	saysSYNAgain
	saysSYNACKAgain
	saysRefused
	saysICMP
	saysHandshake
	saysFIN
	saysFINAcked
	saysFINIdle
	saysFINAge
	saysLateFIN
	saysBareRST
	saysRST
	saysRSTIdle
	saysRSTUnacked
	saysRSTUnread
	saysRSTForged
	saysRSTOwnHost
	saysRequest
	saysLastBytes
	saysAfterIdle
	saysUnanswered
	saysLastTry
	saysLastHeard
	saysCrossing
	saysProbe
	saysBeat
	saysSurvived
	saysReuse
	saysZeroWindow
	saysWindowOpen
	saysRetransmits
	saysLost
	saysEarlyReply
	saysAnswerLate
	saysBackwards
	saysFirst
	saysOtherFamily
	numSayings
)

// sayings have %s for a duration (unit t), bytes (b), a number (n) or a number of times (x).
var sayings = [numSayings]struct {
	text string
	unit byte
}{
	saysSYN:         {"SYN", 0},
	saysSYNAgain:    {"SYN, the last of %s", 'n'},
	saysSYNACKAgain: {"SYN-ACK, the last of %s although it was acknowledged", 'n'},
	saysRefused:     {"SYN answered by RST+ACK", 0},
	saysICMP:        {"ICMP error that quotes the SYN", 0},
	saysHandshake:   {"handshake complete", 0},
	saysFIN:         {"FIN", 0},
	saysFINAcked:    {"acknowledges the FIN; its program has not closed %s later", 't'},
	saysFINIdle:     {"FIN, %s after the last byte", 't'},
	saysFINAge:      {"FIN, %s after the start", 't'},
	saysLateFIN:     {"FIN at last, %s after the other side's", 't'},
	saysBareRST:     {"RST without a socket behind it", 0},
	saysRST:         {"RST", 0},
	saysRSTIdle:     {"RST, %s after the last byte", 't'},
	saysRSTUnacked:  {"RST with %s of its own not yet acknowledged", 'b'},
	saysRSTUnread:   {"RST after taking %s that it never answered", 'b'},
	saysRSTForged:   {"RST that does not fit its sender's other packets: TTL differs by %s", 'n'},
	saysRSTOwnHost:  {"RST, while the socket in whose name it came lives on", 0},
	saysRequest:     {"request that nothing answered", 0},
	saysLastBytes:   {"last payload", 0},
	saysAfterIdle:   {"first packet after %s of silence", 't'},
	saysUnanswered:  {"never answered; tried %s", 'x'},
	saysLastTry:     {"last try, %s after the last sign of life", 't'},
	saysLastHeard:   {"the last that was heard of this end", 0},
	saysCrossing:    {"request, sent before the FIN could be known: %s behind it", 't'},
	saysProbe:       {"keep-alive probe, %s after the packet before", 't'},
	saysBeat:        {"the latest of its regular payloads, %s apart", 't'},
	saysSurvived:    {"works on after %s of silence", 't'},
	saysReuse:       {"SYN on the tuple of a connection in TIME_WAIT", 0},
	saysZeroWindow:  {"advertises window 0", 0},
	saysWindowOpen:  {"opens the window after %s", 't'},
	saysRetransmits: {"its last packet; %s of its segments were sent again", 'n'},
	saysLost:        {"the last packet; %s acknowledged that the capture never showed", 'b'},
	saysEarlyReply:  {"answers while the request's body still comes", 0},
	saysAnswerLate:  {"the answer, %s too late", 't'},
	saysBackwards:   {"its time is %s before the packet ahead of it", 't'},
	saysFirst:       {"first packet", 0},
	saysOtherFamily: {"handshake of the other address family, which won", 0},
}

func (p point) String() string {
	s := sayings[p.says]
	switch s.unit {
	case 't':
		return fmt.Sprintf(s.text, dur(p.n))
	case 'b':
		return fmt.Sprintf(s.text, plural(uint64(max(p.n, 0)), "byte"))
	case 'n':
		return fmt.Sprintf(s.text, fmt.Sprint(p.n))
	case 'x':
		return fmt.Sprintf(s.text, plural(uint64(max(p.n, 0)), "time"))
	}
	return s.text
}
