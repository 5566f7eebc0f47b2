package classify

import (
	"fmt"
	"hash/fnv"
)

// Inside tells apart collections that hold something else, beyond what they
// find.
func Inside(f *Findings) string {
	h := fnv.New64a()
	l := f.scene.ledger
	for i := range l.servers.items {
		fmt.Fprintf(h, "%v", l.servers.items[i].val.dials)
	}
	for i := range l.pairs.items {
		u := &l.pairs.items[i].val.ports
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
	return fmt.Sprintf("%x, %d pairs, %d dials, %d losers", h.Sum64(), len(l.pairs.items), len(f.dials.list), len(f.families.losers))
}
