package classify

import (
	"cmp"
	"maps"
	"slices"

	"hangup/assembler"
)

// Interim is the analysis as it would be if the capture ended now (ns): with
// the connections that Open visits, and all verdicts settled. It is finished;
// the analysis itself goes on undisturbed.
func (a *Analysis) Interim(now int64) *Analysis {
	b := new(Analysis)
	*b = *a
	b.Each, b.Open, b.held, b.open, b.alike = nil, nil, held{}, nil, nil
	b.env, b.now, b.ended = a.Env(), max(now, a.now), true
	b.env.End = b.now
	b.store = store{chunks: slices.Clone(a.store.chunks), size: a.store.size, sealed: true}
	b.shown, b.kept, b.room = slices.Clone(a.shown), slices.Clone(a.kept), nil
	b.digest, b.findings = a.digest.clone(), nil
	if a.findings != nil {
		b.findings = a.findings.Clone()
		b.findings.At(b.env)
	}
	b.near.watches = a.near.watches.clone()
	b.finishInterim(a)
	return b
}

// finishInterim adds to b, a copy of a, what is open in a.
func (b *Analysis) finishInterim(a *Analysis) {
	var open []*pending
	verdicts := make(map[*Verdict]*Verdict)
	for _, p := range a.open {
		own := *p
		own.own = *p.verdict
		own.verdict = &own.own
		open = append(open, &own)
		verdicts[p.verdict] = own.verdict
	}
	for i := range b.kept {
		if v := verdicts[b.kept[i].verdict]; v != nil {
			b.kept[i].verdict = v
		}
	}
	strangers := make(map[[16]byte]struct{})
	add := func(c *assembler.Conn) { open = append(open, b.glance(c, strangers)) }
	for _, at := range a.held.at {
		a.held.store.load(at, &b.spare)
		add(&b.spare)
	}
	if a.Open != nil {
		a.Open(func(c *assembler.Conn) {
			b.count(uint64(c.Ends[0].Packets)+uint64(c.Ends[1].Packets), c.First.Time, c.Last.Time)
			add(c)
		})
	}
	b.ripen(slices.DeleteFunc(open, func(p *pending) bool { return p == nil }))
	if !b.bounded {
		slices.SortFunc(b.kept, func(x, y kept) int { return cmp.Compare(x.id, y.id) })
		for i := range b.kept {
			b.digest.Count(b.kept[i].verdict)
		}
	}
	b.summary.End = b.env.End
	b.summary.Hosts, b.summary.HostsAbout = b.near.hosts.with(strangers)
	b.near = neighbours{}
	b.sum()
}

// glance judges a connection that goes on, and leaves no trace of it among
// the neighbours. What remains to be asked of these is the result, if any.
func (b *Analysis) glance(c *assembler.Conn, strangers map[[16]byte]struct{}) *pending {
	b.look.look(c, b.env)
	v := b.look.judge()
	n := &b.near
	q := question{id: c.ID, up: c.Established.Time}
	q.server = n.servers.index[endpointOf(b.look.sv)]
	for side := range c.Ends {
		addr := c.Ends[side].Addr
		if q.host[side] = n.hosts.index[addr]; q.host[side] == 0 {
			strangers[addr] = struct{}{}
		}
	}
	open := q.asks(&b.look, &v)
	switch {
	case !b.bounded:
		k := b.keep(c, &v)
		if open {
			return &pending{question: q.about(k.verdict)}
		}
	case open:
		p := &pending{question: q, own: v, packed: c.Pack(nil)}
		p.verdict = &p.own
		return p
	default:
		b.settled(c, &v)
	}
	return nil
}

func (q question) about(v *Verdict) question {
	q.verdict = v
	return q
}

// clone is a copy that shares nothing that either changes.
func (d *Digest) clone() Digest {
	o := Digest{Late: d.Late, counts: d.counts, groups: make(map[groupID]*Group, len(d.groups))}
	fresh := make(map[*Group]*Group, len(d.list))
	for _, g := range d.list {
		own := *g
		own.clients.list, own.clients.index = slices.Clone(g.clients.list), maps.Clone(g.clients.index)
		fresh[g] = &own
		o.list = append(o.list, &own)
	}
	for id, g := range d.groups {
		o.groups[id] = fresh[g]
	}
	return o
}

func (ws *watches) clone() watches {
	o := watches{notes: ws.notes}
	for _, w := range ws.list {
		own := *w
		own.starts, own.died, own.full = slices.Clone(w.starts), slices.Clone(w.died), slices.Clone(w.full)
		o.list = append(o.list, &own)
	}
	return o
}

// with is size with the given hosts, which are not listed.
func (h *addresses) with(strangers map[[16]byte]struct{}) (n uint64, about bool) {
	if h.census.registers == nil {
		n, about = h.size()
		return n + uint64(len(strangers)), about
	}
	own := *h.census.registers
	s := census{&own}
	for addr := range strangers {
		s.add(&addr)
	}
	return s.size(), true
}
