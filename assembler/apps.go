package assembler

import "hangup/capture"

// feed is End.feed for a segment that is next in order. Framings are kept
// apart from the flows, and only of streams that may be of a protocol we
// know: flow.app is one more than the number of a pair in Tracker.apps.
func (t *Tracker) feed(f *flow, from Side, p *capture.Packet) {
	if f.app != 0 {
		t.apps.at(f.app - 1)[from].Feed(t.batch.Payload(p), p.Len)
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
		apps := t.apps.at(i)
		apps[from], apps[from.Peer()] = a, Framing{}
		f.app = i + 1
	}
}

// otherFraming is what the commonest stream of nothing we know ends as.
func otherFraming() Framing { return Framing{proto: AppOther, flags: framingDeaf} }

// framing is End.App of a flow.
func (t *Tracker) framing(f *flow, s Side) *Framing {
	switch {
	case f.has(s, endDeaf):
		return &t.otherApp
	case f.app != 0:
		return &t.apps.at(f.app - 1)[s]
	}
	return &t.noApp
}
