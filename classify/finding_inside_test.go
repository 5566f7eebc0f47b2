package classify

import (
	"fmt"
	"hash/fnv"

	"hangup/assembler"
)

// TellsAll reports whether AddPlain asks for no Conn.
func TellsAll(o *assembler.Outline, v *Verdict, env Env) bool { return tellsAll(o, v, env) }

// Inside tells apart collections that hold something else, beyond what they
// find.
func Inside(f *Findings) string {
	h := fnv.New64a()
	l := f.scene.ledger
	for i := range l.servers.items {
		s := &l.servers.items[i].val
		fmt.Fprint(h, s.dials, s.handshakes, s.closedAfter, s.ok, s.rtt)
	}
	for i := range l.pairs.items {
		p := &l.pairs.items[i].val
		fmt.Fprint(h, p.conns, p.closedAfter, p.sent, p.again, p.established, p.ok)
		u := &p.ports
		fmt.Fprint(h, u.tried, u.byClient, u.byServer, u.failed, u.systems, u.min, u.max)
		if u.over != nil {
			fmt.Fprintf(h, "%v", *u.over)
		}
	}
	for i := range f.scene.scans.hosts.items {
		k := &f.scene.scans.hosts.items[i].val
		fmt.Fprint(h, k.tried, k.futile)
		if k.more != nil {
			fmt.Fprint(h, *k.more)
		}
	}
	for i := range f.reconnects.by.items {
		fmt.Fprint(h, f.reconnects.by.items[i].val)
	}
	fmt.Fprint(h, f.dials.list, f.families.losers)
	if f.families.won != nil {
		fmt.Fprint(h, *f.families.won)
	}
	for _, k := range f.collectors {
		switch k := k.collector.(type) {
		case *captureTrust:
			fmt.Fprint(h, k.cut)
		case *reuse:
			if k.waits != nil {
				fmt.Fprint(h, *k.waits, k.fresh)
			}
		case *idleCuts:
			fmt.Fprint(h, k.by.items)
		case *races:
			fmt.Fprint(h, k.by.items)
		case *deadlines:
			for i := range k.by.items {
				for _, u := range k.by.items[i].val {
					if u == nil {
						continue
					}
					fmt.Fprint(h, k.by.items[i].key, u.all)
					for _, hit := range u.round {
						if hit != nil {
							fmt.Fprint(h, *hit)
						}
					}
				}
			}
		}
	}
	return fmt.Sprintf("%x, %d pairs, %d dials, %d losers", h.Sum64(), len(l.pairs.items), len(f.dials.list), len(f.families.losers))
}
