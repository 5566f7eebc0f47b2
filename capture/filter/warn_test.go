package filter

import (
	"strings"
	"testing"
)

func TestWarnings(t *testing.T) {
	const oneWay, nothing = "only one direction", "no TCP packet"
	for _, c := range []struct {
		expr string
		want []string // a part of each warning
	}{
		{"", nil},
		{"tcp", nil},
		{"port 443", nil},
		{"tcp port 443 and host 10.0.0.1", nil},
		{"host 2001:db8::1", nil},
		{"net 10.0.0.0/8 and not port 22", nil},
		{"net 10.0.0.0/8 or net 2001:db8::/32", nil},
		{"src and dst net 10.0.0.0/8", nil},
		{"src or dst port 80", nil},
		{"(src host 10.0.0.1 and dst port 80) or (src port 80 and dst host 10.0.0.1)", nil},
		{"vlan 5 and tcp port 443", nil},
		{"vlan 5 and vlan 7 and port 443", nil},
		{"mpls 17 and host 10.0.0.1", nil},
		{"pppoes 3 and port 80", nil},
		{"not icmp", nil},
		{"not arp and not udp", nil},
		{"ether host 00:00:5e:00:53:01", nil},
		{"portrange 8000-8010", nil},
		{"tcp[tcpflags] & tcp-push = 0 or tcp[tcpflags] & tcp-push != 0", nil},

		{"src host 10.0.0.1", []string{oneWay}},
		{"dst port 443", []string{oneWay}},
		{"tcp src port 80 or 443", []string{oneWay}},
		{"src net 10.0.0.0/8", []string{oneWay}},
		{"src net 2001:db8::/32", []string{oneWay}},
		{"not src host 10.0.0.1", []string{oneWay}},
		{"host 10.0.0.1 and not dst port 22", []string{oneWay}},
		{"vlan 5 and dst port 80", []string{oneWay}},
		{"vlan 5 and vlan 7 and dst port 80", []string{oneWay}},
		{"mpls 17 and mpls 18 and dst host 10.0.0.1", []string{oneWay}},
		{"pppoes and src host 2001:db8::1", []string{oneWay}},
		{"ether src 00:00:5e:00:53:01", []string{oneWay}},
		{"inbound", []string{oneWay}},
		{"outbound and tcp port 80", []string{oneWay}},
		{"inbound and vlan 5", []string{"only one direction"}}, // no link has both in files
		{"tcp[0:2] = 443", []string{oneWay}},
		{"ip[12:4] = 0x0a000001", []string{oneWay}},
		{"src host 10.0.0.1 and dst port 80 or src port 80 and dst host 10.0.0.1", []string{oneWay}},

		{"tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst) != 0", []string{"(data, acknowledgements)"}},
		{"tcp[tcpflags] & tcp-syn != 0", []string{"(FIN, RST, data, acknowledgements)"}},
		{"tcp[13] & 4 != 0", []string{"(SYN, FIN, data, acknowledgements)"}},
		{"tcp and tcp[13] & 1 = 0", []string{"(FIN)"}},
		{"tcp port 80 and not tcp[13] & 4 != 0", []string{"(RST)"}},
		{"greater 100", []string{"(SYN, FIN, RST, data, acknowledgements)"}},
		{"less 200", []string{"(data)"}},
		{"tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)", []string{"(SYN, FIN, RST, acknowledgements)"}},
		{"src host 10.0.0.1 or tcp[13] & 2 != 0", []string{"(FIN, RST, data, acknowledgements)"}},

		{"udp", []string{nothing}},
		{"icmp or arp", []string{nothing}},
		{"udp port 53", []string{nothing}},
		{"ip[8] < 5", nil}, // the made-up packets cannot tell
	} {
		e, err := Parse(c.expr)
		if err != nil {
			t.Fatal(err)
		}
		got := e.Warnings()
		ok := len(got) == len(c.want)
		for i := range got {
			ok = ok && strings.Contains(got[i], c.want[i]) && strings.Contains(got[i], ": ") && !strings.Contains(got[i], "\n")
		}
		if !ok {
			t.Errorf("%q: got %q, want %q", c.expr, got, c.want)
		}
	}
}

func BenchmarkWarnings(b *testing.B) {
	e, _ := Parse("(host 10.0.0.1 or host 10.0.0.2 or host 10.0.0.3 or host 10.0.0.4 or host 10.0.0.5 or host 10.0.0.6) and (port 1 or 2 or 3 or 4 or 5 or 6 or 7 or 8)")
	for range b.N {
		e.Warnings()
	}
}
