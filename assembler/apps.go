package assembler

import "hangup/capture"

// feed is End.feed for a segment that is next in order. Framings are kept
// apart from the flows, and only of streams that may be of a protocol we
// know: flowTail.app is one more than the number of one in Tracker.apps.
func (t *Tracker) feed(f *flow, from Side, p *capture.Packet) {
	x := &f.tail[from]
	if x.app != 0 {
		t.apps.at(x.app-1).Feed(t.batch.Payload(p), p.Len)
		return
	}
	var a Framing
	a.Feed(t.batch.Payload(p), p.Len)
	switch a {
	case Framing{}:
	case otherFraming():
		f.ends[from] |= endDeaf
	default:
		i := t.apps.take()
		*t.apps.at(i) = a
		x.app = i + 1
	}
}

// otherFraming is what the commonest stream of nothing we know ends as.
func otherFraming() Framing { return Framing{proto: AppOther, flags: framingDeaf} }

// framing is End.App of a flow.
func (t *Tracker) framing(f *flow, s Side) *Framing {
	switch app := f.tail[s].app; {
	case f.has(s, endDeaf):
		return &t.otherApp
	case app != 0:
		return t.apps.at(app - 1)
	}
	return &t.noApp
}
