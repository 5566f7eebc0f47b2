package capture

import (
	"cmp"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// linkOf is the link type of frames on an interface of the given hardware
// type, and whether the kernel is to take their own link headers off. It is
// where they are of no use, or differ from driver to driver: some PPP devices
// have one, others not.
func linkOf(hardware uint16) (link uint16, cooked bool) {
	switch hardware {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return linkEthernet, false
	case unix.ARPHRD_NONE, unix.ARPHRD_RAWIP:
		return linkRaw, false
	case unix.ARPHRD_IEEE80211:
		return linkWiFi, false
	case unix.ARPHRD_IEEE80211_PRISM:
		return linkPrism, false
	case unix.ARPHRD_IEEE80211_RADIOTAP:
		return linkRadiotap, false
	case unix.ARPHRD_CISCO:
		return linkCHDLC, false
	}
	return linkSLL2, true
}

// Interfaces lists what OpenLive can capture on, in tcpdump's order: those
// that are up and running first, AnyInterface and the loopback behind the
// others, those that are down last.
func Interfaces() ([]Interface, error) {
	list, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	control, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(control)
	all := []Interface{{Name: AnyInterface, Flags: net.FlagUp | net.FlagRunning, Link: LinkName(linkSLL2), Up: true, Running: true}}
	for _, i := range list {
		all = append(all, describeInterface(&Live{control: control}, i))
	}
	slices.SortStableFunc(all, func(a, b Interface) int { return cmp.Compare(a.merit(), b.merit()) })
	return all, nil
}

func describeInterface(l *Live, i net.Interface) Interface {
	d := Interface{
		Name: i.Name, Index: i.Index, Flags: i.Flags,
		Up: i.Flags&net.FlagUp != 0, Running: i.Flags&net.FlagRunning != 0, Loopback: i.Flags&net.FlagLoopback != 0,
	}
	if _, hardware, err := l.indexOf(i.Name); err == nil {
		link, _ := linkOf(hardware)
		d.Link = LinkName(link)
	}
	addrs, _ := i.Addrs() // it may have been removed by now
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				ones, _ := n.Mask.Size()
				d.Addrs = append(d.Addrs, netip.PrefixFrom(ip.Unmap(), ones))
			}
		}
	}
	return d
}

// merit orders interfaces, the least first.
func (i *Interface) merit() (n int) {
	if !i.Running {
		n |= 8
	}
	if !i.Up {
		n |= 4
	}
	if i.Loopback {
		n |= 2
	}
	if i.Name == AnyInterface {
		n |= 1
	}
	return n
}
