package assembler

import "hangup/capture"

type zeekEnd struct{}
type zeekConn struct{}

// zeekSegment follows one packet by Zeek's rules.
func (c *Conn) zeekSegment(from Side, p *capture.Packet) {}

// zeekSwap turns the books round when a guess about client and server proves wrong.
func (c *Conn) zeekSwap() {}
