package classify

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"hangup/assembler"
	"hangup/capture"
)

// loop is one real TCP connection over loopback between programs of this
// test, with the facts that the assembler would have found on its wire: its
// payload goes through the real framings, its end is noted by whoever makes it.
type loop struct {
	t       *testing.T
	mu      sync.Mutex
	changed *sync.Cond // on mu: a Read or Write began or ended
	conn    assembler.Conn
	ref     uint64
	ends    [2]*tapped
	words   [2]string // the first few thousand bytes of each side
}

// tapped is one end of a loop.
type tapped struct {
	*net.TCPConn
	l    *loop
	side assembler.Side
	cut  int // cuts the next Write after so many bytes and closes; 0 is off
	drop int // 1 lets one more Write through; what follows goes nowhere

	dropped chan struct{} // closed when the first Write went nowhere

	// Guarded by l.mu:
	taken   uint64 // bytes that Read gave
	reading bool   // a Read has been called and has not returned
	closed  bool
}

// listen accepts connections, each the server's end of a loop of its own.
// The client's end is made by dial.
type listener struct {
	net.Listener
	t  *testing.T
	mu sync.Mutex
	// by the client's address: the client may be ahead of Accept or behind it
	loops map[string]*loop
	all   []*loop
}

func listen(t *testing.T) *listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &listener{Listener: l, t: t, loops: map[string]*loop{}}
}

func (l *listener) loopOf(client, server net.Addr) *loop {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.loops[client.String()]
	if p == nil {
		p = &loop{t: l.t}
		p.changed = sync.NewCond(&p.mu)
		c, s := client.(*net.TCPAddr).AddrPort(), server.(*net.TCPAddr).AddrPort()
		p.conn.Ends[0].Addr, p.conn.Ends[0].Port = c.Addr().As16(), c.Port()
		p.conn.Ends[1].Addr, p.conn.Ends[1].Port = s.Addr().As16(), s.Port()
		p.conn.RoleKnown = true
		p.conn.Established = p.stamp()
		l.loops[client.String()] = p
		l.all = append(l.all, p)
	}
	return p
}

// first is the loop of the first connection, last that of the newest.
func (l *listener) first() *loop {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all[0]
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	p := l.loopOf(c.RemoteAddr(), c.LocalAddr())
	return p.tap(c.(*net.TCPConn), assembler.Server), nil
}

// accept is Accept for scripts.
func (l *listener) accept() *tapped {
	c, err := l.Accept()
	if err != nil {
		l.t.Error(err)
		return nil
	}
	return c.(*tapped)
}

// dial is the client's end.
func (l *listener) dial() (*tapped, error) {
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, err
	}
	p := l.loopOf(c.LocalAddr(), c.RemoteAddr())
	return p.tap(c.(*net.TCPConn), assembler.Client), nil
}

func (p *loop) tap(c *net.TCPConn, side assembler.Side) *tapped {
	t := &tapped{TCPConn: c, l: p, side: side, dropped: make(chan struct{})}
	p.mu.Lock()
	p.ends[side] = t
	p.mu.Unlock()
	p.changed.Broadcast()
	p.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute)) // rather than hang
	return t
}

func (p *loop) stamp() assembler.Stamp {
	p.ref++
	return assembler.Stamp{Ref: capture.MakeRef(0, p.ref), Time: time.Now().UnixNano()}
}

// sent notes payload.
func (p *loop) sent(side assembler.Side, b []byte, at assembler.Stamp) {
	if len(b) == 0 {
		return
	}
	e := &p.conn.Ends[side]
	if e.Bytes == 0 {
		e.FirstData = at
	}
	e.LastData = at
	e.Packets++
	e.Bytes += uint64(len(b))
	e.App.Feed(b, uint32(len(b)))
	if len(p.words[side]) < 1<<12 {
		p.words[side] += string(b)
	}
	defer p.changed.Broadcast()
	if o := &p.conn.Ends[side.Peer()]; o.FIN.Seen() {
		late := e.LateData.Len + uint32(len(b))
		if !e.LateData.Seen() {
			e.LateData = assembler.Tries{First: at, Len: late}
		}
		e.LateData.Len, e.LateData.Last = late, at
		e.LateData.Count++
	}
}

// Sequence numbers are not modelled: a FIN and what acknowledges it only
// need to agree.
func finSeq(s assembler.Side) uint32 { return 1000 * uint32(s+1) }

// fin notes that a side's FIN went out and was acknowledged.
func (p *loop) fin(side assembler.Side) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, o := &p.conn.Ends[side], &p.conn.Ends[side.Peer()]
	if e.FIN.Seen() || e.ResetAccepts.Seen() || p.conn.NResets > 0 {
		return
	}
	at := p.stamp()
	e.FIN = assembler.Tries{First: at, Last: at, Count: 1, Seq: finSeq(side), Answered: at, Delivered: true}
	e.FINSawPeer = o.FIN.Seen()
	o.PureFINAcked = true
	p.changed.Broadcast()
}

// rst notes a RST+ACK of a side's live socket.
func (p *loop) rst(side assembler.Side) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, o := &p.conn.Ends[side], &p.conn.Ends[side.Peer()]
	r := assembler.Reset{Stamp: p.stamp(), Side: side, Flags: capture.RST | capture.ACK, Fit: assembler.FitExact, Seq: 1, Ack: 1}
	if o.FIN.Seen() {
		r.Ack = o.FIN.Seq + 1
	}
	if e.FIN.Seen() {
		r.Seq = e.FIN.Seq + 1
	}
	p.conn.Resets[0] = r
	p.conn.NResets = 1
	e.Resets = 1
	o.ResetAccepts = r.Stamp
}

// run calls f, which the connection's end will end, and gives its error and
// what was noted.
func (p *loop) run(f func() error) (*assembler.Conn, error) {
	err := f()
	return p.facts(), err
}

// facts is a copy of what was noted.
func (p *loop) facts() *assembler.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.conn
	return &c
}

// until waits for something to be so, which is asked with mu held. A machine
// under load takes long, so that only what will never happen fails the test.
func (p *loop) until(what string, so func() bool) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	late := false
	defer time.AfterFunc(30*time.Second, func() {
		p.mu.Lock()
		late = true
		p.mu.Unlock()
		p.changed.Broadcast()
	}).Stop()
	for !so() {
		if late {
			p.t.Errorf("waited in vain until %s", what)
			return
		}
		p.changed.Wait()
	}
}

// drained reports whether a side's program has dealt with all that the other
// side sent: it took it and asks for more. mu is held.
func (p *loop) drained(side assembler.Side) bool {
	e := p.ends[side]
	return e != nil && e.reading && e.taken == p.conn.Ends[side.Peer()].Bytes
}

// heard waits until the other side's program has dealt with all that t sent.
func (t *tapped) heard() {
	t.l.t.Helper()
	t.l.until("all was read", func() bool { return t.l.drained(t.side.Peer()) })
}

func (t *tapped) Read(b []byte) (int, error) {
	t.l.mu.Lock()
	t.reading = true
	t.l.mu.Unlock()
	t.l.changed.Broadcast()
	n, err := t.TCPConn.Read(b)
	t.l.mu.Lock()
	t.reading = false
	t.taken += uint64(n)
	t.l.mu.Unlock()
	t.l.changed.Broadcast()
	return n, err
}

// WriteTo keeps io.Copy from going round Read.
func (t *tapped) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{t})
}

func (t *tapped) Write(b []byte) (int, error) {
	if t.drop > 0 {
		if t.drop == 2 {
			close(t.dropped)
		}
		if t.drop++; t.drop > 2 {
			return len(b), nil
		}
	}
	if n := t.cut; n > 0 {
		t.cut = 0
		t.Write(b[:n])
		return n, t.Close()
	}
	t.l.mu.Lock()
	at := t.l.stamp()
	if len(b) <= 1<<14 {
		// What cannot block is noted before the peer can react to it.
		defer t.l.mu.Unlock()
		n, err := t.TCPConn.Write(b)
		t.l.sent(t.side, b[:n], at)
		return n, err
	}
	t.l.mu.Unlock()
	n, err := t.TCPConn.Write(b)
	t.l.mu.Lock()
	defer t.l.mu.Unlock()
	t.l.sent(t.side, b[:n], at)
	return n, err
}

// ReadFrom keeps io.Copy from going round Write.
func (t *tapped) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{t}, r)
}

func (t *tapped) Close() error {
	t.l.fin(t.side)
	defer t.gone()
	return t.TCPConn.Close()
}

func (t *tapped) gone() {
	t.l.mu.Lock()
	t.closed = true
	t.l.mu.Unlock()
	t.l.changed.Broadcast()
}

func (t *tapped) CloseWrite() error {
	t.l.fin(t.side)
	return t.TCPConn.CloseWrite()
}

// abort sends RST instead of FIN.
func (t *tapped) abort() {
	t.SetLinger(0)
	t.l.rst(t.side)
	t.TCPConn.Close()
}

// say writes s, and fails the test if that fails.
func (t *tapped) say(s string) {
	if _, err := t.Write([]byte(s)); err != nil {
		t.l.t.Errorf("%v writes %.20q: %v", t.side, s, err)
	}
}
