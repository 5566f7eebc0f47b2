package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// maxBlock is large enough that a flood wakes the reader a hundred times
	// a second only, and small enough that a ring has many.
	maxBlock = 1 << 20
	minBlock = 128 << 10
	// minBlocks lets the kernel fill some while others are read.
	minBlocks = 4
	maxRing   = 1 << 30 // places in a ring are 32 bits
	// retireAfter (ms) is when the kernel hands over a block that is not full.
	retireAfter = 64
	// linkAddressAt is where the kernel puts a sockaddr_ll behind the header
	// of a packet: TPACKET_ALIGN(sizeof(struct tpacket3_hdr)).
	linkAddressAt = 48
	// settling (ns) is how much earlier than its place in the ring a packet
	// may be stamped: CPUs take places and then the time, and where anybody
	// on the host asked for timestamps, drivers' queues lie between the two.
	settling = 2e6
	// clockStep (ns): what is earlier than the packet before it by more was
	// not overtaken, the clock was set back.
	clockStep = 100e6
)

// blockHeader is struct tpacket_block_desc with tpacket_hdr_v1,
// linux/if_packet.h.
type blockHeader struct {
	version, private    uint32
	status              uint32
	packets             uint32 // counted up as soon as a packet has its place
	first               uint32 // offset of the first packet
	length              uint32
	sequence            [2]uint32 // 64 bits
	openSec, openNsec   uint32    // "always the time-stamp when the block was opened"
	closeSec, closeNsec uint32
}

// caught is a packet in a ring: when, and where its tpacket3_hdr is.
type caught struct {
	time int64
	at   uint32
}

// ring is a packet socket and the TPACKET_V3 ring in which the kernel leaves
// what it receives. Blocks are taken when the kernel has filled them, and
// given back when the last of their packets is copied out.
type ring struct {
	fd    int
	mem   []byte
	shift int // a block has 1<<shift bytes
	next  int // block that the kernel hands over next

	pending []caught // of blocks taken: pending[at:] are not yet copied out
	at      int
	left    []uint32 // of each block, packets not yet copied out
	held    int      // blocks taken
}

// header is that of block n.
func (r *ring) header(n int) *blockHeader {
	return (*blockHeader)(unsafe.Pointer(&r.mem[n<<r.shift]))
}

func (r *ring) blocks() int { return len(r.left) }

// full reports whether all blocks are taken, so that the kernel drops packets.
// Blocks are given back in the order in which they become free, which need
// not be that of the ring.
func (r *ring) full() bool { return r.left[r.next] > 0 }

// ready reports whether the kernel has handed over another block.
func (r *ring) ready() bool {
	return !r.full() && atomic.LoadUint32(&r.header(r.next).status)&unix.TP_STATUS_USER != 0
}

// empty reports whether the block that the kernel is filling has no packet.
func (r *ring) empty() bool {
	h := r.header(r.next)
	return !r.full() && atomic.LoadUint32(&h.status)&unix.TP_STATUS_USER == 0 &&
		atomic.LoadUint32(&h.packets) == 0
}

// take adds the packets of the next block, which is ready, to those pending.
func (r *ring) take() {
	if r.at > 0 {
		r.pending = r.pending[:copy(r.pending, r.pending[r.at:])]
		r.at = 0
	}
	h := r.header(r.next)
	begin := r.next << r.shift
	end := begin + 1<<r.shift
	place, n := begin+int(h.first), uint32(0)
	for n < h.packets && place >= begin && place+linkAddressAt+unix.SizeofSockaddrLinklayer <= end {
		p := (*unix.Tpacket3Hdr)(unsafe.Pointer(&r.mem[place]))
		r.add(caught{int64(p.Sec)*1e9 + int64(p.Nsec), uint32(place)})
		n++
		place += int(p.Next_offset)
	}
	r.held++
	r.left[r.next] = n
	if n == 0 {
		r.release(r.next)
	}
	r.next = (r.next + 1) % r.blocks()
}

// add puts a packet behind those that are no later.
func (r *ring) add(c caught) {
	i := len(r.pending)
	r.pending = append(r.pending, c)
	for ; i > r.at && r.pending[i-1].time > c.time && r.pending[i-1].time-c.time < clockStep; i-- {
		r.pending[i] = r.pending[i-1]
	}
	r.pending[i] = c
}

// waiting is how many packets are taken and not copied out.
func (r *ring) waiting() int { return len(r.pending) - r.at }

// copied gives a packet's place back.
func (r *ring) copied(c caught) {
	n := int(c.at) >> r.shift
	if r.left[n]--; r.left[n] == 0 {
		r.release(n)
	}
}

// release gives block n back to the kernel. Its count of packets is what
// empty looks at before the kernel opens the block again.
func (r *ring) release(n int) {
	h := r.header(n)
	atomic.StoreUint32(&h.packets, 0)
	atomic.StoreUint32(&h.status, unix.TP_STATUS_KERNEL)
	r.held--
}

// horizon is a time before which nothing will come that is not pending. Now
// is the wall clock, read before the call.
func (r *ring) horizon(now int64) int64 {
	if r.full() || r.empty() {
		return now - settling
	}
	// While the kernel opens a block, the two halves of its time may not
	// belong together.
	h := r.header(r.next)
	for range 3 {
		sec, nsec := atomic.LoadUint32(&h.openSec), atomic.LoadUint32(&h.openNsec)
		if atomic.LoadUint32(&h.openSec) == sec {
			return min(now, int64(sec)*1e9+int64(nsec)) - settling
		}
	}
	return 0
}

// packet is the kernel's header of a packet, its link address, and the bytes.
func (r *ring) packet(c caught, cooked bool) (*unix.Tpacket3Hdr, *unix.RawSockaddrLinklayer, []byte) {
	h := (*unix.Tpacket3Hdr)(unsafe.Pointer(&r.mem[c.at]))
	from := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&r.mem[c.at+linkAddressAt]))
	start := int(c.at) + int(h.Mac)
	if cooked {
		start = int(c.at) + int(h.Net)
	}
	blockEnd := (int(c.at)>>r.shift + 1) << r.shift
	end := min(start+int(h.Snaplen), blockEnd)
	if start > end {
		start = end
	}
	return h, from, r.mem[start:end]
}

// openRing opens a socket that receives nothing yet: protocol 0. Without a
// filter in front of the ring and both before the bind, the first packets
// would be strangers.
func openRing(cooked bool) (*ring, error) {
	kind := unix.SOCK_RAW
	if cooked {
		kind = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(unix.AF_PACKET, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return &ring{fd: fd}, nil
}

// attach sets the socket's filter; it replaces the one before.
func (r *ring) attach(program []unix.SockFilter) error {
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.SetsockoptSockFprog(r.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
		return fmt.Errorf("the kernel refuses the filter: %w", err)
	}
	return nil
}

// deafen lets nothing more into the ring.
func (r *ring) deafen() error { return r.attach([]unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}}) }

// setUp makes a ring of about size bytes, in blocks that hold at least one
// packet, or as much of it as the kernel has memory for. It returns the size.
func (r *ring) setUp(size int, snaplen uint32) (int, error) {
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return 0, fmt.Errorf("the kernel has no TPACKET_V3 (Linux 3.2 and later have): %w", err)
	}
	need := 1 << bits.Len32(snaplen+4096)
	block := max(need, min(1<<(bits.Len(uint(max(size, 1)))-1)/8, maxBlock), minBlock)
	for n := max(min(size, maxRing)/block, minBlocks); ; n /= 2 {
		err := r.request(block, n)
		if err == nil {
			r.shift = bits.TrailingZeros(uint(block))
			r.left = make([]uint32, n)
			return n * block, nil
		}
		if !errors.Is(err, unix.ENOMEM) || n/2 < minBlocks {
			return 0, fmt.Errorf("no memory for a ring of %d MiB, a smaller buffer may do: %w", n*block>>20, err)
		}
	}
}

// request asks the kernel for the ring and maps it.
func (r *ring) request(block, n int) error {
	const frame = 2048 // of no meaning in TPACKET_V3, but it has to fit
	req := unix.TpacketReq3{
		Block_size: uint32(block), Block_nr: uint32(n),
		Frame_size: frame, Frame_nr: uint32(block / frame * n),
		Retire_blk_tov: retireAfter,
	}
	if err := unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return err
	}
	mem, err := unix.Mmap(r.fd, 0, block*n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return errors.Join(err, unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &unix.TpacketReq3{}))
	}
	r.mem = mem
	return nil
}

// bind lets packets in, of one interface or, by index 0, of all.
func (r *ring) bind(index int) error {
	var protocol [2]byte // in network order
	binary.BigEndian.PutUint16(protocol[:], unix.ETH_P_ALL)
	return unix.Bind(r.fd, &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(protocol[:]), Ifindex: index})
}

// close gives everything back. Nothing of the ring may be used afterwards.
func (r *ring) close() {
	if r.mem != nil {
		_ = unix.Munmap(r.mem)
	}
	_ = unix.Close(r.fd)
	*r = ring{fd: -1}
}
