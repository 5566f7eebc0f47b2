package story

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket/layers"
)

func TestHeaders(t *testing.T) {
	run(t, []feature{
		{"declared ends", "client 10.0.0.1:1234 ttl=128 id=65535 isn=9 window=8192 wscale=2 mss=1400 tsval=4294967295\nserver :8080 ts=off sack=off idstep=0\nhandshake\n> .\n< .\n< .\n", "addr ttl id seq ack win opts", `
10.0.0.1>192.0.2.2 128 65535 9 0 8192 [2:0578 4: 8:ffffffff00000000 3:02]
192.0.2.2>10.0.0.1 64 0 5000000 10 65160 [2:05b4 3:07]
10.0.0.1>192.0.2.2 128 0 10 5000001 2048 []
10.0.0.1>192.0.2.2 128 1 10 5000001 2048 []
192.0.2.2>10.0.0.1 64 32768 5000001 10 509 []
192.0.2.2>10.0.0.1 64 32768 5000001 10 509 []
`},
		{"nothing negotiated", "client mss=off wscale=off ts=off sack=off\nhandshake\n< .\n", "win opts", `
64240 []
65160 [2:05b4]
64240 []
65160 []
`},
		{"changed on the SYN", "> S mss=900 wscale=3 ts=off sack=off\n< S. mss=off wscale=off\n> .\n", "win opts", `
64240 [2:0384 3:03]
65160 []
64240 []
`},
		{"window scale of 15 scales by 14", "client wscale=15 window=1000000000\nhandshake\n", "win opts", `
65535 [2:05b4 4: 8:000186a000000000 3:0f]
65160 [2:05b4 4: 8:000aae65000186a0 3:07]
61035 [8:000186aa000aae65]
`},
		{"fields of one packet", "> . win=0 ttl=-7 id=+500 urg=7 tsval=-1 tsecr=5\n> . win=+1 ttl=9 id=3 ts=off\n> . forged ttl=+1\n> . forged tsval=1 win=7 id=8\n> . forged ts=on\n> .\n", "win ttl id urg opts", `
0 57 4596 7 [8:0001869f00000005]
502 9 3 0 []
0 65 0 0 []
7 64 8 0 [8:00000001000aae60]
0 64 0 0 [8:000186b4000aae60]
501 64 4096 0 [8:000186b9000aae60]
`},
		{"flags", "> none\n> FSRP.UEWe seq=1\n> PU.\n", "flags", "none\nFSRP.UEWe\nP.U\n"},
		{"options", "> S tfo\n> S tfo=0102030405060708\n> . sack=100-200,300-400\n> . opt=0101\n> . ts=off opt=fe04f989\n", "opts", `
[2:05b4 4: 8:000186a000000000 3:07 34:]
[2:05b4 4: 8:000186a500000000 3:07 34:0102030405060708]
[8:000186aa000aae60 5:004c4ba4004c4c08004c4c6c004c4cd0]
[8:000186af000aae60]
[254:f989]
`},
		{"timestamps follow what was received", numbers + "handshake\n> P. len=1\n+1 < P. len=1 lost\n+1 > P. len=1\n+0.1 < .\n", "opts", `
[2:05b4 4: 8:0000006400000000 3:07]
[2:05b4 4: 8:000002c100000064 3:07]
[8:0000006e000002c1]
[8:00000073000002c1]
[8:000006b300000073]
[8:00000843000002c1]
[8:00000aff00000843]
`},
		{"IPv6", "client [2001:db8::1]:40000 ttl=63\nserver [2001:db8::2]:8080\nhandshake\n> P. len=1\n", "dir addr ttl id seq len opts", `
> 2001:db8::1>2001:db8::2 63 - 1000000 0 [2:05a0 4: 8:000186a000000000 3:07]
< 2001:db8::2>2001:db8::1 64 - 5000000 0 [2:05a0 4: 8:000aae65000186a0 3:07]
> 2001:db8::1>2001:db8::2 63 - 1000001 0 [8:000186aa000aae65]
> 2001:db8::1>2001:db8::2 63 - 1000001 1 [8:000186af000aae65]
`},
		{"several connections", "client id=1 ttl=9\nconn b\nconn c server :8080 ttl=3\nconn v6 client [2001:db8::1]:1 server [2001:db8::2]:8080\n> S\nb > S\nc < S.\nv6 > S\n", "addr seq ttl id", `
192.0.2.1>192.0.2.2 1000000 9 1
192.0.2.1>192.0.2.2 11000000 9 257
192.0.2.2>192.0.2.1 25000000 3 0
2001:db8::1>2001:db8::2 31000000 9 -
`},
		{"payloads", "> P. \"GET // #x\\r\\n\" len=12\n< P. hex:0102 tls:21:2\n> P. len=3\n> P. seq=13 len=2\n", "text", `
"GET // #x\r\nm"
"\x01\x02\x15\x03\x03\x00\x02ij"
"nop"
"no"
`},
		{"cut and pad", "> . cut=60\n> . ts=off pad\n> . ts=off\n", "captured", "60/66\n60/60\n54/54\n"},
		{"random IP ID", "client idstep=random\n> .\n> .\n> .\n", "id", "4096\n34329\n20070\n"},
	})
}

func TestLinks(t *testing.T) {
	run(t, []feature{
		{"ethernet", "server mac=02:00:00:00:00:09 vlan=5\n> .\n< .\n> . mac=02:00:00:00:00:07 vlan=10,20\n< . vlan=off\n", "link", `
02:00:c0:00:02:01>02:00:00:00:00:09
02:00:00:00:00:09>02:00:c0:00:02:01 vlan 5
02:00:00:00:00:07>02:00:00:00:00:09 vlan 10 vlan 20
02:00:00:00:00:09>02:00:c0:00:02:01
`},
		{"sll", "link sll at S\n> .\n< .\n", "link flags", `
host 02:00:c0:00:02:01 IPv4 .
outgoing 02:00:c0:00:02:02 IPv4 .
`},
		{"sll2", "link sll2\n> .\n< . iface=3\n", "link flags", `
0800000000000001000104060200c00002010000 .
0800000000000003000100060200c00002020000 .
`},
		{"raw", "link raw\n> .\n", "link flags", "none .\n"},
		{"null", "link null\nconn v client [2001:db8::1]:1 server [2001:db8::2]:2\n> .\nv > .\n", "link flags", "IPv4 .\nIPv6 .\n"},
	})
}

func TestCopies(t *testing.T) {
	const fields = "time addr ttl id flags seq captured"
	run(t, []feature{
		{"dup", "> . #a\n< .\ndup nat=198.51.100.1:7\n+1 dup of=#a ttl=-1\ndup\n+1 other\ndup vlan=9\n", fields, `
0.000000 192.0.2.1>192.0.2.2 64 4096 . 1000001 66/66
0.005000 192.0.2.2>192.0.2.1 64 32768 . 5000001 66/66
0.005020 192.0.2.2>198.51.100.1 64 32768 . 5000001 66/66
1.005020 192.0.2.1>192.0.2.2 63 4096 . 1000001 66/66
1.005040 192.0.2.1>192.0.2.2 63 4096 . 1000001 66/66
2.005040 192.0.2.1>192.0.2.2 64 1 - - 56/56
2.005060 192.0.2.1>192.0.2.2 64 1 - - 60/60
`},
		{"mirror", "> .\nmirror ttl=3 nat=198.51.100.1:7\n> F. #f\n+1 other\nmirror off\n< .\n", fields, `
0.000000 192.0.2.1>192.0.2.2 64 4096 . 1000001 66/66
0.005000 192.0.2.1>192.0.2.2 64 4097 F. 1000001 66/66
0.005020 198.51.100.1>192.0.2.2 3 4097 F. 1000001 66/66
1.005000 192.0.2.1>192.0.2.2 64 1 - - 56/56
1.005020 192.0.2.1>192.0.2.2 64 1 - - 56/56
1.010000 192.0.2.2>192.0.2.1 64 32768 . 5000001 66/66
`},
		{"link of a copy", "> .\ndup vlan=7 mac=02:00:00:00:00:07\n", "link", `
02:00:c0:00:02:01>02:00:c0:00:02:02
02:00:00:00:00:07>02:00:c0:00:02:02 vlan 7
`},
	})
	s := compile(t, "> .\ndup nat=198.51.100.1:7 cut=40\n< .\ndup nat=198.51.100.1:7\n")
	if p := s.Packets()[1]; len(p.Data) != 40 || p.Wire != 66 {
		t.Errorf("cut copy: %d of %d bytes", len(p.Data), p.Wire)
	}
	tcp := decode(t, s, s.Packets()[3]).Layer(layers.LayerTypeTCP).(*layers.TCP)
	if tcp.SrcPort != 8080 || tcp.DstPort != 7 {
		t.Errorf("translated ports: %v to %v", tcp.SrcPort, tcp.DstPort)
	}
}

func TestICMP(t *testing.T) {
	s := compile(t, "> S #syn\n< S.\n> P. len=1000\nicmp host-unreachable from 192.0.2.254\nicmp 3/4 from S to=#syn mtu=1400 quote=28 ttl=9 id=77\nicmp ttl-exceeded from 192.0.2.254 to=#syn\n")
	want := []struct {
		text  string
		quote int
	}{
		{"192.0.2.254>192.0.2.1 ttl 64 id 1 DestinationUnreachable(Host) mtu 0", 548},
		{"192.0.2.2>192.0.2.1 ttl 9 id 77 DestinationUnreachable(FragmentationNeeded) mtu 1400", 28},
		{"192.0.2.254>192.0.2.1 ttl 64 id 1 TimeExceeded(TTLExceeded) mtu 0", 60},
	}
	for i, w := range want {
		packet := decode(t, s, s.Packets()[3+i])
		ip := packet.NetworkLayer().(*layers.IPv4)
		icmp := packet.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
		got := fmt.Sprintf("%v>%v ttl %d id %d %v mtu %d", ip.SrcIP, ip.DstIP, ip.TTL, ip.Id, icmp.TypeCode, icmp.Seq)
		if got != w.text || len(icmp.Payload) != w.quote {
			t.Errorf("got %s, %d bytes\nwant %s, %d bytes", got, len(icmp.Payload), w.text, w.quote)
		}
		quoted := s.Packets()[0].Data[14:]
		if i == 0 {
			quoted = s.Packets()[2].Data[14:]
		}
		if !strings.HasPrefix(string(quoted), string(icmp.Payload)) {
			t.Errorf("%s quotes something else", w.text)
		}
	}
}

func TestICMPv6(t *testing.T) {
	s := compile(t, "client [2001:db8::1]:40000\nserver [2001:db8::2]:8080\n> S\nicmp addr-unreachable from 2001:db8::fe\nicmp too-big from S mtu=1280\n")
	for i, want := range []string{
		"2001:db8::fe>2001:db8::1 DestinationUnreachable(AddressUnreachable) 00000000 80",
		"2001:db8::2>2001:db8::1 PacketTooBig 00000500 80",
	} {
		packet := decode(t, s, s.Packets()[1+i])
		ip := packet.NetworkLayer().(*layers.IPv6)
		icmp := packet.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
		got := fmt.Sprintf("%v>%v %v %x %d", ip.SrcIP, ip.DstIP, icmp.TypeCode, icmp.Payload[:4], len(icmp.Payload)-4)
		if got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

func TestMPTCP(t *testing.T) {
	clientKey, serverKey := (&conn{}).key(client), (&conn{}).key(server)
	token := sha256.Sum256(serverKey)
	c, sk := hex.EncodeToString(clientKey), hex.EncodeToString(serverKey)
	const ends = "client isn=0 ts=off sack=off wscale=off mss=off mptcp=capable\nserver isn=0 ts=off sack=off wscale=off mss=off mptcp=capable\n"
	run(t, []feature{
		{"by itself", ends + "handshake\n> P. len=2\n< . mptcp=datafin\n> P. len=1 mptcp=datafin\n< R. mptcp=fastclose\n< R.\n< . mptcp=off\n< . mptcp=reset\n< . mptcp=fail\n", "opts", "[30:0101]\n" +
			"[30:0101" + sk + "]\n" +
			"[30:0101" + c + sk + "]\n" +
			"[30:2005" + "00000001" + "00000001" + "00000001" + "0002]\n" +
			"[30:2015" + "00000003" + "00000001" + "00000000" + "0001]\n" +
			"[30:2015" + "00000001" + "00000003" + "00000003" + "0002]\n" +
			"[30:7000" + c + "]\n" +
			"[]\n[]\n[30:8000]\n[30:60000000000000000000]\n"},
		{"not offered by the server", strings.Replace(ends, "mptcp=capable", "", 1) + "handshake\n> .\n", "opts", "[]\n[]\n[]\n[]\n"},
		{"a subflow", ends + "conn b client mptcp=join server mptcp=join\nb handshake\nb > .\nb > S token=5\n", "opts", "[30:1000" + hex.EncodeToString(token[:4]) + "00989680]\n" +
			"[30:1000000000000000000000000000]\n" +
			"[30:10000000000000000000000000000000000000000000]\n" +
			"[30:200100000001]\n[30:10000000000500989680]\n"},
	})
}

// TestChecksums sums what is on the wire again: a right checksum makes the
// sum of everything, itself included, all ones.
func TestChecksums(t *testing.T) {
	s := compile(t, "client id=7\nconn v6 client [2001:db8::1]:1 server [2001:db8::2]:2\nhandshake\n> P. len=1001\nicmp 3/1 from S\n+1 other\nv6 > P. len=3\nv6 icmp no-route from S\n+1 v6 other\n> . badsum\n")
	var wrong []int
	for i, p := range s.Packets() {
		ip := p.Data[14:]
		header, proto, addrs := 20, uint32(ip[9]), ip[12:20]
		if ip[0]>>4 == 6 {
			header, proto, addrs = 40, uint32(ip[6]), ip[8:40]
		} else if fold(sum16(0, ip[:20])) != 0xffff {
			t.Errorf("packet %d: IP checksum", i+1)
		}
		sum := sum16(0, ip[header:])
		if proto != protoICMP {
			sum += sum16(0, addrs) + proto + uint32(len(ip)-header)
		}
		if fold(sum) != 0xffff {
			wrong = append(wrong, i+1)
		}
	}
	if diff := cmp.Diff([]int{len(s.Packets())}, wrong); diff != "" {
		t.Errorf("only the last packet has a wrong checksum, by badsum:\n%s", diff)
	}
	if total := binary.BigEndian.Uint16(s.Packets()[3].Data[16:]); int(total) != len(s.Packets()[3].Data)-14 {
		t.Errorf("IP total length %d of %d", total, len(s.Packets()[3].Data)-14)
	}
}
