package host

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxInodes bounds the table of who holds what.
const maxInodes = 1 << 17

// holders tells which processes held which socket when they were looked at.
type holders struct {
	proc   string
	by     map[uint32][]int // inode to PIDs, ascending
	at     time.Duration    // since boot: when the oldest of it was read
	people map[int]*person  // by PID
}

// person is a process, as it was when it was first needed.
type person struct {
	pid     int
	start   time.Duration // since boot
	checked time.Duration // since boot: when it was last seen to be the same
	comm    string
	args    string
	cgroup  string
	placement
}

// recheck is how long a PID is believed to be the same process.
const recheck = time.Second

// clockTick is the unit of start times in /proc/PID/stat: USER_HZ, 100 on all
// of Linux's systems that Go runs on.
const clockTick = time.Second / 100

func newHolders(proc string) *holders {
	return &holders{proc: proc, by: map[uint32][]int{}, people: map[int]*person{}, at: sinceBoot()}
}

func sinceBoot() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) // since Linux 2.6.39
	return time.Duration(ts.Nano())
}

// pids are those of all processes now.
func (h *holders) pids() []int {
	dir, err := os.Open(h.proc)
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // what was read before an error is as good
	var list []int
	for _, n := range names {
		if pid, err := strconv.Atoi(n); err == nil {
			list = append(list, pid)
		}
	}
	slices.Sort(list)
	return list
}

// look reads which sockets one process holds into a table.
func (h *holders) look(pid int, into map[uint32][]int) (denied bool) {
	dir, err := os.Open(filepath.Join(h.proc, strconv.Itoa(pid), "fd"))
	if err != nil {
		return errors.Is(err, os.ErrPermission)
	}
	defer dir.Close()
	fd := int(dir.Fd())
	var link [64]byte
	for {
		names, err := dir.Readdirnames(512)
		for _, name := range names {
			n, err := unix.Readlinkat(fd, name, link[:])
			if err != nil {
				if errors.Is(err, unix.EACCES) {
					return true
				}
				continue
			}
			inode, ok := socketInode(link[:n])
			if !ok {
				continue
			}
			held, known := into[inode]
			if !known && len(into) >= maxInodes {
				continue
			}
			if i, found := slices.BinarySearch(held, pid); !found && len(held) < maxHolders {
				into[inode] = slices.Insert(held, i, pid)
			}
		}
		if err != nil || len(names) == 0 {
			return false
		}
	}
}

// socketInode reads "socket:[12345]".
func socketInode(link []byte) (uint32, bool) {
	rest, ok := bytes.CutPrefix(link, []byte("socket:["))
	if !ok || len(rest) < 2 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(rest[:len(rest)-1]), 10, 32)
	return uint32(n), err == nil
}

// person is the process that a PID stood for at the time seen (since boot);
// nil if it is gone, or the PID is another process's by now.
func (h *holders) person(pid int, seen time.Duration) *person {
	now := sinceBoot()
	p := h.people[pid]
	if p != nil && now-p.checked < recheck {
		return older(p, seen)
	}
	start, ok := h.startOf(pid)
	if !ok {
		delete(h.people, pid)
		return nil
	}
	if p == nil || p.start != start {
		if len(h.people) >= 4096 {
			clear(h.people)
		}
		p = h.describe(pid, start)
		h.people[pid] = p
	}
	p.checked = now
	// A program that was started by exec has another name now.
	p.comm = strings.TrimSuffix(h.read(pid, "comm", 64), "\n")
	return older(p, seen)
}

// older refuses a process that began after its PID was seen. The unit of
// start times is coarse.
func older(p *person, seen time.Duration) *person {
	if p.start > seen+clockTick {
		return nil
	}
	return p
}

// startOf is the 22nd field of /proc/PID/stat; the second, the command, may
// hold blanks and parentheses.
func (h *holders) startOf(pid int) (time.Duration, bool) {
	text := h.read(pid, "stat", 1024)
	i := strings.LastIndexByte(text, ')')
	if i < 0 {
		return 0, false
	}
	f := strings.Fields(text[i+1:])
	if len(f) < 20 {
		return 0, false
	}
	ticks, err := strconv.ParseInt(f[19], 10, 64)
	return time.Duration(ticks) * clockTick, err == nil
}

func (h *holders) describe(pid int, start time.Duration) *person {
	p := &person{pid: pid, start: start}
	p.args = printable(h.read(pid, "cmdline", maxArgs))
	p.cgroup = groupPath(h.read(pid, "cgroup", 8192))
	p.placement = locate(p.cgroup)
	return p
}

// read is the begin of a file of a process, "" if there is none.
func (h *holders) read(pid int, name string, most int) string {
	f, err := os.Open(filepath.Join(h.proc, strconv.Itoa(pid), name))
	if err != nil {
		return ""
	}
	defer f.Close()
	buf := make([]byte, most)
	n, _ := f.Read(buf) // procfs gives a whole small file at once
	return string(buf[:max(n, 0)])
}

// printable parts arguments by blanks; a command line is the process's own
// memory, and may hold anything.
func printable(args string) string {
	args = strings.TrimRight(args, "\x00")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(args, "?"))
}

func isNoBuffers(err error) bool { return errors.Is(err, unix.ENOBUFS) }
