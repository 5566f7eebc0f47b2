package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// instancePrefix and the PID name the trace instance.
const instancePrefix = "hangup-"

// bufferTotal (KiB) is the room for events in the kernel, over all CPUs: some
// 80,000 of them, half a second of the busiest host.
const bufferTotal = 8 << 10

// readEvery is how often the kernel's buffer is emptied when nobody asks.
const readEvery = 50 * time.Millisecond

// source is a trace instance.
type source struct {
	dir     string // of the instance
	unmount func() error
	pipe    int    // trace_pipe, not blocking
	partial string // the begin of a line whose rest is not read yet
	buf     []byte
	clock   bool // the trace's clock is CLOCK_MONOTONIC
	closed  bool
	stop    chan struct{}
	done    sync.WaitGroup
}

// OpenEvents makes a trace instance hangup-PID and starts to follow it. To
// open needs root (CAP_SYS_ADMIN to mount tracefs where that is not done yet),
// all else no more than the same user. Close must be called, on signals too:
// the instance outlives the process. What a killed process of this name has
// left is removed here.
func OpenEvents(c Config) (*Events, error) {
	c = c.withDefaults()
	root, unmount, err := tracefs()
	if err != nil {
		return nil, err
	}
	sweepInstances(root)
	e := &Events{words: newWords(c.Remember), tgid: func(tid int) int { return threadGroup(c.Proc, tid) }}
	e.dir = filepath.Join(root, "instances", instancePrefix+strconv.Itoa(os.Getpid()))
	e.unmount, e.pipe, e.buf, e.stop = unmount, -1, make([]byte, 64<<10), make(chan struct{})
	if err := e.begin(); err != nil {
		return nil, errors.Join(err, e.remove())
	}
	e.done.Go(e.follow)
	return e, nil
}

// tracefs finds where tracefs is mounted, or mounts it, with what takes that
// back. Without a mount for all to see (Linux 5.2) there is nothing that a
// killed program leaves, or one that has given up its privileges cannot undo.
func tracefs() (root string, unmount func() error, err error) {
	const usual, old = "/sys/kernel/tracing", "/sys/kernel/debug/tracing"
	for _, dir := range [...]string{usual, old} {
		var st unix.Statfs_t
		if unix.Statfs(dir, &st) == nil && uint32(st.Type) == unix.TRACEFS_MAGIC {
			return dir, func() error { return nil }, nil
		}
	}
	if fd, err := ownMount(); err == nil {
		return "/proc/self/fd/" + strconv.Itoa(fd), func() error { return unix.Close(fd) }, nil
	}
	if err := unix.Mount("tracefs", usual, "tracefs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return "", nil, fmt.Errorf("kernel events: tracefs is not mounted on %s, and mounting it failed: %w (needs root; in a container CAP_SYS_ADMIN and a kernel with CONFIG_FTRACE)", usual, err)
	}
	return usual, func() error {
		err := unix.Unmount(usual, 0)
		if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EPERM) {
			return nil // somebody else uses it by now, or privileges are gone: it stays in its usual place
		}
		return err
	}, nil
}

// ownMount mounts tracefs nowhere: it is reached by the descriptor, and goes
// with it.
func ownMount() (fd int, err error) {
	conf, err := unix.Fsopen("tracefs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(conf)
	if err := unix.FsconfigCreate(conf); err != nil {
		return -1, err
	}
	return unix.Fsmount(conf, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
}

// sweepInstances removes what dead processes have left. The kernel refuses
// (EBUSY) where somebody still reads one, as does a process of another PID
// namespace, whose PID only seems to be dead from here.
func sweepInstances(root string) {
	left, _ := filepath.Glob(filepath.Join(root, "instances", instancePrefix+"*"))
	for _, dir := range left {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), instancePrefix))
		if err == nil && (pid == os.Getpid() || errors.Is(unix.Kill(pid, 0), unix.ESRCH)) {
			_ = unix.Rmdir(dir)
		}
	}
}

// begin makes the instance and turns the events on.
func (e *Events) begin() error {
	if err := os.Mkdir(e.dir, 0o700); err != nil {
		e.dir = "" // not ours to remove
		return fmt.Errorf("kernel events: making a trace instance: %w (needs root and Linux 4.x with CONFIG_TRACING)", err)
	}
	kb := max(64, bufferTotal/runtime.NumCPU())
	if err := e.set("buffer_size_kb", strconv.Itoa(kb)); err != nil {
		return err
	}
	e.clock = e.set("trace_clock", "mono") == nil
	if !e.clock {
		e.Said = append(e.Said, "this kernel's trace has no monotonic clock: its events bear the time at which they were read")
	}
	// Instances copy the options of the whole system's trace, which somebody
	// may have changed. An option that a kernel lacks cannot be in the way.
	for _, o := range [...]string{"context-info 1", "irq-info 1", "record-cmd 1", "record-tgid 1", "overwrite 1",
		"raw 0", "hex 0", "bin 0", "fields 0", "verbose 0", "latency-format 0"} {
		name, value, _ := strings.Cut(o, " ")
		_ = e.set("options/"+name, value)
	}
	pipe, err := unix.Open(filepath.Join(e.dir, "trace_pipe"), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("kernel events: trace_pipe: %w", err)
	}
	e.pipe = pipe
	return e.enable()
}

// enable turns on what the kernel has, and notes what it lacks.
func (e *Events) enable() error {
	on := 0
	for k := range kinds {
		t := tracepoints[k]
		dir := filepath.Join("events", t.system, t.name)
		format, err := os.ReadFile(filepath.Join(e.dir, dir, "format"))
		if errors.Is(err, fs.ErrNotExist) {
			e.Said = append(e.Said, fmt.Sprintf("this kernel has no tracepoint %s (Linux %s)", t.name, t.since))
			continue
		}
		if err != nil {
			return fmt.Errorf("kernel events: %w", err)
		}
		e.narrow(k, dir, formatFields(string(format)))
		if err := e.set(filepath.Join(dir, "enable"), "1"); err != nil {
			return err
		}
		on++
	}
	if on == 0 {
		return errors.New("kernel events: this kernel has none of the tracepoints of TCP sockets (they came with Linux 4.16): nothing to follow")
	}
	return nil
}

// endings are the changes of state that end a connection, or a half of it:
// those before tell nothing that packets do not, those after (of an orphan)
// nothing about a program. By the numbers of TCP_FIN_WAIT1 (4), TCP_LAST_ACK
// (9) and TCP_CLOSE (7), the latter from TCP_ESTABLISHED (1), TCP_SYN_SENT
// (2), TCP_SYN_RECV (3) and TCP_CLOSE_WAIT (8).
const endings = "newstate == 4 || newstate == 9 || " +
	"newstate == 7 && (oldstate == 1 || oldstate == 2 || oldstate == 3 || oldstate == 8)"

// narrow keeps other protocols out in the kernel, where it can, and says what
// an older kernel's event lacks.
func (e *Events) narrow(k kind, dir string, has map[string]bool) {
	filter := "protocol == 6 || protocol == 262" // TCP and MPTCP
	if k == stateChange {
		filter = "(" + filter + ") && (" + endings + ")"
	}
	if has["protocol"] {
		_ = e.set(filepath.Join(dir, "filter"), filter) // without it more is read than is needed
	}
	if k == sentReset && !has["reason"] {
		e.Said = append(e.Said, "this kernel does not tell the reason of a reset (Linux 6.10)")
	}
	if k == sentReset && has["saddr_v6"] {
		e.Said = append(e.Said, "this kernel does not tell of resets that it sends without a socket (Linux 6.10)")
	}
}

func (e *Events) set(file, value string) error {
	f, err := os.OpenFile(filepath.Join(e.dir, file), os.O_WRONLY|os.O_TRUNC, 0)
	if err == nil {
		_, err = f.WriteString(value)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("kernel events: %w", err)
	}
	return nil
}

// follow empties the kernel's buffer, until Close.
func (e *Events) follow() {
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-tick.C:
			for more := true; more; {
				e.mu.Lock()
				more = e.drain(turn)
				e.mu.Unlock()
			}
		}
	}
}

// turn is how long the words are kept from others while events are read.
const turn = 20 * time.Millisecond

// drain reads what the kernel has for us now, for so long at most, and reports
// whether there may be more. The caller holds mu.
func (e *Events) drain(most time.Duration) (more bool) {
	if e.closed {
		return false
	}
	start := time.Now()
	defer func() { e.stats.Read += time.Since(start) }()
	for time.Since(start) < most {
		n, err := unix.Read(e.pipe, e.buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n <= 0 {
			return false // EAGAIN: empty; anything else does not get better by asking again
		}
		offset, now := e.offset()
		text := e.partial + string(e.buf[:n])
		whole := strings.LastIndexByte(text, '\n') + 1
		e.partial = text[whole:]
		if len(e.partial) > len(e.buf) {
			e.partial = "" // no line is that long
		}
		e.take(text[:whole], offset, now)
	}
	return true
}

// offset is what turns the trace's time into the wall clock's, as it is now.
func (e *Events) offset() (offset, now int64) {
	var mono, wall unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_REALTIME, &wall) // these two clocks are always there
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono)
	if !e.clock {
		return 0, wall.Nano()
	}
	return wall.Nano() - mono.Nano(), 0
}

// Close stops following and removes the trace instance, and its mount. What was said stays to be asked.
func (e *Events) Close() error {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.drain(time.Second)
	e.closed = true
	close(e.stop)
	e.mu.Unlock()
	e.done.Wait()
	return e.remove()
}

// remove undoes what OpenEvents did, as far as that came.
func (e *Events) remove() error {
	var err error
	for k := range kinds {
		if e.dir == "" {
			break
		}
		_ = e.set(filepath.Join("events", tracepoints[k].system, tracepoints[k].name, "enable"), "0") // gone with the instance anyway
	}
	if e.pipe >= 0 {
		err = unix.Close(e.pipe)
		e.pipe = -1
	}
	if rm := unix.Rmdir(e.dir); e.dir != "" && rm != nil && !errors.Is(rm, unix.ENOENT) {
		err = errors.Join(err, fmt.Errorf("kernel events: removing %s: %w", e.dir, rm))
	}
	if um := e.unmount(); um != nil {
		err = errors.Join(err, fmt.Errorf("kernel events: unmounting tracefs: %w", um))
	}
	return err
}

// threadGroup is the process that a thread belongs to; 0 if it is gone.
func threadGroup(proc string, tid int) int {
	text, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(tid), "status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "Tgid:"); ok {
			pid, _ := strconv.Atoi(strings.TrimSpace(v))
			return pid
		}
	}
	return 0
}

func errnoName(n int) string {
	if unix.Errno(n) == unix.EOPNOTSUPP {
		return "EOPNOTSUPP" // the kernel's name; ENOTSUP is the library's for the same number
	}
	if name := unix.ErrnoName(unix.Errno(n)); name != "" {
		return name
	}
	return "errno " + strconv.Itoa(n)
}
