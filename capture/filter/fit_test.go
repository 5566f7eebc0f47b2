package filter

import (
	"strings"
	"testing"

	"golang.org/x/net/bpf"
)

// What is compiled for one link type is not taken for another's, whatever it
// asks for.
func TestFits(t *testing.T) {
	links := []uint16{linkEthernet, linkNull, linkRaw, linkSLL, linkSLL2, linkCHDLC, linkPPP, linkPPPEther}
	for _, text := range []string{"tcp", "tcp port 443", "host 192.0.2.1 and port 80", "ip6 host 2001:db8::1", "icmp or icmp6 or tcp", "arp", "net 8.0.0.0/16", "tcp[tcpflags] & tcp-syn != 0", "portrange 1-9 and not host 10.0.0.1"} {
		e, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range links {
			p, err := e.Compile(link, 262144)
			if err != nil {
				continue // arp, where there is none
			}
			for _, on := range links {
				other, ok := p.Fits(on)
				switch {
				case on == link && !ok:
					t.Errorf("%s for %d does not fit it", text, link)
				case on != link && ok && text != "arp":
					t.Errorf("%s for %d fits %d", text, link, on)
				case !ok && other != link && !(link == linkNull && other == linkLoop):
					t.Errorf("%s for %d is taken for %d on %d", text, link, other, on)
				}
			}
		}
	}
}

// What does not ask for a protocol may be for anything.
func TestFitsAnything(t *testing.T) {
	for _, text := range []string{"", "greater 100", "ether host 00:00:5e:00:53:01"} {
		e, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		p, err := e.Compile(linkEthernet, 100)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := p.Fits(linkRaw); !ok {
			t.Errorf("%q is taken to be for %d only", text, other)
		}
	}
	even, err := bpf.Assemble([]bpf.Instruction{bpf.LoadAbsolute{Off: 38, Size: 4}, bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 1, SkipTrue: 1}, bpf.RetConstant{Val: 1}, bpf.RetConstant{}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := newProgram(even, mostInstructions)
	if err != nil {
		t.Fatal(err)
	}
	if other, ok := p.Fits(linkSLL2); !ok {
		t.Errorf("taken to be for %d only", other)
	}
	// tcpdump 4.99 -ddd tcp port 443, on Ethernet
	p, err = ReadCode(strings.NewReader("24\n40 0 0 12\n21 0 8 34525\n48 0 0 20\n21 2 0 132\n21 1 0 6\n21 0 17 17\n40 0 0 54\n21 14 0 443\n40 0 0 56\n21 12 13 443\n21 0 12 2048\n48 0 0 23\n21 2 0 132\n21 1 0 6\n21 0 8 17\n40 0 0 20\n69 6 0 8191\n177 0 0 14\n72 0 0 14\n21 2 0 443\n72 0 0 16\n21 0 1 443\n6 0 0 262144\n6 0 0 0\n"))
	if err != nil {
		t.Fatal(err)
	}
	if other, ok := p.Fits(linkSLL2); ok || other != linkEthernet {
		t.Errorf("tcpdump's code: %d, %v", other, ok)
	}
	if _, ok := p.Fits(linkEthernet); !ok {
		t.Error("tcpdump's code does not fit Ethernet")
	}
	if _, ok := p.Fits(105); !ok { // 802.11: nothing is known of it
		t.Error("a link type that filters are not compiled for")
	}
}
