package output

import (
	"cmp"
	"math/bits"
	"net/netip"
	"slices"

	"hangup/assembler"
	"hangup/classify"
)

// group is a set of connections that ended alike: the same cause, laid to
// the same party, at the same server.
type group struct {
	key     groupKey
	members []int // indexes, ascending
	hosts   int   // servers, if key.addr is not one
	ports   int   // server ports, if key.port is 0
	merged  bool
	harm    int
}

type groupKey struct {
	class classify.Class
	cause classify.Cause
	by    classify.Party
	addr  netip.Addr // zero: several
	port  uint16     // zero and merged: several
}

// A sweep over ports or hosts makes one finding, not one per port: from this
// many alike groups on, they are shown as one.
const sweep = 4

// abnormal reports whether a verdict deserves to be spelled out.
func abnormal(v *classify.Verdict) bool { return severity(v) > 0 }

// severity weighs a verdict by the trouble it makes for the programs at both
// ends: losing data or hanging is worse than a clean error, an error worse
// than a RST that no program hears of.
func severity(v *classify.Verdict) int {
	switch v.Cause {
	case classify.PMTUBlackhole, classify.AcceptQueueOverflow, classify.InjectedReset, classify.ResetByOwnHost:
		return 9
	case classify.CloseWaitLeak, classify.RetransmissionTimeout, classify.ZeroWindowStall:
		return 8
	case classify.PeerLostState, classify.PeerVanished, classify.ListenerClosed:
		return 7
	case classify.CloseWithUnreadData, classify.ConnectTimeout:
		return 6
	case classify.AbortiveClose, classify.WriteAfterClose, classify.KeepaliveTimeout, classify.HandshakeIncomplete:
		return 5
	case classify.ConnectionRefused, classify.ICMPRejected, classify.StaleTuple:
		return 4
	case classify.DialCancelled, classify.FinTimeout:
		return 3
	case classify.FinWait2Expired:
		return 1
	}
	if v.Class == classify.Graceful || v.Class == classify.Open {
		return 0
	}
	return 2
}

// groups gathers the connections that want keeps, the most harmful group first.
func groups(c Connections, want func(*classify.Verdict) bool) []group {
	exact := gather(c, want)
	byHost := merge(exact, func(k groupKey) groupKey { k.port = 0; return k })
	all := merge(byHost, func(k groupKey) groupKey { k.addr = netip.Addr{}; return k })
	for i := range all {
		all[i].harm = harm(c, &all[i])
	}
	slices.SortStableFunc(all, func(a, b group) int {
		return cmp.Or(cmp.Compare(b.harm, a.harm), cmp.Compare(a.members[0], b.members[0]))
	})
	return all
}

// harm is the trouble that a group made; what is merely possible counts half.
func harm(c Connections, g *group) (sum int) {
	for _, i := range g.members {
		v := c.Verdict(i)
		weight := 2
		if v.Confidence == classify.Possible {
			weight = 1
		}
		sum += severity(v) * weight
	}
	return sum
}

func gather(c Connections, want func(*classify.Verdict) bool) []group {
	var list []group
	at := make(map[groupKey]int)
	for i := range c.Len() {
		v := c.Verdict(i)
		if !want(v) {
			continue
		}
		server := c.Conn(i).End(assembler.Server).AddrPort()
		k := groupKey{v.Class, v.Cause, v.By, server.Addr(), server.Port()}
		j, ok := at[k]
		if !ok {
			j = len(list)
			at[k] = j
			list = append(list, group{key: k, hosts: 1, ports: 1})
		}
		list[j].members = append(list[j].members, i)
	}
	return list
}

// merge joins groups whose keys become equal by blur, where enough of them do.
func merge(list []group, blur func(groupKey) groupKey) []group {
	alike := make(map[groupKey]int)
	for _, g := range list {
		if !g.merged {
			alike[blur(g.key)]++
		}
	}
	at := make(map[groupKey]int)
	var out []group
	for _, g := range list {
		k := blur(g.key)
		if g.merged || alike[k] < sweep {
			out = append(out, g)
			continue
		}
		j, ok := at[k]
		if !ok {
			at[k] = len(out)
			out = append(out, group{key: k, members: g.members, hosts: 1, ports: 1, merged: true})
			continue
		}
		out[j].members = append(out[j].members, g.members...)
		if k.port == 0 {
			out[j].ports++
		} else {
			out[j].hosts++
		}
	}
	for _, j := range at {
		slices.Sort(out[j].members)
	}
	return out
}

// example is the member that shows the cause best: the surest verdict on the
// most complete connection, the earliest of equals.
func (g *group) example(c Connections) int {
	return slices.MaxFunc(g.members, func(a, b int) int {
		x, y := c.Verdict(a), c.Verdict(b)
		return cmp.Or(cmp.Compare(x.Confidence, y.Confidence),
			cmp.Compare(bits.OnesCount8(uint8(y.Partial)), bits.OnesCount8(uint8(x.Partial))),
			cmp.Compare(b, a))
	})
}

// tally is how often something occurred.
type tally[K comparable] struct {
	key K
	n   uint64
}

// ranked counts keys, most frequent first, then in order of appearance.
func ranked[K comparable](keys func(yield func(K) bool)) []tally[K] {
	var list []tally[K]
	at := make(map[K]int)
	for k := range keys {
		if _, ok := at[k]; !ok {
			at[k] = len(list)
			list = append(list, tally[K]{key: k})
		}
		list[at[k]].n++
	}
	slices.SortStableFunc(list, func(a, b tally[K]) int { return cmp.Compare(b.n, a.n) })
	return list
}

// clients of the group, the one with most connections first.
func (g *group) clients(c Connections) []tally[netip.Addr] {
	return ranked(func(yield func(netip.Addr) bool) {
		for _, i := range g.members {
			if !yield(c.Conn(i).End(assembler.Client).AddrPort().Addr()) {
				return
			}
		}
	})
}
