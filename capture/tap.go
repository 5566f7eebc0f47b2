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
