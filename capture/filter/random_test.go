package filter

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// writer makes up expressions, most of them right, from a small stock of
// addresses and ports, which the test frames have too.
type writer struct{ *rand.Rand }

func randomExpressions(n int) []string {
	w := writer{rand.New(rand.NewPCG(1, 2))}
	out := make([]string, n)
	for i := range out {
		out[i] = w.expression(3)
	}
	return out
}

func (w writer) pick(of ...string) string { return of[w.IntN(len(of))] }

func (w writer) expression(depth int) string {
	if depth == 0 || w.IntN(3) == 0 {
		return w.primitive()
	}
	switch w.IntN(9) {
	case 0:
		return w.pick("not ", "! ", "!") + w.expression(depth-1)
	case 1, 2:
		return "(" + w.expression(depth-1) + ")"
	case 3:
		return w.expression(depth-1) + w.pick(" or ", " and ", " and not ") + w.bare()
	case 4:
		return w.pick("vlan", "vlan 5", "mpls", "mpls 17", "pppoes", "pppoes 3", "vlan 7") + w.pick(" and ", " && ") + w.expression(depth-1)
	}
	return w.expression(depth-1) + w.pick(" and ", " or ", " && ", " || ") + w.expression(depth-1)
}

// bare is something that inherits its qualifiers, and may find none.
func (w writer) bare() string {
	return w.pick("443", "10.0.0.2", "2001:db8::2", "(80 or 443)", "6", "10.1", w.host())
}

func (w writer) host() string {
	return w.pick("10.0.0.1", "10.0.0.2", "192.0.2.7", "2001:db8::1", "2001:db8::2", "10.1.2")
}

func (w writer) net() string {
	return w.pick("10.0.0.0/8", "10", "10.0", "192.0.2.0/24", "10.0.0.0 mask 255.0.0.0", "2001:db8::/32", "0.0.0.0/0",
		"2001:db8::/127", "10.0.0.0/31", "192.0.2.7/24")
}

func (w writer) way() string { return w.pick("", "", "src ", "dst ", "src or dst ", "src and dst ") }

func (w writer) primitive() string {
	switch w.IntN(14) {
	case 0, 1:
		return w.pick("", "", "ip ", "ip6 ", "arp ") + w.way() + "host " + w.host()
	case 2:
		return w.pick("", "ip ") + w.way() + "net " + w.net()
	case 3, 4:
		return w.pick("", "tcp ", "udp ", "sctp ") + w.way() + "port " + w.pick("80", "443", "53", "http", "domain", "(80 or 443)")
	case 5:
		return w.pick("", "tcp ", "udp ") + w.way() + "portrange " + w.pick("80-90", "443-80", "0-65535", "53")
	case 6:
		return w.pick("ip ", "ip6 ", "", "ether ") + "proto " + w.pick("6", "17", "0x800", "1", `\tcp`, `\ip`, "60")
	case 7:
		return "ether " + w.pick("host ", "src ", "dst ", "src host ") + w.pick("02:00:00:00:00:01", "2:0:0:0:0:2", "ff:ff:ff:ff:ff:ff")
	case 8:
		return w.pick("tcp", "udp", "icmp", "icmp6", "ip", "ip6", "arp", "rarp", "sctp", "igmp", "pim", "ah", "esp", "stp", "ipx")
	case 9:
		return w.pick("less 60", "greater 100", "ip multicast", "ip6 multicast", "ether broadcast", "multicast", "ip broadcast", "broadcast")
	case 10:
		return w.pick("vlan", "vlan 5", "mpls", "mpls 17", "pppoes 3", "pppoed")
	}
	return w.sum(2) + w.pick(" = ", " != ", " < ", " > ", " <= ", ">=", "==") + w.sum(2)
}

func (w writer) sum(depth int) string {
	if depth == 0 || w.IntN(3) == 0 {
		return w.pick(fmt.Sprint(w.IntN(300)), fmt.Sprintf("%#x", w.Uint32()>>w.IntN(32)), "len", "tcp-syn", "tcpflags")
	}
	switch w.IntN(6) {
	case 0:
		return "(" + w.sum(depth-1) + ")"
	case 1:
		return "-" + w.sum(depth-1)
	case 2, 3:
		index := w.pick("0", "2", "9", "12", "13", "tcpflags", w.sum(depth-1))
		return w.pick("tcp", "ip", "udp", "ip6", "ether", "icmp", "icmp6", "arp", "sctp", "link") +
			"[" + index + w.pick("", ":1", ":2", ":4") + "]"
	}
	return strings.TrimSpace(w.sum(depth-1) + w.pick(" + ", "-", " * ", " / ", " & ", "|", " % ", " ^ ", " << ", " >> ", " - ") + w.sum(depth-1))
}

// jumbles are words of the language thrown together behind a right beginning:
// most are wrong, and tcpdump and this package must agree on which.
func jumbles(n int) []string {
	r := rand.New(rand.NewPCG(12, 34))
	beginnings := []string{"tcp", "host 10.0.0.1", "port 80", "src", "tcp port 80", "not", "(", "len >", "tcp[13] =", "net 10.1",
		"ether", "ip", "src host 10.0.0.1 or", "port 80 or", "(port 80) or", "host 10.0.0.1 and (", "port 80 or (", "vlan"}
	words := strings.Fields(`tcp ip ip6 ether host net port portrange proto src dst and or not ! ( ) ( ) 80 443 10.0.0.1 10.1
		2001:db8::1 2001:db8::/32 10.0.0.0/8 1:2:3:4:5:6 80-90 http \tcp \ip len [ ] : + - & | = > < != tcp[13] ip[2:2]
		vlan mpls pppoes less greater broadcast multicast udp arp 5 0x10 && || byte mask 255.0.0.0 / * % ^ << link icmp6 sctp foo`)
	out := make([]string, n)
	for i := range out {
		parts := []string{beginnings[r.IntN(len(beginnings))]}
		for range 1 + r.IntN(6) {
			parts = append(parts, words[r.IntN(len(words))])
		}
		text := strings.Join(parts, " ")
		for open := strings.Count(text, "(") - strings.Count(text, ")"); open > 0 && r.IntN(4) > 0; open-- {
			text += " )"
		}
		out[i] = text
	}
	return out
}
