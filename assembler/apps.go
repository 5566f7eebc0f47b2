package assembler

import "hangup/capture"

// apps holds the framing of the flows' ends that have any. 0 stands for
// payload that was never fed, appOther for a stream of nothing we know,
// which stays so; everything else is one more than a number in the pool.
type apps struct{ pool pool[Framing] }

const (
	appNone  = 0
	appOther = 1<<32 - 1
)

// otherFraming is what the commonest stream that is nothing we know ends as.
func otherFraming() Framing { return Framing{proto: AppOther, flags: framingDeaf} }

func (a *apps) get(n uint32) Framing {
	switch n {
	case appNone:
		return Framing{}
	case appOther:
		return otherFraming()
	}
	return *a.pool.at(n - 1)
}

func (a *apps) release(n uint32) {
	if n != appNone && n != appOther {
		a.pool.release(n - 1)
	}
}

// feed is End.feed for a segment that is next in order.
func (t *Tracker) feed(e *flowEnd, p *capture.Packet) {
	if e.app == appOther || t.batch == nil {
		return
	}
	if e.app != appNone {
		t.apps.pool.at(e.app-1).Feed(t.batch.Payload(p), p.Len)
		return
	}
	var f Framing
	f.Feed(t.batch.Payload(p), p.Len)
	switch f {
	case Framing{}:
	case otherFraming():
		e.app = appOther
	default:
		i := t.apps.pool.take()
		*t.apps.pool.at(i) = f
		e.app = i + 1
	}
}
