package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hangup/capture/filter"
)

// next waits for the next packet, however many ticks that takes.
func next(t testing.TB, l *Live, b *Batch) *Packet {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if err := l.Next(b); err != nil {
			t.Fatalf("Next: %v", err)
		}
		if len(b.Packets) > 0 {
			return &b.Packets[0]
		}
	}
	t.Fatal("no packet came")
	return nil
}

// tagged is numbered with tags, each of type and identifier, behind the addresses.
func withTags(frame []byte, tags ...uint16) []byte {
	f := slices.Clone(frame[:12])
	for _, tag := range tags {
		f = binary.BigEndian.AppendUint16(f, tag)
	}
	return append(f, frame[12:]...)
}

// TestLiveVLAN: the kernel takes the outer tag out of a frame. What a Tap
// gets has to be what was sent, tags and their types included.
func TestLiveVLAN(t *testing.T) {
	p := newPlace(t)
	p.veth("va", "vb")
	frames := map[string][]byte{
		"":                     numbered(1, 9),
		"vlan 100":             withTags(numbered(2, 9), 0x8100, 100),
		"vlan 200":             withTags(numbered(3, 9), 0x88a8, 0xe000|200),
		"vlan 300 in vlan 400": withTags(numbered(4, 9), 0x88a8, 400, 0x8100, 300),
	}
	for _, name := range []string{"vb", "any"} {
		var got *Frame
		l := p.open(LiveConfig{Interfaces: []string{name}, Tick: 10 * time.Millisecond, Tap: func(f *Frame, p *Packet) {
			if !p.Has(Outbound) {
				frame := *f
				frame.Data = slices.Clone(f.Data)
				got = &frame
			}
		}})
		s := p.sender("va")
		for encap, frame := range frames {
			got = nil
			s.send(frame)
			var b Batch
			var pkt Packet
			for end := time.Now().Add(20 * time.Second); got == nil && time.Now().Before(end); {
				if err := l.Next(&b); err != nil {
					t.Fatal(err)
				}
				if i := slices.IndexFunc(b.Packets, func(p Packet) bool { return !p.Has(Outbound) }); i >= 0 {
					pkt = b.Packets[i]
				}
			}
			if got == nil || l.Encap(pkt.Encap) != encap || pkt.Kind != TCP || pkt.Len != 9 {
				t.Fatalf("%s: %q came as %+v, %q", name, encap, pkt, l.Encap(pkt.Encap))
			}
			want := frame
			if name == "any" {
				// The tag's type is the header's protocol, its identifier comes behind it.
				if want = frame[14:]; !bytes.Equal(got.Data[:2], frame[12:14]) || got.Link != linkSLL2 {
					t.Errorf("any: %q: link %d, header % x", encap, got.Link, got.Data[:20])
				}
				got.Data = got.Data[20:]
				got.WireLen -= 20
			}
			if !bytes.Equal(got.Data, want) || int(got.WireLen) != len(want) {
				t.Errorf("%s: %q: %d bytes on the wire, % x\nwant % x", name, encap, got.WireLen, got.Data, want)
			}
		}
		l.Close()
	}
}

// TestLiveLoopback: whatever the loopback interface sends it receives, and
// the kernel shows both.
func TestLiveLoopback(t *testing.T) {
	p := newPlace(t)
	p.sh("ip link set lo up")
	for _, name := range []string{"lo", "any"} {
		l := p.open(LiveConfig{Interfaces: []string{name}})
		dialAndSend(t, p, p, "127.0.0.1:0", 100)
		l.Stop()
		var ps []Packet
		untilEnd(t, l, func(b *Batch, p *Packet) { ps = append(ps, *p) })
		checkStreams(t, ps, 100)
		var syns, dirs int
		for i := range ps {
			if ps[i].Flags&(SYN|ACK) == SYN {
				syns++
			}
			if ps[i].Has(Inbound) {
				dirs++
			}
		}
		if syns != 1 || dirs != len(ps) {
			t.Errorf("%s: %d SYNs, %d of %d packets inbound", name, syns, dirs, len(ps))
		}
	}
}

// dialAndSend sends n bytes from one place to the other and closes both ends.
func dialAndSend(t testing.TB, from, to *place, addr string, n int) {
	t.Helper()
	var ln net.Listener
	var err error
	to.do(func() { ln, err = net.Listen("tcp", addr) })
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	received := make(chan int64)
	go func() {
		var n int64
		if c, err := ln.Accept(); err == nil {
			n, _ = io.Copy(io.Discard, c)
			c.Close()
		}
		received <- n
	}()
	var c net.Conn
	from.do(func() { c, err = net.Dial("tcp", ln.Addr().String()) })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := <-received; got != int64(n) {
		t.Fatalf("%d of %d bytes arrived", got, n)
	}
	_, _ = c.Read(make([]byte, 1)) // the peer's FIN
	c.Close()
}

// checkStreams checks that the packets hold each byte that was sent, whatever
// was sent twice.
func checkStreams(t testing.TB, ps []Packet, want uint32) {
	t.Helper()
	type run struct{ from, to uint32 }
	var runs []run
	var client uint16
	var isn uint32
	for i := range ps {
		switch p := &ps[i]; {
		case p.Kind != TCP:
			t.Errorf("%+v", p)
		case p.Flags&(SYN|ACK) == SYN:
			client, isn = p.SrcPort, p.Seq
		case p.SrcPort == client && p.Len > 0:
			runs = append(runs, run{p.Seq - isn - 1, p.Seq - isn - 1 + p.Len})
		}
	}
	slices.SortFunc(runs, func(a, b run) int { return int(a.from) - int(b.from) })
	end := uint32(0)
	for _, r := range runs {
		if r.from > end {
			t.Errorf("bytes %d to %d are missing", end, r.from)
		}
		end = max(end, r.to)
	}
	if end != want {
		t.Errorf("%d bytes of payload in %d packets, want %d", end, len(ps), want)
	}
}

// TestLiveSuperframes: the stack hands packets of up to 64 KiB to the
// interface, which must come whole.
func TestLiveSuperframes(t *testing.T) {
	const n = 8 << 20
	a, b := newPlace(t), newPlace(t)
	a.sh("ip link add va type veth peer name vb\n ip link set vb netns " + b.path + "\n ip addr add 192.0.2.1/24 dev va\n ip link set va up")
	b.sh("ip addr add 192.0.2.2/24 dev vb\n ip link set vb up")
	l := a.open(LiveConfig{Interfaces: []string{"va"}, Snaplen: MaxSnaplen})
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer l.Stop()
		dialAndSend(t, a, b, "192.0.2.2:0", n)
	}()
	var ps []Packet
	var largest, captured uint32
	untilEnd(t, l, func(b *Batch, p *Packet) {
		if p.Kind == TCP {
			ps = append(ps, *p)
			largest = max(largest, p.Len)
			captured += p.CapLen
		}
	})
	<-done
	checkStreams(t, ps, n)
	if largest < 16<<10 || captured < n {
		t.Errorf("largest packet has %d bytes, %d bytes captured of %d", largest, captured, n)
	}
	fins := map[uint16]bool{}
	for i := range ps {
		if ps[i].Flags.Has(FIN) {
			fins[ps[i].SrcPort] = true
		}
	}
	if len(fins) != 2 {
		t.Errorf("FINs of ports %v: the end of the connection is missing", fins)
	}
}

// TestLiveSeveralInterfaces: packets sent by turns on two links come in that
// order, each as of its own interface.
func TestLiveSeveralInterfaces(t *testing.T) {
	const n = 5000
	p := newPlace(t)
	p.veth("va", "vb")
	p.veth("vc", "vd")
	for _, names := range [][]string{{"vb", "vd"}, {"any"}} {
		l := p.open(LiveConfig{Interfaces: names})
		s := []*sender{p.sender("va"), p.sender("vc")}
		before := p.dropped("va", "vb", "vc", "vd")
		go func() {
			for i := range uint32(n) {
				s[i%2].send(numbered(i, 0))
			}
			l.Stop()
		}()
		seq, got := uint32(0), uint64(0)
		untilEnd(t, l, func(b *Batch, p *Packet) {
			if !p.Has(Inbound) {
				return // "any" shows those sent as well
			}
			if want := []string{"vb", "vd"}[p.Seq%2]; p.Seq < seq || l.InterfaceName(p.Iface) != want {
				t.Fatalf("after packet %d comes %d of %s", seq, p.Seq, l.InterfaceName(p.Iface))
			}
			if b.Now == 0 || b.Now < b.Packets[len(b.Packets)-1].Time-settling {
				t.Fatalf("now is %d at %d", b.Now, p.Time)
			}
			got++
			seq = p.Seq + 1
		})
		dropped := p.dropped("va", "vb", "vc", "vd") - before
		if got+dropped != n {
			t.Errorf("%v: %d packets of %d, %d were dropped before", names, got, n, dropped)
		}
		for _, in := range l.Inputs() {
			if in.Drops != 0 || in.Backwards != 0 || in.Packets == 0 {
				t.Errorf("%+v", in)
			}
		}
		l.Close()
	}
}

func TestLiveDownAndUp(t *testing.T) {
	p := newPlace(t)
	p.veth("va", "vb")
	l := p.open(LiveConfig{Interfaces: []string{"vb"}, Tick: 20 * time.Millisecond})
	s := p.sender("va")
	var b Batch
	s.send(numbered(1, 0))
	if got := next(t, l, &b); got.Seq != 1 {
		t.Fatalf("%+v", got)
	}
	for i := range uint32(2) {
		p.sh("ip link set vb down")
		if i == 1 { // once with, and once without, somebody looking meanwhile
			for range 10 {
				if err := l.Next(&b); err != nil || b.Now == 0 {
					t.Fatalf("now %d, %v", b.Now, err)
				}
			}
		}
		p.sh("ip link set vb up")
		s.untilSeen(l, 2+i)
		time.Sleep(2 * watchEvery) // that it is up may be noticed later
	}
	in := l.Inputs()[0]
	if len(in.Outages) == 0 || in.Outages[0].To < in.Outages[0].From || in.Outages[len(in.Outages)-1].To == 0 || in.Err != nil {
		t.Errorf("%+v", in)
	}
}

// TestLiveDownFromTheStart: a link that comes up later is no error.
func TestLiveDownFromTheStart(t *testing.T) {
	p := newPlace(t)
	p.veth("va", "vb")
	p.sh("ip link set vb down")
	l := p.open(LiveConfig{Interfaces: []string{"vb"}, Tick: 20 * time.Millisecond})
	if in := l.Inputs()[0]; len(in.Outages) != 1 || in.Outages[0].To != 0 {
		t.Errorf("%+v", in)
	}
	p.sh("ip link set vb up")
	p.sender("va").untilSeen(l, 7)
}

// untilSeen sends a packet over and over until it is captured: a link that
// came up drops some at first.
func (s *sender) untilSeen(l *Live, seq uint32) {
	s.t.Helper()
	var b Batch
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		s.send(numbered(seq, 0))
		if err := l.Next(&b); err != nil {
			s.t.Fatal(err)
		}
		if slices.ContainsFunc(b.Packets, func(p Packet) bool { return p.Seq == seq }) {
			return
		}
	}
	s.t.Fatalf("packet %d never came", seq)
}

// TestLiveRemoved: an interface that goes away ends its input, after its
// last packet, and no other's.
func TestLiveRemoved(t *testing.T) {
	p := newPlace(t)
	p.veth("va", "vb")
	p.veth("vc", "vd")
	l := p.open(LiveConfig{Interfaces: []string{"vb", "vd"}, Tick: 20 * time.Millisecond})
	p.sender("va").send(numbered(1, 0))
	p.sh("ip link del va")
	s := p.sender("vc")
	var b Batch
	if got := next(t, l, &b); got.Seq != 1 {
		t.Fatalf("%+v", got)
	}
	for end := time.Now().Add(20 * time.Second); l.Inputs()[0].Err == nil && time.Now().Before(end); {
		if err := l.Next(&b); err != nil {
			t.Fatal(err)
		}
	}
	s.send(numbered(2, 0))
	if got := next(t, l, &b); got.Seq != 2 {
		t.Fatalf("%+v", got)
	}
	if in := l.Inputs(); in[0].Err == nil || !strings.Contains(in[0].Err.Error(), "vb: the interface was removed") || in[1].Err != nil {
		t.Errorf("%+v", in)
	}
	p.sh("ip link del vc")
	untilEnd(t, l, func(*Batch, *Packet) {})
}

// TestLiveDrops: what a slow reader loses is counted, and when.
func TestLiveDrops(t *testing.T) {
	const n = 20000
	p := newPlace(t)
	p.veth("va", "vb")
	l := p.open(LiveConfig{Interfaces: []string{"vb"}, Buffer: 1, Snaplen: MaxSnaplen})
	s := p.sender("va")
	before := l.Now()
	for i := range uint32(n) {
		s.send(numbered(i, 1000))
	}
	after := l.Now()
	dropped := p.dropped("va", "vb")
	l.Stop()
	var got, last uint64
	untilEnd(t, l, func(b *Batch, p *Packet) {
		got++
		if last > 0 && uint64(p.Seq) <= last {
			t.Fatalf("%d after %d", p.Seq, last)
		}
		last = uint64(p.Seq)
	})
	in := l.Inputs()[0]
	var sum uint64
	for _, e := range l.DropEvents() {
		sum += e.N
		// Counters are read by a timer, which may be late but not early.
		if e.From > after || e.To < before || e.From >= e.To || l.InterfaceName(e.Iface) != "vb" {
			t.Errorf("%+v, sent between %d and %d", e, before, after)
		}
	}
	if got == 0 || got == n || got+in.Drops+dropped != n || sum != in.Drops {
		t.Errorf("%d packets, %d drops, %d in events, %d dropped before, %d sent", got, in.Drops, sum, dropped, n)
	}
}

// TestLiveStop: from another goroutine, while Next waits, twice, and after
// the end.
func TestLiveStop(t *testing.T) {
	p := newPlace(t)
	p.veth("va", "vb")
	l := p.open(LiveConfig{Interfaces: []string{"vb"}, Tick: time.Hour})
	ended := make(chan error)
	go func() {
		var b Batch
		ended <- l.Next(&b)
	}()
	time.Sleep(10 * time.Millisecond)
	l.Stop()
	l.Stop()
	select {
	case err := <-ended:
		if err != io.EOF {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Next does not return")
	}
	var b Batch
	if err := l.Next(&b); err != io.EOF || len(b.Packets) > 0 {
		t.Errorf("%v after the end", err)
	}
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Error(err)
	}
	l.Stop()
	if err := l.Next(&b); err != io.EOF {
		t.Errorf("%v after Close", err)
	}
}

// TestLiveTick: without packets Next returns, and the time goes on.
func TestLiveTick(t *testing.T) {
	p := newPlace(t)
	p.veth("va", "vb")
	l := p.open(LiveConfig{Interfaces: []string{"vb"}, Tick: 5 * time.Millisecond})
	var b Batch
	last := int64(0)
	for range 5 {
		if err := l.Next(&b); err != nil || len(b.Packets) > 0 || b.Now <= last {
			t.Fatalf("%d packets, %v, %d after %d", len(b.Packets), err, b.Now, last)
		}
		last = b.Now
	}
}

// TestLiveLinkTypes: an interface that says it is of a type that we do not
// know gets a cooked header, one without a link layer none.
func TestLiveLinkTypes(t *testing.T) {
	const tunSetLink = 0x400454cd // TUNSETLINK, linux/if_tun.h
	p := newPlace(t)
	for hardware, link := range map[int]uint16{unix.ARPHRD_NONE: linkRaw, unix.ARPHRD_PPP: linkSLL2, unix.ARPHRD_IPGRE: linkSLL2, unix.ARPHRD_RAWIP: linkRaw} {
		tun := p.tun("tun0")
		if err := unix.IoctlSetInt(int(tun.Fd()), tunSetLink, hardware); err != nil {
			t.Fatal(err)
		}
		p.sh("ip link set tun0 up")
		l := p.open(LiveConfig{Interfaces: []string{"tun0"}})
		packet := numbered(99, 5)[14:]
		if _, err := tun.Write(packet); err != nil {
			t.Fatal(err)
		}
		l.Stop()
		found := false
		l.tap = func(f *Frame, p *Packet) {
			if p.Kind == TCP && p.Seq == 99 {
				found = true
				data := f.Data
				if link == linkSLL2 {
					if got := int(binary.BigEndian.Uint16(data[8:])); got != hardware {
						t.Errorf("hardware type %d in the header, want %d", got, hardware)
					}
					data = data[20:]
				}
				if f.Link != link || !bytes.Equal(data, packet) || !p.Has(Inbound) {
					t.Errorf("type %d: link %d, % x, %+v", hardware, f.Link, f.Data, p)
				}
			}
		}
		untilEnd(t, l, func(*Batch, *Packet) {})
		if in := l.Inputs()[0]; !found || !slices.Equal(in.Links, []string{LinkName(link)}) {
			t.Errorf("type %d: %+v", hardware, in)
		}
		l.Close()
		tun.Close()
	}
}

// tun makes a tun device, which is there as long as the file.
func (p *place) tun(name string) *os.File {
	p.t.Helper()
	var fd int
	var err error
	p.do(func() {
		if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
			return
		}
		q, _ := unix.NewIfreq(name)
		q.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, q)
	})
	if err != nil {
		p.t.Skipf("needs a tun device: %v", err)
	}
	return os.NewFile(uintptr(fd), name)
}

// TestLiveFilter: not even the first packet gets in unfiltered, however many
// are on their way when the capture begins.
func TestLiveFilter(t *testing.T) {
	p := newPlace(t)
	p.veth("va", "vb")
	s := p.sender("va")
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := uint32(0); ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			frame := numbered(i, 600)
			if i%4 == 0 {
				frame[14+20+3] = 81
			}
			s.send(frame)
		}
	}()
	defer func() { close(stop); <-done }()
	var text bytes.Buffer
	program, err := parse(t, "dst port 81").Compile(linkSLL2, MaxSnaplen)
	if err != nil {
		t.Fatal(err)
	}
	writeCode(&text, program.Raw())
	code, err := filter.ReadCode(&text)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 24 {
		cfg := LiveConfig{Interfaces: []string{"vb"}, Filter: parse(t, "dst port 81"), Snaplen: 100}
		if i%3 > 0 {
			cfg.Interfaces = []string{"any"}
		}
		if i%3 > 1 {
			cfg.Filter, cfg.Code = nil, code
		}
		l := p.open(cfg)
		var b Batch
		next(t, l, &b)
		l.Stop()
		n := 0
		for err := error(nil); err == nil; err = l.Next(&b) {
			for i := range b.Packets {
				if p := &b.Packets[i]; p.Kind != TCP || p.DstPort != 81 || p.Len != 600 || p.CapLen == 0 || p.CapLen > 100-54 || !p.Has(SnapCut) {
					t.Fatalf("%+v", p)
				}
				n++
			}
		}
		if in := l.Inputs()[0]; n == 0 || in.Packets != uint64(n) || (in.Filtered > 0) != (cfg.Code != nil) {
			t.Fatalf("%d packets, %+v", n, in)
		}
		l.Close()
	}
}
