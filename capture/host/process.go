// Package host asks the kernel of this host what it knows of its own sockets:
// which process holds a local endpoint (through sock_diag and /proc), and
// what the kernel itself said of an end (its tracepoints: who reset, with
// which reason, and which errno the socket was given).
//
// Everything here is about this host, this network namespace and this moment;
// nothing of it can be had from a file. It works on Linux. Elsewhere the
// constructors return an error that wraps [errors.ErrUnsupported], and the
// methods of a nil *Processes or *Events answer that nothing is known, so that
// a caller needs no build tag.
package host

import (
	"net/netip"
	"slices"
	"time"
)

// Config is what both constructors take. The zero value is the default.
type Config struct {
	// Budget is the share of one CPU that looking for processes may take in
	// the long run, above 0 and at most 1; 0 is [DefaultBudget]. What has
	// been saved up while there was nothing to do, at most [burst], may be
	// spent at once.
	Budget float64
	// Remember is how many endpoints' answers and how many connections'
	// events are kept; 0 is [DefaultRemember]. The oldest go first.
	Remember int
	// Proc is where procfs is mounted; "" is /proc. A container that looks at
	// its host mounts that one's elsewhere.
	Proc string
}

// Defaults of [Config].
const (
	DefaultBudget   = 0.02
	DefaultRemember = 1 << 16
)

// burst is how long a budget may be saved up: with 2 % of a CPU, 5 s are a
// tenth of a second of it, enough for a look at everything on most hosts.
const burst = 5 * time.Second

func (c Config) withDefaults() Config {
	if c.Budget <= 0 {
		c.Budget = DefaultBudget
	}
	c.Budget = min(c.Budget, 1)
	if c.Remember <= 0 {
		c.Remember = DefaultRemember
	}
	if c.Proc == "" {
		c.Proc = "/proc"
	}
	return c
}

// How says what an answer rests on.
type How uint8

const (
	// ByOwner: the kernel named the socket's owner (UID), but no process that
	// holds it was found: it needs more privilege (CAP_SYS_PTRACE), belongs
	// to another PID namespace, or has not been found yet. PID is 0.
	ByOwner How = iota
	// BySocket: the process holds the connection's own socket.
	BySocket
	// ByListener: the connection's socket is not accepted yet, gone already,
	// or was not looked at more closely; the process holds the socket that
	// listens there, and so is the one to accept it (which may have handed
	// the connection on to a child).
	ByListener
)

func (h How) String() string { return [...]string{"owner", "socket", "listener"}[h] }

// Process is the holder of a local endpoint.
type Process struct {
	// PID is the lowest of the PIDs, that of the oldest in most cases. It is
	// 0 when none was found (ByOwner), and for ByListener with several PIDs:
	// which of them accepts a connection does not show.
	PID       int
	PIDs      []int  // all that hold the socket, ascending (fork shares it); at most [maxHolders]
	Command   string // as in /proc/PID/comm, at most 15 bytes; "" if several PIDs that differ
	Args      string // the command line, arguments parted by spaces, at most [maxArgs] bytes
	Cgroup    string // path of its control group
	Container string // first 12 digits of the container's ID; "" if in none that was recognised
	Runtime   string // docker, containerd, cri-o, podman, lxc, ...; "" if the path does not tell
	Pod       string // UID of its Kubernetes pod; "" if in none
	Unit      string // systemd service or scope; "" if in none
	UID       uint32 // of the socket
	Inode     uint32 // of the socket; 0 if it is not accepted yet or closed
	How       How
}

// Bounds of a [Process].
const (
	maxHolders = 16
	maxArgs    = 256
)

// clone keeps callers from one another's slices.
func (p Process) clone() Process {
	p.PIDs = slices.Clone(p.PIDs)
	return p
}

// Stats are counters since the start.
type Stats struct {
	Lookups    uint64        // local endpoints asked about; each becomes one of the next four
	BySocket   uint64        // ... answered by the process that holds the socket
	ByListener uint64        // ... by the one that listens
	ByOwner    uint64        // ... by the owner's UID only, so far
	Misses     uint64        // ... gone before their turn came: unknown
	Skipped    uint64        // connections never asked about, as too many waited for the budget
	Remote     uint64        // connections with no end on this host
	Waiting    int           // connections and ends that wait for the budget
	Requests   uint64        // single sock_diag requests
	Dumps      uint64        // dumps of the whole socket table
	Scans      uint64        // passes through all processes
	Denied     uint64        // processes whose files may not be seen
	CPU        time.Duration // spent by the thread that looks
	Step       time.Duration // ... at most in one go
	Elapsed    time.Duration // since the start; CPU is at most Budget * (Elapsed + burst) + Step
}

// by is the counter of a kind of answer.
func (s *Stats) by(h How) *uint64 {
	return [...]*uint64{&s.ByOwner, &s.BySocket, &s.ByListener}[h]
}

// pair is a connection with its ends in the order of its first packet.
type pair struct{ a, b netip.AddrPort }

// plain is an address as sockets have it, whatever family they were opened in.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}
