package filter

import (
	"strings"
	"testing"
)

func TestErrorsShowWhereAndWhatInstead(t *testing.T) {
	for _, c := range []struct{ expr, want string }{
		{"tcp prot 80", `
"prot" is not expected here
    tcp prot 80
        ^
    join two tests with and, or; to deny one, write not before it`},
		{"tcp and", `
the expression breaks off here
    tcp and
           ^
    something like tcp or host 192.0.2.1 is missing`},
		{"host www.example.com", `
an address is expected here: hangup never looks up names
    host www.example.com
         ^
    such as host 192.0.2.1 or host 2001:db8::1`},
		{"host 10.1.2.3/16 and tcp", `
a prefix length fits only behind net
    host 10.1.2.3/16 and tcp
                 ^
    write net 10.1.0.0/16`},
		{"net 10/8", `
"/" is not expected here
    net 10/8
          ^
    spell all four numbers of the network: net 10.0.0.0/8`},
		{"tcp 443", `
"443" is not expected here
    tcp 443
        ^
    a port needs its word: and port 443`},
		{"TCP", `
nothing here says what this is
    TCP
    ^
    write tcp in small letters`},
		{"ip proto tcp", `
"tcp" is a word of the language
    ip proto tcp
             ^
    write \tcp (the filter in single quotes), or the number`},
		{"tcp[13] & 7", `
a comparison is expected here, not the end
    tcp[13] & 7
               ^
    such as tcp[13] & 4 != 0, or len > 100`},
		{"tcp and\t(port 80", `
this parenthesis is not closed
    tcp and (port 80
            ^
    in a shell, put the whole filter into single quotes`},
		{"geneve", `
geneve looks inside a tunnel, which this compiler cannot
    geneve
    ^
    leave this test out`},
		{"vlan 4096", `
a VLAN number is at most 4095
    vlan 4096
         ^`},
		{"tcp and é", `
a character that no filter expression has
    tcp and é
            ^
    a filter is made of words like tcp, host 192.0.2.1, port 443, joined by and, or, not`},
		{strings.Repeat("tcp or ", 30) + "port http-alternative or " + strings.Repeat("udp or ", 30) + "udp", `
not the name of a service that this machine knows
    ...tcp or tcp or tcp or tcp or tcp or port http-alternative or udp or udp...
                                               ^
    write the number: port 8443`},
	} {
		_, err := Parse(c.expr)
		if err == nil {
			t.Errorf("%q is accepted", c.expr)
			continue
		}
		if got := "\n" + err.Error(); got != c.want {
			t.Errorf("%q: got%s\nwant%s", c.expr, got, c.want)
		}
	}
}

func TestErrorsOfLinks(t *testing.T) {
	for _, c := range []struct {
		expr string
		link uint16
		live bool
		want string
	}{
		{"tcp and vlan 5", linkSLL, false, "    tcp and vlan 5\n            ^\n    leave vlan out; the rest of the filter finds packets with and without tags"},
		{"inbound", linkEthernet, false, "    ^\n    inbound and outbound work live"},
		{"ether host 00:00:5e:00:53:01", linkRaw, false, "no Ethernet addresses"},
		{"ether[0] = 1", CookedSocket, true, "no link-layer header"},
		{"tcp", 105, false, "link type 105"},
		{"tcp", CookedSocket, false, "compile for SLL or SLL2"},
		{"tcp", linkSLL2, true, "compile for CookedSocket"},
		{"host 10.0.0.1" + strings.Repeat(" or host 10.0.0.1", 300), linkEthernet, true, "at most 4096 are possible"},
	} {
		e, err := Parse(c.expr)
		if err != nil {
			t.Fatal(err)
		}
		if c.live {
			_, err = e.CompileLive(c.link, 96)
		} else {
			_, err = e.Compile(c.link, 96)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q on %d: got %v, want %s", c.expr, c.link, err, c.want)
		}
	}
}

func TestReadCode(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"decimal", "4\n40 0 0 12\n21 0 1 2048\n6 0 0 96\n6 0 0 0\n", ""},
		{"array", "{ 0x28, 0, 0, 0x0000000c },\n{ 0x15, 0, 1, 0x00000800 },\n{ 0x6, 0, 0, 0x00040000 },\n{ 0x6, 0, 0, 0x00000000 },\n", ""},
		{"declared array", "struct sock_filter f[] = { /* mine */\n\t{ 0x6, 0, 0, 1 } // all\n};\n", ""},
		{"iptables", "4,40 0 0 12,21 0 1 2048,6 0 0 96,6 0 0 0", ""},
		{"windows", "1\r\n6 0 0 96\r\n", ""},
		{"listing", "(000) ldh      [12]\n(001) ret #0\n", "write tcpdump -ddd"},
		{"empty", "", "announces 0 instructions"},
		{"no program", "hello\n", "line 1: the count of instructions is expected"},
		{"an expression", "tcp port 80\n", "line 1: the count of instructions is expected"},
		{"too few", "2\n6 0 0 0\n", "announces 2 instructions, and 1 follow"},
		{"too many words", "1\n6 0 0 0 0\n", "line 2: four numbers"},
		{"big number", "1\n6 0 0 4294967296\n", `line 2: "4294967296" is not a number of 32 bits`},
		{"no return", "1\n40 0 0 12\n", "last instruction must be ret"},
		{"jump past the end", "2\n21 1 0 1\n6 0 0 0\n", "instruction 0: a jump past the end"},
		{"jump backward", "3\n6 0 0 0\n5 0 0 4294967294\n6 0 0 0\n", "instruction 1: a jump past the end"},
		{"division", "2\n52 0 0 0\n6 0 0 0\n", "division by zero"},
		{"shift", "2\n100 0 0 32\n6 0 0 0\n", "shift by more than 31 bits"},
		{"scratch", "2\n2 0 0 16\n6 0 0 0\n", "scratch word 16"},
		{"unwritten scratch", "2\n96 0 0 3\n22 0 0 0\n", "scratch word 3 is read before it is written"},
		{"unknown", "2\n255 0 0 0\n6 0 0 0\n", "0xff is no instruction"},
		{"unknown extension", "2\n32 0 0 4294963202\n6 0 0 0\n", "where the kernel has nothing"},
		{"open brace", "{ 0x6, 0, 0, 1 ", "instruction 0: a closing brace lacks"},
	} {
		p, err := ReadCode(strings.NewReader(c.text))
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want == "" && !p.Match(make([]byte, 60), 60) && c.name == "declared array":
			t.Errorf("%s: nothing passes", c.name)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}
