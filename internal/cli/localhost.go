package cli

import (
	"fmt"
	"net/netip"
	"time"

	"hangup/assembler"
	"hangup/capture"
	"hangup/capture/host"
	"hangup/classify"
	"hangup/output"
	"hangup/output/metrics"
)

// localHost is what this host itself says of its ends of connections.
type localHost struct {
	processes *host.Processes
	events    *host.Events
	since     int64 // ns: the kernel's events are known from here on

	agreed, disagreed uint64
}

// open begins to listen to the kernel. Not knowing the processes is no reason
// not to watch; not hearing the events that were asked for is.
func (h *localHost) open(c *command) (err error) {
	if !c.blind {
		if h.processes, err = host.NewProcesses(host.Config{}); err != nil && !c.quiet {
			c.complain(fmt.Errorf("programs behind sockets will not be named: %w", err))
		}
	}
	if !c.kernel {
		return nil
	}
	if h.events, err = host.OpenEvents(host.Config{}); err != nil {
		return fmt.Errorf("--kernel-events: %w", err)
	}
	h.since = time.Now().UnixNano()
	if !c.quiet {
		for _, s := range h.events.Said {
			c.complain(fmt.Errorf("--kernel-events: %s", s))
		}
	}
	return nil
}

// see looks for processes when a connection opens: later may be too late.
func (h *localHost) see(b *capture.Batch) {
	if h.processes == nil {
		return
	}
	for i := range b.Packets {
		if p := &b.Packets[i]; p.Kind == capture.TCP && p.Flags.Has(capture.SYN) {
			src, dst := netip.AddrPortFrom(capture.Addr(p.Src), p.SrcPort), netip.AddrPortFrom(capture.Addr(p.Dst), p.DstPort)
			if p.Flags.Has(capture.ACK) {
				src, dst = dst, src
			}
			h.processes.Seen(src, dst)
		}
	}
}

// beside adds what this host says to what is told of a connection.
func (h *localHost) beside(r *classify.Result, env classify.Env, b *output.Beside) {
	c := r.Conn
	ends := [2]netip.AddrPort{c.Ends[0].AddrPort(), c.Ends[1].AddrPort()}
	for side := range assembler.Side(2) {
		local, remote := ends[side], ends[side.Peer()]
		if p, ok := h.processes.Of(local, remote); ok {
			b.Process[side] = processOf(&p)
		}
		b.Kernel[side] = h.kernel(r, env, side, local, remote)
	}
}

// processOf is p as a page has it, nil if it names nobody.
func processOf(p *host.Process) *output.Process {
	if p.PID == 0 && p.Command == "" && p.Container == "" {
		return nil
	}
	return &output.Process{
		PID: p.PID, PIDs: several(p.PIDs), Command: p.Command, Args: p.Args,
		Container: p.Container, Pod: p.Pod, Unit: p.Unit, Cgroup: p.Cgroup, How: p.How.String(),
	}
}

func several(pids []int) []int {
	if len(pids) < 2 {
		return nil
	}
	return pids
}

// kernelSlack is how much earlier or later than its packet (ns) a word of the
// kernel may be stamped.
const kernelSlack = int64(50 * time.Millisecond)

// kernel compares a verdict with what the kernel of one end said.
func (h *localHost) kernel(r *classify.Result, env classify.Env, side assembler.Side, local, remote netip.AddrPort) *output.Kernel {
	if h.events == nil || r.Conn.First.Time < h.since {
		return nil
	}
	said := h.events.Word(local, remote, r.Conn.First.Time-kernelSlack, r.Conn.Last.Time+kernelSlack+tellAfter)
	if said.Empty() {
		return nil
	}
	word := classify.KernelWord{Spoke: len(said.States)+len(said.Errors) > 0}
	k := &output.Kernel{Agrees: "unknown"}
	for _, e := range said.Errors {
		word.Errors = append(word.Errors, classify.KernelError{At: e.At, Errno: classify.Token(e.Errno)})
		k.Errors = append(k.Errors, e.Errno)
	}
	for _, x := range said.Resets {
		word.Resets = append(word.Resets, classify.KernelReset{At: x.At, Sent: x.Sent, Reason: x.Reason})
		k.Resets = append(k.Resets, resetText(&x))
	}
	if doubt := h.events.Stats().Doubt(); doubt != "" {
		k.Why = doubt
		return k
	}
	agreement, why := classify.Agrees(r.Conn, r.Verdict, env, side, word)
	k.Why = why
	switch agreement {
	case classify.KernelAgrees:
		k.Agrees = "yes"
		h.agreed++
	case classify.KernelDisagrees:
		k.Agrees = "no"
		h.disagreed++
	}
	return k
}

func resetText(x *host.Reset) string {
	s := "received"
	if x.Sent {
		s = "sent"
	}
	if x.Reason != "" {
		s += ": " + x.Reason
	}
	return s
}

// Capabilities that a watch may go on to need (linux/capability.h).
const (
	capDACOverride   = 1  // to write into another user's directory
	capDACReadSearch = 2  // to look into other users' processes
	capSysPtrace     = 19 //
)

// capabilities are what is needed while the watch runs: files are begun, and
// processes looked for, at any time.
func (w *watcher) capabilities() (list []uintptr) {
	if w.write != "" || w.save != "" || w.out.name != "" {
		list = append(list, capDACOverride)
	}
	if w.host.processes != nil {
		list = append(list, capDACReadSearch, capSysPtrace)
	}
	return list
}

func (h *localHost) count(c *metrics.Counters) {
	s := h.processes.Stats()
	c.ProcessFound, c.ProcessMissed = s.BySocket+s.ByListener, s.ByOwner+s.Misses+s.Skipped
	c.KernelAgreements, c.KernelDisagreements = h.agreed, h.disagreed
}

// tellKernel says how the kernel's word and the verdicts compare.
func (h *localHost) tellKernel(c *command) {
	if h.events == nil || c.quiet {
		return
	}
	note := fmt.Sprintf("the kernel's own word agrees with %d ends of connections, and disagrees with %d", h.agreed, h.disagreed)
	if doubt := h.events.Stats().Doubt(); doubt != "" {
		note += "; " + doubt
	}
	fmt.Fprintln(c.stderr, "hangup:", note)
}

func (h *localHost) close() error {
	if h.processes != nil {
		h.processes.Close()
	}
	if h.events == nil {
		return nil
	}
	return h.events.Close()
}
