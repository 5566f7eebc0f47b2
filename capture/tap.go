package capture

// Frame is one captured frame as it came, with the VLAN tag that the kernel
// keeps apart put back, and with a LINUX_SLL2 header where the capture has no
// link layer of its own.
type Frame struct {
	Ref     Ref
	Time    int64  // nanoseconds since the Unix epoch, UTC
	Link    uint16 // LINKTYPE_ value, such as 1 for EN10MB
	Iface   uint16 // as Packet.Iface
	Traits  Traits // Inbound, Outbound, NotToUs, SnapCut
	Data    []byte // valid only during the call of a Tap
	WireLen uint32 // bytes on the wire, at least len(Data)
}

// Tap is called for each packet, decoded, in the order of the batch, before
// Next returns. Neither pointer outlives the call.
type Tap func(f *Frame, p *Packet)

// span is where the frame of a packet lies in its batch. A batch has them
// only while there is a Tap to call.
type span struct {
	off, capLen, wireLen uint32
	link                 uint16
	traits               Traits // as the record had them
}

// span is where the record's frame lies.
func (r *record) span() span {
	return span{off: r.off, capLen: r.capLen, wireLen: max(r.wireLen, r.capLen), link: r.link, traits: r.traits}
}

// tap calls t with each packet of the batch; f is where it lays the frames.
func (f *Frame) tap(b *Batch, t Tap) {
	if t == nil {
		return
	}
	for i := range b.frames {
		s, p := &b.frames[i], &b.Packets[i]
		*f = Frame{Ref: p.Ref, Time: p.Time, Link: s.link, Iface: p.Iface, Traits: s.traits, Data: b.Data[s.off : s.off+s.capLen], WireLen: s.wireLen}
		t(f, p)
	}
}
