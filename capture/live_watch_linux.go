package capture

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// watchEvery is how narrow the time of a loss is known. It does not wait
	// for Next: whoever calls that may be what is slow.
	watchEvery = 100 * time.Millisecond
	// maxOutages is how many of an interface are remembered.
	maxOutages = 32
	// sameOutage (ns): the kernel's report of an outage may be read after
	// the interface was seen up again.
	sameOutage = 1e9
)

// linkState is what became of an interface.
type linkState struct {
	down    bool
	gone    bool
	counted int64 // wall clock when the counters were read last
}

// watch reads counters and states of the interfaces until Close.
func (l *Live) watch() {
	defer l.watched.Done()
	every := time.NewTicker(watchEvery)
	defer every.Stop()
	for {
		select {
		case <-l.quit:
			return
		case <-every.C:
		}
		l.survey()
	}
}

func (l *Live) survey() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.feeds {
		if f.ring != nil {
			l.lost(f)
			l.look(f)
		}
	}
}

// lost adds what the kernel dropped since the last call: reading the counters
// resets them. It needs mu.
func (l *Live) lost(f *feed) {
	now := l.Now()
	from := f.state.counted
	f.state.counted = now
	stats, err := unix.GetsockoptTpacketStatsV3(f.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil || stats.Drops == 0 {
		return
	}
	f.Drops += uint64(stats.Drops)
	l.drops.add(DropEvent{From: min(from, now), To: now, N: uint64(stats.Drops), Iface: uint16(f.number)})
}

// look finds out whether a feed's interface is there, and up. It needs mu.
func (l *Live) look(f *feed) {
	if f.index == 0 || f.state.gone {
		return
	}
	// A bound socket forgets its interface when that is removed, even if
	// another has got the same name or index since.
	if addr, err := unix.Getsockname(f.fd); err == nil {
		if ll, ok := addr.(*unix.SockaddrLinklayer); ok && ll.Ifindex != f.index {
			f.state.gone = true
			f.Err, f.Broken = fmt.Errorf("%s: the interface was removed: what was captured until then is reported", f.Name), true
			l.mark(f, true)
			return
		}
	}
	if flags, err := l.flagsOf(l.nameOf(f.index)); err == nil {
		l.mark(f, flags&unix.IFF_UP == 0)
	}
}

// mark notes that an interface is down, or up again. It needs mu.
func (l *Live) mark(f *feed, down bool) {
	switch {
	case down && !f.state.down:
		if len(f.Outages) == maxOutages {
			f.Outages = slices.Delete(f.Outages, 0, 1)
		}
		f.Outages = append(f.Outages, Outage{From: l.Now()})
	case !down && f.state.down:
		f.Outages[len(f.Outages)-1].To = l.Now()
	}
	f.state.down = down
}

// troubled clears the error of a socket, which says that its interface went
// down: packets go on when it comes up. That may have been in between.
func (l *Live) troubled(fd int32) {
	cause, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.feeds, func(f *feed) bool { return f.ring != nil && f.fd == int(fd) })
	if i < 0 {
		return
	}
	f := l.feeds[i]
	if err == nil && unix.Errno(cause) == unix.ENETDOWN && !f.state.down {
		if n := len(f.Outages); n == 0 || l.Now()-f.Outages[n-1].To > sameOutage {
			l.mark(f, true)
		}
	}
	l.look(f)
}

// flagsOf are the IFF_ bits of an interface.
func (l *Live) flagsOf(name string) (uint16, error) {
	q, err := unix.NewIfreq(name)
	if err == nil {
		err = unix.IoctlIfreq(l.control, unix.SIOCGIFFLAGS, q)
	}
	if err != nil {
		return 0, err
	}
	return q.Uint16(), nil
}

// nameOf is the name of the interface with the kernel's index; that in
// words if it is gone.
func (l *Live) nameOf(index int) string {
	q, err := unix.NewIfreq("")
	if err == nil {
		q.SetUint32(uint32(index))
		err = unix.IoctlIfreq(l.control, unix.SIOCGIFNAME, q)
	}
	if err != nil {
		return fmt.Sprintf("interface %d", index)
	}
	return q.Name()
}

// indexOf is the kernel's index of an interface, and its hardware type.
func (l *Live) indexOf(name string) (index int, hardware uint16, err error) {
	q, err := unix.NewIfreq(name)
	if err == nil {
		err = unix.IoctlIfreq(l.control, unix.SIOCGIFINDEX, q)
	}
	if errors.Is(err, unix.EINVAL) {
		err = unix.ENODEV // names of more than 15 bytes
	}
	if err != nil {
		return 0, 0, err
	}
	index = int(q.Uint32())
	if err := unix.IoctlIfreq(l.control, unix.SIOCGIFHWADDR, q); err != nil {
		return 0, 0, err
	}
	return index, q.Uint16(), nil // sa_family
}
