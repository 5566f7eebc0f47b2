package classify

import (
	"cmp"
	"math/bits"
	"net/netip"
	"slices"

	"hangup/assembler"
	"hangup/capture"
)

// Digest is what a page about very many connections needs of them: how many
// ended how, and the groups of those that ended alike. It takes connections
// in any order, keeps none, and its memory does not grow with their number.
type Digest struct {
	Late   uint64 // connections that began before the capture
	counts [5][NumCauses][ByNetwork + 1]uint64
	groups map[groupID]*Group
	list   []*Group // in the order of their making
	latest [1 << latestBits]struct {
		id groupID
		g  *Group
	} // by a hash: most of what comes is like what came before
}

const latestBits = 8

// groupID is a GroupKey in a form that is quickly hashed: without padding or
// pointers.
type groupID struct {
	addr  [16]byte
	port  uint16
	class Class
	cause Cause
	by    Party
	spill bool // of several addresses
}

// maxGroups is how many groups are told apart: more than one host has ports.
// Those that come later join one per cause and party.
const maxGroups = 70_000

// GroupKey is what the connections of a group have in common: the same
// cause, laid to the same party, at the same server.
type GroupKey struct {
	Class Class
	Cause Cause
	By    Party
	Addr  netip.Addr // zero: several
	Port  uint16     // zero in a merged group: several
}

// Group is a set of connections that ended alike.
type Group struct {
	GroupKey
	N        uint64
	Possible uint64 // those of them whose verdict is merely possible
	Hosts    int    // servers, if Addr is not one
	Ports    int    // server ports, if Port is 0
	Merged   bool   // a sweep over hosts or ports, shown as one
	Spill    bool   // of so many servers that they were not told apart

	First, Last int64  // ns: when the first and the last of them ended
	FirstID     uint64 // of the first member
	// Example is what Add was told of the member that shows the cause best:
	// the surest verdict on the most complete connection, the earliest of equals.
	Example int
	best    merit
	sure    uint8 // bits of the confidences that members have
	clients clients
}

// Least is how sure the least sure member's verdict is.
func (g *Group) Least() Confidence {
	return Confidence(bits.TrailingZeros8(g.sure | 1<<Certain))
}

// merit ranks examples.
type merit struct {
	confidence Confidence
	lacks      int // kinds of things that the capture lacks of it
	id         uint64
}

func meritOf(v *Verdict, id uint64) merit {
	return merit{v.Confidence, bits.OnesCount8(uint8(v.Partial)), id}
}

func (m merit) beats(o merit) bool {
	return o.id == 0 || cmp.Or(cmp.Compare(m.confidence, o.confidence), cmp.Compare(o.lacks, m.lacks), cmp.Compare(o.id, m.id)) > 0
}

// Row counts the connections of one class and cause.
type Row struct {
	Class Class
	Cause Cause
	N     uint64
	By    [ByNetwork + 1]uint64
}

// Rows lists the classes and causes that occurred, in their own order.
func (d *Digest) Rows() (list []Row) {
	for class := range d.counts {
		for cause := range d.counts[class] {
			r := Row{Class: Class(class), Cause: Cause(cause), By: d.counts[class][cause]}
			for _, n := range r.By {
				r.N += n
			}
			if r.N > 0 {
				list = append(list, r)
			}
		}
	}
	return list
}

// Count counts a connection in its row.
func (d *Digest) Count(v *Verdict) { d.countMany(v, 1) }

func (d *Digest) countMany(v *Verdict, n uint64) {
	d.counts[v.Class][v.Cause][v.By] += n
	if v.Partial&assembler.NoStart != 0 {
		d.Late += n
	}
}

// Add puts a connection into its group. The result is that group, with
// Example to be set if best is true.
func (d *Digest) Add(c *assembler.Conn, v *Verdict) (g *Group, best bool) {
	g = d.group(v, c.End(assembler.Server))
	g.note(c.End(assembler.Client).Addr, c.ID, ended(c, v), v)
	m := meritOf(v, c.ID)
	if best = m.beats(g.best); best {
		g.best = m
	}
	return g, best
}

// group is that of a verdict at a server.
func (d *Digest) group(v *Verdict, server *assembler.End) *Group {
	id := groupID{server.Addr, server.Port, v.Class, v.Cause, v.By, false}
	last := &d.latest[(hashAddr(&id.addr)+(uint64(id.port)<<8|uint64(id.cause)<<3|uint64(id.by))*0x9e3779b97f4a7c15)>>(64-latestBits)]
	if last.g == nil || last.id != id {
		last.id, last.g = id, d.find(id)
	}
	return last.g
}

// find returns the group, and makes it if there is none.
func (d *Digest) find(id groupID) *Group {
	g := d.groups[id]
	if g != nil {
		return g
	}
	if d.groups == nil {
		d.groups = map[groupID]*Group{}
	}
	k := GroupKey{Class: id.class, Cause: id.cause, By: id.by}
	if len(d.list) < maxGroups {
		k.Addr, k.Port = capture.Addr(id.addr), id.port
		g = &Group{GroupKey: k, Hosts: 1, Ports: 1, Example: -1}
	} else {
		id.addr, id.port, id.spill = [16]byte{}, 0, true
		if spill := d.groups[id]; spill != nil {
			return spill
		}
		g = &Group{GroupKey: k, Merged: true, Spill: true, Example: -1}
	}
	d.groups[id] = g
	d.list = append(d.list, g)
	return g
}

// join lays connections that shared the fate of one with that verdict to its group.
func (d *Digest) join(v *Verdict, server *assembler.End, alike *Group) {
	d.group(v, server).join(alike)
	d.countMany(v, alike.N)
}

// note counts a member.
func (g *Group) note(client [16]byte, id uint64, at int64, v *Verdict) {
	g.N++
	g.sure |= 1 << v.Confidence
	if v.Confidence == Possible {
		g.Possible++
	}
	if g.First == 0 || at < g.First {
		g.First = at
	}
	g.Last = max(g.Last, at)
	if g.FirstID == 0 || id < g.FirstID {
		g.FirstID = id
	}
	g.clients.add(client, id, 1)
}

// ended is when a connection came to its end, as far as it did.
func ended(c *assembler.Conn, v *Verdict) int64 {
	if v.FirstEnd.Seen() {
		return v.FirstEnd.Time
	}
	return c.Last.Time
}

// join adds the members of o to g.
func (g *Group) join(o *Group) {
	g.N += o.N
	g.sure |= o.sure
	g.Possible += o.Possible
	if g.First == 0 || o.First < g.First {
		g.First = o.First
	}
	g.Last = max(g.Last, o.Last)
	if g.FirstID == 0 || o.FirstID < g.FirstID {
		g.FirstID = o.FirstID
	}
	if o.best.id != 0 && o.best.beats(g.best) {
		g.best, g.Example = o.best, o.Example
	}
	g.clients.join(&o.clients)
}

// Groups lists the groups, those of a sweep over ports or hosts as one, by
// their first members.
func (d *Digest) Groups() []*Group {
	exact := slices.Clone(d.list)
	slices.SortFunc(exact, func(a, b *Group) int { return cmp.Compare(a.FirstID, b.FirstID) })
	byHost := sweeps(exact, func(k GroupKey) GroupKey { k.Port = 0; return k })
	all := sweeps(byHost, func(k GroupKey) GroupKey { k.Addr = netip.Addr{}; return k })
	slices.SortStableFunc(all, func(a, b *Group) int { return cmp.Compare(a.FirstID, b.FirstID) })
	return all
}

// A sweep over ports or hosts makes one finding, not one per port: from this
// many alike groups on, they are shown as one.
const sweep = 4

// sweeps joins groups whose keys become equal by blur, where enough of them do.
func sweeps(list []*Group, blur func(GroupKey) GroupKey) []*Group {
	alike := make(map[GroupKey]int)
	for _, g := range list {
		if !g.Merged {
			alike[blur(g.GroupKey)]++
		}
	}
	at := make(map[GroupKey]*Group)
	var out []*Group
	for _, g := range list {
		k := blur(g.GroupKey)
		if g.Merged || alike[k] < sweep {
			out = append(out, g)
			continue
		}
		all := at[k]
		if all == nil {
			all = &Group{GroupKey: k, Merged: true}
			at[k] = all
			out = append(out, all)
		}
		all.join(g)
		if k.Port == 0 {
			all.Ports++
		} else {
			all.Hosts++
		}
	}
	for _, g := range at {
		g.Hosts, g.Ports = max(g.Hosts, 1), max(g.Ports, 1)
	}
	return out
}
