package assembler

import (
	"strings"
	"testing"
	"unsafe"
)

func fed(parts ...string) *Framing {
	f := new(Framing)
	for _, p := range parts {
		f.Feed([]byte(p), uint32(len(p)))
	}
	return f
}

// Millions of connections hold two of these each.
func TestFramingSize(t *testing.T) {
	if n := unsafe.Sizeof(Framing{}); n > 72 {
		t.Errorf("Framing takes %d bytes, want at most 72", n)
	}
}

func TestProtocol(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     AppProtocol
		boundary bool
	}{
		{"nothing", "", AppUnknown, true},
		{"half a record header", "\x16\x03\x01", AppUnknown, false},
		{"record", "\x16\x03\x01\x00\x01x", AppTLS, true},
		{"record cut", "\x16\x03\x01\x00\x02x", AppTLS, false},
		{"record header cut", "\x16\x03\x01\x00\x01x\x17\x03", AppTLS, false},
		{"record longer than TLS allows", "\x16\x03\x01\x48\x01", AppOther, true},
		{"record of SSL 4", "\x16\x04\x01\x00\x01", AppOther, true},
		{"empty handshake record", "\x16\x03\x01\x00\x00", AppOther, true},
		{"SSL 2 hello", "\x80\x2e\x01\x00\x02", AppOther, true},
		{"request", "GET / HTTP/1.1\r\n\r\n", AppHTTP1, true},
		{"request of any method", "X-PURGE-ALL / HTTP/1.0\r\n\r\n", AppHTTP1, true},
		{"request with bare line feeds", "GET / HTTP/1.1\nHost: a\n\n", AppHTTP1, true},
		{"request line cut", "GET /index", AppUnknown, false},
		{"request of RTSP", "OPTIONS rtsp://a/b RTSP/1.0\r\n", AppOther, true},
		{"request of SIP", "INVITE sip:a@b SIP/2.0\r\n", AppOther, true},
		{"request of HTTP/0.9", "GET /\r\n", AppOther, true},
		{"SMTP client", "EHLO me\r\n", AppOther, true},
		{"SMTP server", "220 mail ready\r\n", AppOther, true},
		{"SSH", "SSH-2.0-OpenSSH_9.6\r\n", AppOther, true},
		{"ICY stream", "ICY 200 OK\r\n", AppOther, true},
		{"PostgreSQL asking for TLS", "\x00\x00\x00\x08\x04\xd2\x16\x2f", AppUnknown, false},
		{"PostgreSQL start", "\x00\x00\x00\x29\x00\x03\x00\x00user", AppOther, true},
		{"NetBIOS session", "\x00\x00\x00\x55\xffSMBr", AppOther, true},
		{"status line", "HTTP/1.1 204 No Content\r\n\r\n", AppHTTP1, true},
		{"status line cut", "HTTP/1.1 20", AppHTTP1, false},
		{"status line of HTTP/2 in text", "HTTP/2 200\r\n", AppOther, true},
		{"preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", AppHTTP2, true},
		{"preface cut", "PRI * HTTP/2.0\r\n\r\nSM", AppUnknown, false},
		{"preface forged", "PRI * HTTP/2.0\r\n\r\nXM\r\n\r\n", AppOther, true},
		{"request PRI", "PRI / HTTP/1.1\r\n\r\n", AppOther, true},
		{"server's settings", "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64", AppHTTP2, true},
		{"server's empty settings", "\x00\x00\x00\x04\x00\x00\x00\x00\x00", AppHTTP2, true},
		{"frame that is no settings", "\x00\x00\x00\x01\x04\x00\x00\x00\x01", AppOther, true},
		{"method without end", strings.Repeat("A", 30), AppOther, true},
		{"target without end", "GET /" + strings.Repeat("a", maxTarget), AppOther, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := fed(c.in)
			if f.Protocol() != c.want || f.AtBoundary() != c.boundary {
				t.Errorf("%v, at boundary %v; want %v, %v", f.Protocol(), f.AtBoundary(), c.want, c.boundary)
			}
		})
	}
}

// A hole keeps step inside a record, a body or a chunk, and loses it elsewhere.
func TestSkip(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
	for _, c := range []struct {
		name, before string
		hole         uint32
		after        string
		lost         bool
		boundary     bool
	}{
		{"inside a record", "\x17\x03\x03\x00\x0aab", 8, "\x15\x03\x03\x00\x02\x01\x00", false, true},
		{"to the end of a record", "\x17\x03\x03\x00\x0a", 10, "", false, true},
		{"across a record's end", "\x17\x03\x03\x00\x0aab", 9, "", true, false},
		{"in a record header", "\x17\x03\x03", 2, "", true, false},
		{"inside a body", head + "ab", 8, "HTTP/1.1 204 x\r\n\r\n", false, true},
		{"at the beginning of a body", head, 10, "HTTP/1.1 204 x\r\n\r\n", false, true},
		{"what may be a second status line", head + "HTTP", 6, "", false, true},
		{"in a header", "HTTP/1.1 200 OK\r\nContent-Len", 4, "\r\n\r\n", true, false},
		{"inside a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n", 10, "\r\n0\r\n\r\n", false, true},
		{"across a chunk's end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n", 12, "0\r\n\r\n", true, false},
		{"inside a frame", "\x00\x00\x06\x04\x00\x00\x00\x00\x00", 6, "\x00\x00\x00\x04\x01\x00\x00\x00\x00", false, true},
		{"at the beginning", "", 3, "GET / HTTP/1.1\r\n\r\n", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, cut := range []bool{false, true} {
				f := new(Framing)
				if cut { // the hole is the part of a segment that the snaplen cut off
					f.Feed([]byte(c.before), uint32(len(c.before))+c.hole)
				} else {
					f.Feed([]byte(c.before), uint32(len(c.before)))
					f.Skip(c.hole)
				}
				f.Feed([]byte(c.after), uint32(len(c.after)))
				if f.Lost() != c.lost || !c.lost && f.AtBoundary() != c.boundary {
					t.Errorf("cut by snaplen %v: lost %v, at boundary %v; want %v, %v", cut, f.Lost(), f.AtBoundary(), c.lost, c.boundary)
				}
			}
		})
	}
}

func TestFeedDoesNotAllocate(t *testing.T) {
	streams := []string{
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"\x16\x03\x03\x00\x04\x02\x00\x00\x00\x17\x03\x03\x00\x03abc",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x01\x00\x00\x00\x00",
	}
	n := testing.AllocsPerRun(100, func() {
		for _, s := range streams {
			var f Framing
			feedString(&f, s)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// feedString feeds s without the conversion that would allocate.
func feedString(f *Framing, s string) {
	f.Feed(unsafe.Slice(unsafe.StringData(s), len(s)), uint32(len(s)))
}

// FuzzFraming: however the same bytes are cut into segments, and whichever
// are missing after a point, the state is the same; and it never runs past
// what the protocol can hold.
func FuzzFraming(f *testing.F) {
	for _, s := range []string{
		"\x16\x03\x01\x00\x01x\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x13" + strings.Repeat("z", 19) + "\x15\x03\x03\x00\x02\x02\x28",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n\r\nHEAD /x HTTP/1.0\r\n\r\nCONNECT a:1 HTTP/1.1\r\n\r\n\x16\x03\x01",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\nF;x=y\r\n0123456789abcde\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.1 101 x\r\n\r\n...", "HTTP/1.0 200 OK\r\n\r\nHTTP/1.x",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x01\x01\x05\x00\x00\x00\x01h",
		"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64\x00\x00\x0a\x07\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x02hi\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08",
	} {
		f.Add([]byte(s), uint16(1), uint16(3), uint16(0))
		f.Add([]byte(s), uint16(7), uint16(2), uint16(5))
	}
	f.Fuzz(func(t *testing.T, in []byte, a, b, hole uint16) {
		var whole, cut, bytewise Framing
		whole.Feed(in, uint32(len(in)))
		for rest, i := in, 0; len(rest) > 0; i++ {
			n := int(a)%17 + 1
			if i%2 == 1 {
				n = int(b)%17 + 1
			}
			n = min(n, len(rest))
			cut.Feed(rest[:n], uint32(n))
			rest = rest[n:]
		}
		for i := range in {
			bytewise.Feed(in[i:i+1], 1)
		}
		// A segment of exactly one record brings back a TLS stream that was
		// lost; only missing bytes lose one.
		if whole != cut || whole != bytewise {
			t.Fatalf("whole %+v\ncut %+v\nbytewise %+v", whole, cut, bytewise)
		}
		skipped, short := whole, whole
		skipped.Skip(uint32(hole))
		short.Feed(nil, uint32(hole))
		if skipped != short {
			t.Fatalf("Skip %+v, Feed of nothing %+v", skipped, short)
		}
		if whole.Protocol() == AppTLS && whole.TLS().Missing > maxRecord {
			t.Fatalf("record of %d bytes to come", whole.TLS().Missing)
		}
		if h := whole.HTTP(); whole.Protocol() == AppHTTP1 && h.Complete > h.Messages {
			t.Fatalf("%d messages, %d of them complete", h.Messages, h.Complete)
		}
	})
}

func BenchmarkFeed(b *testing.B) {
	record := "\x17\x03\x03\x40\x00" + strings.Repeat("x", 1<<14)
	request := "GET /a/b/c?d=e HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n\r\n"
	response := "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length: 900\r\n\r\n" + strings.Repeat("y", 900)
	for _, c := range []struct{ name, stream string }{
		{"TLS", record}, {"request", request}, {"response", response},
		{"other", strings.Repeat("\xff", 1<<14)},
	} {
		b.Run(c.name, func(b *testing.B) {
			const mss = 1448
			var f Framing
			segments := 0
			for b.Loop() {
				for s := c.stream; len(s) > 0; s = s[min(mss, len(s)):] {
					feedString(&f, s[:min(mss, len(s))])
					segments++
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(segments), "ns/segment")
		})
	}
}
