package output

import (
	"cmp"
	"slices"

	"hangup/classify"
)

// group is a set of connections that ended alike, and its rank.
type group struct {
	*classify.Group
	harm uint64
}

// abnormal reports whether a verdict deserves to be spelled out.
func abnormal(v *classify.Verdict) bool { return v.Severity() > 0 }

// digest counts and groups connections: those that ended badly, or all. A
// [classify.Analysis] has done so already.
func digest(c Connections, all bool) *classify.Digest {
	if a, ok := c.(interface {
		Digest(all bool) *classify.Digest
	}); ok {
		return a.Digest(all)
	}
	d := new(classify.Digest)
	for i := range c.Len() {
		v := c.Verdict(i)
		d.Count(v)
		if !all && !abnormal(v) {
			continue
		}
		if g, best := d.Add(c.Conn(i), v); best {
			g.Example = i
		}
	}
	return d
}

// ranked lists the groups of d, the most harmful first.
func ranked(d *classify.Digest) []group {
	var list []group
	for _, g := range d.Groups() {
		list = append(list, group{g, harm(g)})
	}
	slices.SortStableFunc(list, func(a, b group) int { return cmp.Compare(b.harm, a.harm) })
	return list
}

// harm is the trouble that a group made; what is merely possible counts half.
func harm(g *classify.Group) uint64 {
	v := classify.Verdict{Class: g.Class, Cause: g.Cause}
	return uint64(v.Severity()) * (2*g.N - g.Possible)
}
