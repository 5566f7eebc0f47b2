package capture

import (
	"net"
	"net/netip"
	"time"

	"hangup/capture/filter"
)

const (
	// DefaultSnaplen is what a live capture keeps of a packet unless told
	// otherwise: link header, tunnel, IP and TCP headers with all their
	// options (at most 14+4+50+60+60 bytes where it matters), and about as
	// much payload as tells which protocol it is and how a message begins.
	DefaultSnaplen = 512

	// MaxSnaplen keeps whole packets, as tcpdump's default does.
	MaxSnaplen = 262144

	// AnyInterface is the name that captures on all interfaces at once.
	AnyInterface = "any"

	defaultBuffer = 32 << 20
	defaultTick   = 200 * time.Millisecond
)

// LiveConfig is what OpenLive needs. Its zero value but for Interfaces will do.
type LiveConfig struct {
	// Interfaces are names, or AnyInterface alone.
	Interfaces []string

	// Snaplen is how many bytes of a frame are kept, DefaultSnaplen if 0.
	Snaplen uint32

	// Buffer is the size in bytes of the ring that each interface gets,
	// 32 MiB if 0. Where the kernel lacks memory for it, less is taken, and
	// the input's Comments say so.
	Buffer int

	// Promiscuous asks interfaces for packets to other hosts too. It has no
	// meaning for AnyInterface.
	Promiscuous bool

	// Tick is how long Next waits for packets before it returns with an
	// empty batch, so that timers can run; 200 ms if 0.
	Tick time.Duration

	// Tap, if not nil, sees every packet.
	Tap Tap

	// Filter, or Code (a program for the link type of the interfaces, and
	// instead of Filter), says which packets are captured at all. The kernel
	// runs it, but for Code where frames get a LINUX_SLL2 header: that the
	// kernel does not know.
	Filter *filter.Expr
	Code   *filter.Program
}

// DropEvent tells that the kernel had no room for N packets of an interface
// at some time between From and To (ns since the Unix epoch). Of a very long
// list neighbours are one.
type DropEvent struct {
	From, To int64
	N        uint64
	Iface    uint16 // as Packet.Iface; see Live.InterfaceName
}

// Outage is a time (ns since the Unix epoch) in which an interface was down;
// To is 0 while it is.
type Outage struct{ From, To int64 }

// Interface is what the system tells of a network interface.
type Interface struct {
	Name     string
	Index    int // 0 for AnyInterface
	Flags    net.Flags
	Addrs    []netip.Prefix
	Link     string // LinkName of what OpenLive captures on it
	Up       bool
	Running  bool // and has a carrier
	Loopback bool
}
