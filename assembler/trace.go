package assembler

import (
	"strings"

	"hangup/capture"
)

// Notes says what the tracker made of one packet.
type Notes uint32

const (
	NoteRetransmission  Notes = 1 << iota // repeats sequence space already sent
	NoteReordered                         // fills a hole left earlier
	NoteDuplicate                         // the capture shows the same packet again: no other note is set
	NoteKeepAlive                         // keep-alive probe
	NoteKeepAliveAnswer                   // ACK that answers one
	NoteWindowProbe                       // window probe
	NoteZeroWindow                        // advertises window 0
	NoteDupACK                            // duplicate ACK
	NoteChallengeACK                      // answers an unacceptable SYN or RST
	NoteReset                             // RST that took effect, or may have
	NoteResetIgnored                      // RST that the receiver dropped or challenged
	NoteGap                               // bytes before it never showed in the capture
	NoteAfterFIN                          // payload behind the peer's FIN
	NoteSYNRetry                          // SYN or SYN-ACK again
	NoteFINRetry                          // FIN again
	NotePastReset                         // sent by an end that had sent a RST
	NoteTimeBackwards                     // earlier than the packet before it
	NoteMPTCPClose                        // DATA_FIN, MP_FASTCLOSE or MP_TCPRST
)

var noteNames = [...]string{
	"retransmission", "reordered", "duplicate in the capture", "keep-alive probe", "answers keep-alive",
	"window probe", "zero window", "duplicate ACK", "challenge ACK", "reset", "reset ignored",
	"gap before", "after the peer's FIN", "SYN again", "FIN again", "sent on after a reset",
	"time went backwards", "MPTCP close",
}

// String lists the notes, separated by commas; "" if there are none.
func (n Notes) String() string {
	var s []string
	for i, name := range noteNames {
		if n&(1<<i) != 0 {
			s = append(s, name)
		}
	}
	return strings.Join(s, ", ")
}

// Step is one packet of a traced connection and what it changed.
type Step struct {
	Packet capture.Packet // its Off and CapLen are not to be used: the batch is gone
	Conn   uint64         // Conn.ID
	Side   Side           // who sent it; for an ICMP error, who it is about
	States [2]State       // both ends after it
	Notes  Notes
}
