package host

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync/atomic"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// locals are the addresses of this network namespace.
type locals struct {
	conn    *netlink.Conn // asked
	news    *netlink.Conn // told of changes
	link    map[netip.Addr]uint32
	changed atomic.Bool
}

func openLocals() (*locals, error) {
	l := &locals{}
	var err error
	if l.conn, err = netlink.Dial(unix.NETLINK_ROUTE, nil); err != nil {
		return nil, fmt.Errorf("addresses of this host: %w", err)
	}
	// RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR
	if l.news, err = netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{Groups: unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR}); err != nil {
		_ = l.conn.Close()
		return nil, fmt.Errorf("changes of this host's addresses: %w", err)
	}
	if err := l.refresh(); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// listen notes changes, until close. A message lost to a full buffer
// (ENOBUFS) is a change too.
func (l *locals) listen(done <-chan struct{}) {
	for {
		_, err := l.news.Receive()
		select {
		case <-done:
			return
		default:
		}
		l.changed.Store(true)
		if err != nil && !isNoBuffers(err) {
			return
		}
	}
}

func (l *locals) close() {
	_ = l.conn.Close()
	_ = l.news.Close()
}

// refresh asks for all addresses.
func (l *locals) refresh() error {
	l.changed.Store(false)
	replies, err := l.conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETADDR, Flags: netlink.Request | netlink.Dump},
		Data:   make([]byte, unix.SizeofIfAddrmsg),
	})
	if err != nil {
		return fmt.Errorf("addresses of this host: %w", err)
	}
	link := map[netip.Addr]uint32{}
	for _, m := range replies {
		if len(m.Data) < unix.SizeofIfAddrmsg {
			continue
		}
		index := binary.NativeEndian.Uint32(m.Data[4:])
		ad, err := netlink.NewAttributeDecoder(m.Data[unix.SizeofIfAddrmsg:])
		if err != nil {
			continue
		}
		for ad.Next() {
			// IFA_ADDRESS is the peer's on point-to-point links with IFA_LOCAL.
			if t := ad.Type(); t == unix.IFA_LOCAL || t == unix.IFA_ADDRESS {
				if a, ok := netip.AddrFromSlice(ad.Bytes()); ok && (t == unix.IFA_LOCAL || a.Is6() || link[a] == 0) {
					link[a] = index
				}
			}
		}
	}
	l.link = link
	return nil
}

// has reports whether the address is this host's, and its interface.
func (l *locals) has(a netip.Addr) (link uint32, ok bool) {
	link, ok = l.link[a]
	return link, ok || a.IsLoopback()
}
