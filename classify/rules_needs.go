package classify

import (
	"math/bits"

	"hangup/assembler"
)

// needs are facts without which a rule cannot match. Nearly all connections
// lack nearly all of them, so that few rules have to look at one.
type needs uint16

const (
	needsRST        needs = 1 << iota // one ended the connection
	needsAnyRST                       // one was seen, whatever it did
	needsICMP                         // an error came back
	needsUnserved                     // the server sent nothing at all
	needsUpgrade                      // SYN-ACK, and no handshake
	needsMute                         // handshake, and neither payload nor FIN of the server
	needsMPTCP                        //
	needsSilence                      // something remains unanswered
	needsBothFINs                     // and no RST that ended it
	needsLateAck                      // an end acknowledged payload behind its own FIN
	needsCrossing                     // the FINs crossed
	needsOneFIN                       // just one
	needsDeafness                     // payload was repeated although it was acknowledged
	needsShutWindow                   // to the end
	needKinds       = iota
)

// rulesNeeding are, for each need in turn, the rules that have it.
var rulesNeeding = func(rules []Rule) (list [needKinds]uint64) {
	for i := range rules {
		for rest := rules[i].needs; rest != 0; rest &= rest - 1 {
			list[bits.TrailingZeros16(uint16(rest))] |= 1 << i
		}
	}
	return list
}(rules)

// lacking are the needs that a connection does not meet.
func (v *view) lacking() (n needs) {
	c, cl, sv := v.c, v.cl, v.sv
	fins := b2i(cl.FIN.Seen()) + b2i(sv.FIN.Seen())
	lack := func(is bool, what needs) {
		if !is {
			n |= what
		}
	}
	lack(v.rst != nil, needsRST)
	lack(c.NResets > 0, needsAnyRST)
	lack(c.NICMP > 0, needsICMP)
	lack(sv.Packets == 0, needsUnserved)
	lack(sv.SYNACK.Seen() && !c.Established.Seen(), needsUpgrade)
	lack(c.Established.Seen() && !sv.FirstData.Seen() && !sv.FIN.Seen(), needsMute)
	lack(c.MPTCP, needsMPTCP)
	lack(!finished(c) && (waits(cl) || waits(sv)), needsSilence)
	lack(fins == 2 && v.rst == nil, needsBothFINs)
	lack(cl.AckedPastFIN > 0 || sv.AckedPastFIN > 0, needsLateAck)
	lack(cl.FINCrossed, needsCrossing)
	lack(fins == 1, needsOneFIN)
	lack(cl.Deaf.Seen() || sv.Deaf.Seen(), needsDeafness)
	lack(cl.ZeroWindow.Pending() || sv.ZeroWindow.Pending(), needsShutWindow)
	return n
}

// waits reports whether nothing has answered something that e sent.
func waits(e *assembler.End) bool {
	return e.Data.Pending() || e.FIN.Pending() || e.Probe.Pending()
}

// hopeless are the rules that cannot match for lack of the given needs.
func hopeless(n needs) (rules uint64) {
	for rest := n; rest != 0; rest &= rest - 1 {
		rules |= rulesNeeding[bits.TrailingZeros16(uint16(rest))]
	}
	return rules
}
