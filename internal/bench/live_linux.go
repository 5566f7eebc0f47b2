package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"hangup/assembler"
	"hangup/capture"
)

// livePlan is what `bench -live` measures.
type livePlan struct {
	rates   string
	runs    int
	seconds float64
	size    int
	flows   int
	snaplen uint
	role    string // of a child: what it does
	link    string
	rate    int

	verdicts bool   // measure the whole program, on connections whose ends are known
	binary   string // hangup
	file     string // of a child: the capture to send
	rounds   int    // how often, each time from other addresses
	truth    map[string]int
}

// live is `bench -live`: how many packets a second get lost, and what it
// costs to lose none, beside tcpdump on the same link. It makes a network
// namespace with a veth pair in it, sends small TCP segments on one end at
// given rates, and captures on the other, each program in turn in every run:
//
//	capture   package capture alone, decoding
//	tracker   and following connections
//	tcpdump   tcpdump -w /dev/null, with the ring that it takes by default
//
// With -verdicts, it sends a generated capture instead, of connections that
// close, are reset or refused, and takes the whole program:
//
//	hangup    hangup -i, NDJSON to a file, its verdicts compared with the truth
//	tcpdump   as above
//
// Sent packets that the link itself drops, because the machine has no time to
// receive them, are no loss of a capture, and shown apart.
func live(args []string, stdout, stderr io.Writer) int {
	var p livePlan
	fs := flag.NewFlagSet("bench -live", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&p.rates, "rates", "50,200,500", "thousands of packets a second")
	fs.IntVar(&p.runs, "runs", 3, "runs per rate and program")
	fs.Float64Var(&p.seconds, "seconds", 3, "how long to send")
	fs.IntVar(&p.size, "size", 60, "bytes of a frame")
	fs.IntVar(&p.flows, "flows", 256, "connections")
	fs.UintVar(&p.snaplen, "snaplen", capture.MaxSnaplen, "bytes kept of a frame, by all programs")
	fs.StringVar(&p.role, "role", "", "for its own children")
	fs.StringVar(&p.link, "link", "", "for its own children")
	fs.IntVar(&p.rate, "rate", 0, "for its own children")
	fs.BoolVar(&p.verdicts, "verdicts", false, "measure the whole program on known connections")
	fs.StringVar(&p.binary, "hangup", "", "hangup binary to measure; built from this tree if empty")
	fs.IntVar(&p.rounds, "rounds", 1, "with -verdicts, how often the capture is sent, each time from other addresses (1 to 255)")
	fs.StringVar(&p.file, "file", "", "for its own children")
	if fs.Parse(args) != nil {
		return 2
	}
	var err error
	switch p.role {
	case "":
		err = p.measure(stdout)
	case "sender":
		err = p.send(stdout)
	default:
		err = p.receive(stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench -live:", err)
		return 1
	}
	return 0
}

// trial is one program at one rate.
type trial struct {
	rate     float64 // packets a second that were sent
	sent     float64
	arrived  float64 // of those, at the other end of the link
	captured float64
	dropped  float64 // as the kernel reports
	cpu      float64 // share of one CPU while packets were sent
	wrong    float64 // connections whose class is not the true one
	early    float64 // MB resident after a third of the time
	late     float64 // ... at the end
}

// programs are what is measured.
func (p *livePlan) programs() []string {
	if p.verdicts {
		return []string{"hangup", "tcpdump"}
	}
	return []string{"capture", "tracker", "tcpdump"}
}

func (p *livePlan) measure(w io.Writer) error {
	runtime.LockOSThread() // and with it what is started from here
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("a network namespace of its own takes root: %w", err)
	}
	for _, line := range []string{
		"ip link add va type veth peer name vb address 02:00:00:00:00:02",
		"ip link set va up", "ip link set vb up",
	} {
		argv := strings.Fields(line)
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", line, err, out)
		}
	}
	time.Sleep(time.Second) // IPv6 introduces itself
	describe(w)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	dir, err := os.MkdirTemp("", "bench-live-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if p.verdicts && p.binary == "" {
		if p.binary, err = build(dir); err != nil {
			return err
		}
	}
	fmt.Fprintln(tw, "kpps wanted\tprogram\tkpps sent\tnot arrived %\tlost %\tdropped by kernel %\tCPU %\twrong classes\tMB early, late\t")
	for _, rate := range strings.Split(p.rates, ",") {
		kpps, err := strconv.Atoi(strings.TrimSpace(rate))
		if err != nil {
			return err
		}
		if p.verdicts {
			if err := p.known(dir, kpps*1000); err != nil {
				return err
			}
		}
		trials := make(map[string][]trial)
		for range p.runs {
			for _, name := range p.programs() {
				t, err := p.try(name, kpps*1000)
				if err != nil {
					return fmt.Errorf("%s at %d kpps: %w", name, kpps, err)
				}
				trials[name] = append(trials[name], t)
			}
		}
		for _, name := range p.programs() {
			m := trials[name]
			fmt.Fprintf(tw, "%d\t%s\t%.0f\t%.2f\t%.3f\t%.3f\t%.1f\t%s\t%s\t\n", kpps, name,
				middle(m, func(t trial) float64 { return t.rate / 1000 }),
				middle(m, func(t trial) float64 { return 100 * (1 - t.arrived/t.sent) }),
				middle(m, func(t trial) float64 { return 100 * (1 - t.captured/t.arrived) }),
				middle(m, func(t trial) float64 { return 100 * t.dropped / t.arrived }),
				middle(m, func(t trial) float64 { return 100 * t.cpu }), p.wrong(name, m), memory(m))
		}
	}
	return tw.Flush()
}

func middle(trials []trial, of func(trial) float64) float64 {
	var all []float64
	for _, t := range trials {
		all = append(all, of(t))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// try lets one program capture while packets are sent.
func (p *livePlan) try(name string, rate int) (t trial, err error) {
	r, err := p.start(name)
	if err != nil {
		return t, err
	}
	before, err := received("vb")
	if err != nil {
		return t, err
	}
	watch := watchMemory(r.cmd.Process.Pid)
	out, err := p.child("sender", "va", rate).Output()
	t.early, t.late = watch()
	if err != nil {
		return t, fmt.Errorf("sender: %w", err)
	}
	var elapsed float64
	if _, err := fmt.Sscan(string(out), &t.sent, &elapsed); err != nil {
		return t, fmt.Errorf("sender says %q: %w", out, err)
	}
	after, err := received("vb")
	if err != nil {
		return t, err
	}
	time.Sleep(time.Second) // tcpdump drops the block that is not full when it is stopped
	t.rate, t.arrived = t.sent/elapsed, float64(after-before)
	if t.captured, t.dropped, err = r.stop(); err != nil {
		return t, err
	}
	if name == "hangup" {
		t.wrong = r.wrong(p.truth)
	}
	t.cpu = (r.cmd.ProcessState.UserTime() + r.cmd.ProcessState.SystemTime()).Seconds() / elapsed
	return t, nil
}

// child is this program in another role.
func (p *livePlan) child(role, link string, rate int) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	return exec.Command(self, "-live", "-role", role, "-link", link, "-rate", strconv.Itoa(rate),
		"-seconds", fmt.Sprint(p.seconds), "-size", strconv.Itoa(p.size), "-flows", strconv.Itoa(p.flows),
		"-snaplen", fmt.Sprint(p.snaplen), "-file", p.file, "-rounds", strconv.Itoa(p.rounds))
}

// reader is a program that captures.
type reader struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner // what it says
	said  []string
	out   *os.File // hangup's, else nil
	last  lastLine
}

// start starts a program and waits until it captures.
func (p *livePlan) start(name string) (*reader, error) {
	r := &reader{cmd: p.child(name, "vb", 0)}
	if name == "tcpdump" {
		r.cmd = exec.Command("tcpdump", "-n", "-i", "vb", "-s", fmt.Sprint(p.snaplen), "-w", "/dev/null")
	}
	if name == "hangup" {
		r.cmd = exec.Command(p.binary, "-i", "vb", "-s", fmt.Sprint(p.snaplen), "--format", "ndjson")
		var err error
		if r.out, err = os.CreateTemp("", "bench-live-"); err != nil {
			return nil, err
		}
		_ = os.Remove(r.out.Name()) // it lasts as long as it is open
		r.cmd.Stdout = r.out
	}
	pipe, err := r.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	r.lines = bufio.NewScanner(pipe)
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	for r.lines.Scan() {
		if strings.Contains(r.lines.Text(), "listening on") || strings.Contains(r.lines.Text(), "watching") {
			return r, nil
		}
		r.said = append(r.said, r.lines.Text())
	}
	return nil, fmt.Errorf("does not start: %v: %s", r.cmd.Wait(), strings.Join(r.said, "\n"))
}

// stop ends it as a user does, and returns what it says in the end.
func (r *reader) stop() (captured, dropped float64, err error) {
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		return 0, 0, err
	}
	found := 0
	for r.lines.Scan() {
		var n float64
		switch line := r.lines.Text(); {
		case strings.HasSuffix(line, "captured"):
			found++
			_, err = fmt.Sscan(line, &captured)
		case strings.HasSuffix(line, "dropped by kernel"):
			found++
			_, err = fmt.Sscan(line, &n)
			dropped += n
		}
		if err != nil {
			return 0, 0, err
		}
	}
	if r.out != nil {
		return r.told()
	}
	if err := r.cmd.Wait(); err != nil || found != 2 {
		return 0, 0, fmt.Errorf("ended without its counters: %v", err)
	}
	return captured, dropped, nil
}

// received is how many packets an interface has received.
func received(link string) (uint64, error) {
	out, err := exec.Command("ip", "-s", "-j", "link", "show", link).Output()
	if err != nil {
		return 0, err
	}
	var links []struct {
		Stats64 struct{ Rx struct{ Packets uint64 } }
	}
	if err := json.Unmarshal(out, &links); err != nil {
		return 0, err
	}
	return links[0].Stats64.Rx.Packets, nil
}

// receive is a child that captures until it is interrupted, and speaks like tcpdump.
func (p *livePlan) receive(w io.Writer) error {
	l, err := capture.OpenLive(capture.LiveConfig{Interfaces: []string{p.link}, Snaplen: uint32(p.snaplen)})
	if err != nil {
		return err
	}
	defer l.Close()
	go stopOnInterrupt(l)
	fmt.Fprintln(os.Stderr, "listening on", p.link)
	var t *assembler.Tracker
	if p.role == "tracker" {
		t = assembler.New(assembler.Config{Done: func(*assembler.Conn) {}})
	}
	var b capture.Batch
	for err = l.Next(&b); err == nil; err = l.Next(&b) {
		if t != nil {
			t.Batch(&b)
		}
	}
	if err != io.EOF {
		return err
	}
	in := l.Inputs()[0]
	fmt.Fprintln(os.Stderr, in.Packets, "packets captured")
	fmt.Fprintln(os.Stderr, in.Drops, "packets dropped by kernel")
	return in.Err
}
