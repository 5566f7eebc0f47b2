package assembler

import "hangup/capture"

// firstRole guesses which side sent a connection's first visible packet. A
// SYN settles it; otherwise the lower of two ports is taken for the server's
// if it is a registered one and the other is not, as services listen there.
func firstRole(p *capture.Packet) Side {
	switch {
	case p.Flags.Has(capture.SYN | capture.ACK):
		return Server
	case p.Flags.Has(capture.SYN):
		return Client
	case p.Flags.Has(capture.RST|capture.ACK) && p.Seq == 0 && p.Window == 0:
		return Server // answers a SYN that the capture missed (RFC 9293 3.10.7.1)
	}
	return portRole(p)
}

// portRole guesses by the ports alone.
func portRole(p *capture.Packet) Side {
	switch {
	case p.SrcPort < ephemeral && p.DstPort >= ephemeral:
		return Server
	case p.SrcPort >= ephemeral && p.DstPort < ephemeral:
		return Client
	case p.SrcPort < 1024 && p.DstPort >= 1024:
		return Server
	}
	return Client
}

// ephemeral is where Linux's local ports begin by default (ip_local_port_range).
const ephemeral = 32768

// settleRoles fixes the roles of a connection that began in the middle, now
// that a SYN of it turns up (reordered captures), and of one that both ends
// opened: whose SYN passes first there depends on where the capture stands,
// so the ports decide.
func (c *Conn) settleRoles(from Side, p *capture.Packet) Side {
	e, o := &c.Ends[from], &c.Ends[from.Peer()]
	is := from
	switch {
	case !c.RoleKnown && p.Flags.Has(capture.ACK):
		is = Server
	case !c.RoleKnown:
		is = Client
	case from == Server && !p.Flags.Has(capture.ACK) && e.Packets == 0 && o.SYN.Pending():
		is = portRole(p)
	}
	c.RoleKnown = true
	if is != from && c.NResets == 0 && c.NICMP == 0 && c.NMarks == 0 {
		c.Ends[0], c.Ends[1] = c.Ends[1], c.Ends[0]
		c.clientIsA = !c.clientIsA
		return is
	}
	return from
}
