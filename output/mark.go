package output

import (
	"fmt"

	"hangup/assembler"
)

// markName is the stable name of a mark, as JSON has it.
func markName(w assembler.What) string {
	switch w {
	case assembler.ResetIgnored:
		return "reset-ignored"
	case assembler.ChallengeACK:
		return "challenge-ack"
	case assembler.TimeBackwards:
		return "time-backwards"
	case assembler.SYNOtherISN:
		return "syn-other-isn"
	case assembler.ICMPOnLive:
		return "icmp-on-live"
	case assembler.RetransmittedSYN:
		return "syn-retransmitted"
	case assembler.ZeroWindowStart:
		return "zero-window-start"
	case assembler.ZeroWindowEnd:
		return "zero-window-end"
	case assembler.WindowShrunk:
		return "window-shrunk"
	case assembler.DataPastReset:
		return "data-past-reset"
	case assembler.DataAfterClose:
		return "data-after-close"
	case assembler.MPTCPJoin:
		return "mptcp-join"
	case assembler.SYNData:
		return "syn-data"
	case assembler.OverlapMismatch:
		return "overlap-mismatch"
	}
	return fmt.Sprintf("mark-%d", w)
}

// markText says what a mark means, its number included.
func markText(m *assembler.Mark) string {
	n := uint64(m.N)
	switch m.What {
	case assembler.ResetIgnored:
		return "RST that took no effect: " + assembler.ResetFit(m.N).String()
	case assembler.ChallengeACK:
		return "challenge ACK"
	case assembler.TimeBackwards:
		return "packet time went back by " + plain(span(int64(n)*1000))
	case assembler.SYNOtherISN:
		return "SYN with another initial sequence number on the live ports"
	case assembler.ICMPOnLive:
		return fmt.Sprintf("ICMP error type %d code %d on the established connection", m.N>>8, m.N&0xff)
	case assembler.RetransmittedSYN:
		return fmt.Sprintf("SYN number %d", m.N)
	case assembler.ZeroWindowStart:
		return "window 0"
	case assembler.ZeroWindowEnd:
		return fmt.Sprintf("window open again: %s", plain(volume(n)))
	case assembler.WindowShrunk:
		return fmt.Sprintf("window shrunk by %s", plain(volume(n)))
	case assembler.DataPastReset:
		return fmt.Sprintf("sent %s after its own RST", plain(volume(n)))
	case assembler.DataAfterClose:
		return fmt.Sprintf("sent %s behind the peer's FIN", plain(volume(n)))
	case assembler.MPTCPJoin:
		return "MPTCP subflow"
	case assembler.SYNData:
		return fmt.Sprintf("%s on the SYN", plain(volume(n)))
	case assembler.OverlapMismatch:
		return "retransmission with other bytes than the original"
	}
	return ""
}

// History and conn_state are asked for through an interface, so that this
// room builds against an assembler that does not offer them.
func history(c *assembler.Conn) string {
	if h, ok := any(c).(interface{ History() string }); ok {
		return h.History()
	}
	return ""
}

func connState(c *assembler.Conn) string {
	if h, ok := any(c).(interface{ ConnState() string }); ok {
		return h.ConnState()
	}
	return ""
}
