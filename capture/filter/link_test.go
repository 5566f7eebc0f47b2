package filter

import (
	"net/netip"
	"testing"
)

// TestLoopbackFrames: the goldens lack this link, for tcpdump knows only the
// loopback of the system that it runs on.
func TestLoopbackFrames(t *testing.T) {
	for _, expr := range []string{"ip", "ip6", "tcp", "tcp port 80", "port 443", "host 10.0.0.1", "host 2001:db8::1", "net 10",
		"ip[9] = 6", "ip6[6] = 6", "tcp[13] & 2 != 0", "arp", "icmp6", "ip multicast"} {
		raw := mustCompile(t, expr, linkRaw)
		for _, link := range []uint16{linkNull, linkLoop} {
			p := mustCompile(t, expr, link)
			for _, packet := range packets() {
				body := packet.bytes()
				families := []byte{2}
				if netip.MustParseAddr(packet.src).Is6() {
					families = []byte{10, 23, 24, 28, 30}
				}
				for _, f := range families {
					little, big := append([]byte{f, 0, 0, 0}, body...), append([]byte{0, 0, 0, f}, body...)
					want := raw.Match(body, len(body))
					if p.Match(little, len(little)) != want || p.Match(big, len(big)) != want {
						t.Fatalf("%q on %d, family %d, %x: as raw IP it is %v\n%s", expr, link, f, body, want, p)
					}
				}
			}
			if p.Match([]byte{99, 0, 0, 0, 0x45, 0, 0, 0}, 8) {
				t.Errorf("%q passes a frame of an unknown family", expr)
			}
		}
	}
}

func mustCompile(t *testing.T, expr string, link uint16) *Program {
	t.Helper()
	e, err := Parse(expr)
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Compile(link, 262144)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOtherNumbersOfTheSameLink(t *testing.T) {
	for other, link := range map[uint16]uint16{linkRaw12: linkRaw, linkRaw14: linkRaw, linkPPPHDLC: linkPPP} {
		for _, expr := range []string{"tcp port 80", "host 10.0.0.1 or ip6", "ip[9] = 6 or arp"} {
			if !same(mustCompile(t, expr, other).raw, mustCompile(t, expr, link).raw) {
				t.Errorf("%q differs between %d and %d", expr, other, link)
			}
		}
	}
}

func TestEmptyExpressionMatchesEverything(t *testing.T) {
	for _, expr := range []string{"", " ", "\n\t "} {
		for _, l := range links {
			if p := mustCompile(t, expr, l.link); !p.Match(nil, 0) || len(p.Raw()) != 1 {
				t.Errorf("%q on %s does not match everything", expr, l.name)
			}
		}
	}
}

// TestBytesWhereTcpdumpForgetsTheLoad: libpcap leaves out the load before & and
// | of the byte primitive, and so tests what was loaded before.
func TestBytesWhereTcpdumpForgetsTheLoad(t *testing.T) {
	for _, c := range []struct {
		expr string
		want bool
	}{
		{"byte 1 & 2", true}, {"byte 1 & 4", false}, {"byte 0 | 0", false}, {"byte 0 | 1", true}, {"byte 1 | 0", true},
		{"byte 1 = 3", true}, {"byte 1 < 4", true}, {"byte 1 > 3", false}, {"byte 9 = 0", false},
	} {
		if got := mustCompile(t, c.expr, linkEthernet).Match([]byte{0, 3, 0, 0}, 4); got != c.want {
			t.Errorf("%q: %v", c.expr, got)
		}
	}
}

func TestLongProgramsInFiles(t *testing.T) {
	expr := "host 10.0.0.1"
	for i := range 2000 {
		expr += " or " + netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}).String()
	}
	p := mustCompile(t, expr, linkEthernet)
	if len(p.Raw()) < 10*mostInstructions {
		t.Fatalf("only %d instructions", len(p.Raw()))
	}
	for _, c := range []struct {
		host string
		want bool
	}{{"10.0.0.1", true}, {"10.1.7.207", true}, {"10.1.7.208", false}} {
		f := wrap(linkEthernet, etherIPv4, packet{src: c.host, dst: "192.0.2.1", proto: ipTCP}.bytes(), 1)
		if p.Match(f, len(f)) != c.want {
			t.Errorf("%s passes: %v", c.host, !c.want)
		}
	}
}
