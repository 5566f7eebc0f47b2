package capture

// record is one captured frame before decoding: where it lies in the batch's
// Data, and what the file format says of it. Readers make records, the
// decoder turns each into a Packet.
type record struct {
	time    int64  // ns since the Unix epoch
	number  uint64 // within its file, from 1
	off     uint32 // frame: Batch.Data[off : off+capLen]
	capLen  uint32
	wireLen uint32  // >= capLen; what the wire carried
	iface   uint16  // as Packet.Iface
	link    uint16  // LINKTYPE_ value, 16 bits (276 is SLL2)
	traits  Traits  // Inbound, Outbound, NotToUs, SnapCut
	problem Problem // set when the file's own framing of it is broken: not to be decoded
}
