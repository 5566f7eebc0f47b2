package classify

import (
	"cmp"
	"slices"

	"hangup/assembler"
	"hangup/capture"
)

// identity is what a NAT leaves alone: both initial sequence numbers.
type identity struct{ client, server uint32 }

// sameConnections links the two halves of a connection that was captured on
// both sides of a NAT, or inside and outside of a tunnel that hides it.
func (n *neighbours) sameConnections() {
	seen := map[identity]int32{}
	for i := range n.conns {
		c := &n.conns[i]
		cl, sv := c.End(assembler.Client), c.End(assembler.Server)
		if !cl.HasISN || !sv.HasISN {
			continue
		}
		id := identity{cl.ISN, sv.ISN}
		j, ok := seen[id]
		if !ok {
			seen[id] = int32(i)
			continue
		}
		if o := &n.conns[j]; c.First.Time <= o.Last.Time {
			n.verdicts[i].SameAs = o.ID
			if n.verdicts[j].SameAs == 0 {
				n.verdicts[j].SameAs = c.ID
			}
		}
	}
}

// raceTime is how far apart (ns) two attempts of one dial may begin: Go and
// RFC 8305 wait 250 to 300 ms, some programs 2 s.
const raceTime = 2 * second

// origin is where two attempts of one dial have in common: the network card
// of the client and the port of the server.
type origin struct {
	link uint64
	port uint16
}

// races finds attempts that failed while the same host's connection to the
// same port over the other address family was established: happy eyeballs
// (RFC 8305; net.(*sysDialer).dialParallel), where the caller saw no error.
func (n *neighbours) races() {
	families := n.cards()
	won := map[origin][2][]int32{} // by family
	for i := range n.conns {
		if k, ok := n.origin(i, families); ok && n.conns[i].Established.Seen() {
			w := won[k]
			w[family(&n.conns[i])] = append(w[family(&n.conns[i])], int32(i))
			won[k] = w
		}
	}
	for i := range n.conns {
		switch n.verdicts[i].Cause {
		case DialCancelled, ConnectTimeout, ConnectionRefused, ICMPRejected, HandshakeIncomplete:
		default:
			continue
		}
		k, ok := n.origin(i, families)
		if !ok {
			continue
		}
		// In order of IDs, so in order of their first packets.
		rivals := won[k][1-family(&n.conns[i])]
		began := n.conns[i].First.Time
		at, _ := slices.BinarySearchFunc(rivals, began-raceTime, func(j int32, t int64) int {
			return cmp.Compare(n.conns[j].First.Time, t)
		})
		if at < len(rivals) && n.conns[rivals[at]].First.Time < began+raceTime {
			n.verdicts[i].LostTo = n.conns[rivals[at]].ID
		}
	}
}

func family(c *assembler.Conn) int {
	if c.V6 {
		return 1
	}
	return 0
}

// cards maps the clients' network cards to the only IPv4 address seen behind
// each; a card with several is a router's, and tells nothing.
func (n *neighbours) cards() map[uint64][16]byte {
	cards := map[uint64][16]byte{}
	for i := range n.conns {
		e := n.conns[i].End(assembler.Client)
		if n.conns[i].V6 || e.Link == 0 {
			continue
		}
		if a, ok := cards[e.Link]; ok && a != e.Addr {
			cards[e.Link] = [16]byte{}
		} else if !ok {
			cards[e.Link] = e.Addr
		}
	}
	return cards
}

// origin is the key by which the attempts of one dial find each other.
func (n *neighbours) origin(i int, cards map[uint64][16]byte) (origin, bool) {
	c := &n.conns[i]
	e := c.End(assembler.Client)
	k := origin{e.Link, c.End(assembler.Server).Port}
	if capture.Addr(e.Addr).IsLoopback() {
		k.link = 0
		return k, true
	}
	return k, e.Link != 0 && cards[e.Link] != [16]byte{}
}
