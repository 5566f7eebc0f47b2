package classify

import (
	"cmp"
	"net/netip"
	"slices"

	"hangup/capture"
)

// ClientCount is how many connections of a group a client had.
type ClientCount struct {
	Addr netip.Addr
	N    uint64
}

// clients counts the connections of each client, of as many as it has room for.
type clients struct {
	list  []client
	index map[[16]byte]int32 // once there are more than a glance finds
	more  uint64             // connections of those that came too late
	last  int                // where the latest lies
}

type client struct {
	addr  [16]byte
	n     uint64
	first uint64 // ID of its first connection
}

const (
	glance     = 8
	maxClients = 1 << 12
)

func (l *clients) add(addr [16]byte, id, n uint64) {
	i := l.find(addr)
	if i >= 0 {
		l.list[i].n += n
		l.list[i].first = min(l.list[i].first, id)
		return
	}
	if len(l.list) >= maxClients {
		l.more += n
		return
	}
	l.list = append(l.list, client{addr, n, id})
	switch n := len(l.list); {
	case n == glance:
		l.index = make(map[[16]byte]int32)
		for i := range l.list {
			l.index[l.list[i].addr] = int32(i)
		}
	case n > glance:
		l.index[addr] = int32(n - 1)
	}
}

func (l *clients) find(addr [16]byte) int {
	if l.last < len(l.list) && l.list[l.last].addr == addr {
		return l.last
	}
	i := l.search(addr)
	l.last = max(i, 0)
	return i
}

func (l *clients) search(addr [16]byte) int {
	if l.index != nil {
		if i, ok := l.index[addr]; ok {
			return int(i)
		}
		return -1
	}
	return slices.IndexFunc(l.list, func(c client) bool { return c.addr == addr })
}

func (l *clients) join(o *clients) {
	for _, c := range o.list {
		l.add(c.addr, c.first, c.n)
	}
	l.more += o.more
}

// Clients ranks the clients of the group, the one with most connections
// first, then in order of appearance. more is how many connections others
// had, which were too many to tell apart.
func (g *Group) Clients() (list []ClientCount, more uint64) {
	slices.SortFunc(g.clients.list, func(a, b client) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.first, b.first)) })
	if g.clients.index != nil {
		for i := range g.clients.list {
			g.clients.index[g.clients.list[i].addr] = int32(i)
		}
	}
	for _, c := range g.clients.list {
		list = append(list, ClientCount{capture.Addr(c.addr), c.n})
	}
	return list, g.clients.more
}
