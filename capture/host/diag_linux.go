package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Layout of struct inet_diag_req_v2 and inet_diag_msg (linux/inet_diag.h).
const (
	sockDiagByFamily = 20 // SOCK_DIAG_BY_FAMILY
	diagRequestLen   = 56
	diagMessageLen   = 72
	attrV6Only       = 11 // INET_DIAG_SKV6ONLY

	stateListen   = 10 // TCP_LISTEN
	statesListen  = 1 << stateListen
	statesOfConns = 1<<1 | 1<<2 | 1<<3 | 1<<4 | 1<<5 | 1<<8 | 1<<9 | 1<<11 | 1<<12 // all but TIME_WAIT, CLOSE, LISTEN: TIME_WAIT has no owner
)

// sock is one socket as the kernel describes it.
type sock struct {
	endpoint
	state  uint8
	v6     bool // AF_INET6, which may hold IPv4 connections
	v6only bool
	uid    uint32
	inode  uint32 // 0: nobody's, not accepted yet or closed
}

// queued reports a connection that no Accept has returned yet. One that was
// closed has no inode either, but is in another state.
func (s sock) queued() bool {
	const states = 1<<1 | 1<<3 | 1<<8 | 1<<12 // ESTABLISHED, SYN_RECV, CLOSE_WAIT, NEW_SYN_RECV
	return s.inode == 0 && 1<<s.state&states != 0
}

// diag asks the kernel for sockets of the namespace in which it was opened.
type diag struct{ conn *netlink.Conn }

func openDiag() (diag, error) {
	conn, err := netlink.Dial(unix.NETLINK_SOCK_DIAG, &netlink.Config{MessageBufferSize: 64 << 10})
	if err != nil {
		return diag{}, fmt.Errorf("processes of connections: opening sock_diag: %w", err)
	}
	return diag{conn}, nil
}

func request(family uint8, states uint32, e endpoint, link uint32) []byte {
	b := make([]byte, diagRequestLen)
	b[0], b[1] = family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(b[4:], states)
	binary.BigEndian.PutUint16(b[8:], e.local.Port())
	binary.BigEndian.PutUint16(b[10:], e.remote.Port())
	if e.local.IsValid() {
		copy(b[12:28], e.local.Addr().AsSlice())
	}
	if e.remote.IsValid() {
		copy(b[28:44], e.remote.Addr().AsSlice())
	}
	binary.NativeEndian.PutUint32(b[44:], link)
	binary.NativeEndian.PutUint64(b[48:], ^uint64(0)) // INET_DIAG_NOCOOKIE
	return b
}

// one asks for a single connection. The kernel looks it up as if a packet had
// come for it (inet_diag_find_one_icsk): what answers is its own socket, be
// it AF_INET or AF_INET6, or else the listener that would take it. ok is
// false if there is neither.
func (d diag) one(e endpoint, link uint32) (s sock, ok bool, err error) {
	family := uint8(unix.AF_INET)
	if e.local.Addr().Is6() {
		family = unix.AF_INET6
	}
	replies, err := d.conn.Execute(netlink.Message{
		Header: netlink.Header{Type: sockDiagByFamily, Flags: netlink.Request},
		Data:   request(family, ^uint32(0), e, link),
	})
	if errors.Is(err, unix.ENOENT) {
		return sock{}, false, nil
	}
	if err != nil || len(replies) == 0 {
		return sock{}, false, err
	}
	s, ok = parseSock(replies[0].Data)
	return s, ok, nil
}

// all calls f with every TCP socket in one of the states.
func (d diag) all(states uint32, f func(sock)) error {
	for _, family := range [...]uint8{unix.AF_INET, unix.AF_INET6} {
		_, err := d.conn.Send(netlink.Message{
			Header: netlink.Header{Type: sockDiagByFamily, Flags: netlink.Request | netlink.Dump},
			Data:   request(family, states, endpoint{}, 0),
		})
		if err != nil {
			return err
		}
		for m, err := range d.conn.ReceiveIter() {
			if family == unix.AF_INET6 && errors.Is(err, unix.ENOENT) {
				break // a kernel without IPv6
			}
			if err != nil {
				return err
			}
			if s, ok := parseSock(m.Data); ok {
				f(s)
			}
		}
	}
	return nil
}

// listeners are all that listen, by their port.
func (d diag) listeners() (map[uint16][]sock, error) {
	ls := map[uint16][]sock{}
	err := d.all(statesListen, func(k sock) { ls[k.local.Port()] = append(ls[k.local.Port()], k) })
	return ls, err
}

func parseSock(b []byte) (s sock, ok bool) {
	if len(b) < diagMessageLen {
		return s, false
	}
	s.state, s.v6 = b[1], b[0] == unix.AF_INET6
	s.local = sockAddr(b[0], b[8:24], b[4:6])
	s.remote = sockAddr(b[0], b[24:40], b[6:8])
	s.uid = binary.NativeEndian.Uint32(b[64:])
	s.inode = binary.NativeEndian.Uint32(b[68:])
	if s.v6 && s.state == stateListen {
		s.v6only = v6Only(b[diagMessageLen:])
	}
	return s, s.local.IsValid()
}

func v6Only(attrs []byte) bool {
	ad, err := netlink.NewAttributeDecoder(attrs)
	if err != nil {
		return false
	}
	for ad.Next() {
		if ad.Type() == attrV6Only {
			return ad.Uint8() != 0
		}
	}
	return false
}

func sockAddr(family uint8, addr, port []byte) netip.AddrPort {
	n := 4
	if family == unix.AF_INET6 {
		n = 16
	}
	a, _ := netip.AddrFromSlice(addr[:n])
	return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(port))
}
