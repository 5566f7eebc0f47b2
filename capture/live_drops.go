package capture

// maxDropEvents bounds what a capture that loses packets for days remembers.
const maxDropEvents = 1024

// dropLog is a list of drop events that becomes coarser as it grows.
type dropLog struct {
	events []DropEvent
	span   int64 // ns that neighbours may cover together to become one
}

// add notes an event that is no earlier than those before it.
func (d *dropLog) add(e DropEvent) {
	d.events = append(d.events, e)
	for len(d.events) > maxDropEvents {
		d.span = max(2*d.span, 1e9)
		d.merge()
	}
}

// merge makes one event of neighbours of an interface that lie within a span.
func (d *dropLog) merge() {
	kept := d.events[:0]
	for _, e := range d.events {
		if j := lastOf(kept, e.Iface); j >= 0 && e.To-kept[j].From <= d.span {
			kept[j].To = max(kept[j].To, e.To)
			kept[j].N += e.N
			continue
		}
		kept = append(kept, e)
	}
	d.events = kept
}

// lastOf is the place of the latest event of an interface, -1 without one.
func lastOf(events []DropEvent, iface uint16) int {
	for i := len(events) - 1; i >= 0; i-- {
		if events[i].Iface == iface {
			return i
		}
	}
	return -1
}
