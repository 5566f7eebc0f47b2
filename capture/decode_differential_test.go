package capture

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// byGopacket is what gopacket makes of a frame: the innermost TCP segment and
// the IP header it lies in, in the terms of Packet. It has no opinion on what
// Packet says of directions, encapsulations and the capture.
func byGopacket(frame []byte, link layers.LinkType) (p Packet, payload string, ok bool) {
	packet := gopacket.NewPacket(frame, link, gopacket.DecodeOptions{NoCopy: true})
	ips, ended := 0, 0
	for _, l := range packet.Layers() {
		switch l := l.(type) {
		case *layers.IPv4:
			p = Packet{IPID: l.Id, TTL: l.TTL, Traits: HasIPID}
			if l.Flags&layers.IPv4DontFragment != 0 {
				p.Traits |= DontFrag
			}
			p.Src, p.Dst = netip.AddrFrom4([4]byte(l.SrcIP)).As16(), netip.AddrFrom4([4]byte(l.DstIP)).As16()
			ended = int(l.Length) - int(l.IHL)*4
			ips++
		case *layers.IPv6:
			p = Packet{TTL: l.HopLimit, Traits: IPv6, Src: [16]byte(l.SrcIP), Dst: [16]byte(l.DstIP)}
			ended = int(l.Length)
			ips++
		case *layers.IPSecAH:
			ended -= len(l.Contents)
		case *layers.TCP:
			p.Kind, ok = TCP, true
			p.Len = uint32(ended - int(l.DataOffset)*4)
			p.Depth = uint8(ips - 1)
			takeTCP(&p, l)
			if e := packet.ErrorLayer(); e != nil && strings.HasPrefix(e.Error().Error(), "Invalid TCP option length") {
				p.Options |= OptBroken
			}
			payload = string(l.Payload[:min(len(l.Payload), int(p.Len))])
			p.CapLen = uint32(len(payload))
		}
	}
	return p, payload, ok
}

// takeTCP translates a TCP header of gopacket's.
func takeTCP(p *Packet, l *layers.TCP) {
	p.SrcPort, p.DstPort = uint16(l.SrcPort), uint16(l.DstPort)
	p.Seq, p.Ack, p.Window = l.Seq, l.Ack, l.Window
	for i, set := range []bool{l.FIN, l.SYN, l.RST, l.PSH, l.ACK, l.URG, l.ECE, l.CWR, l.NS} {
		if set {
			p.Flags |= 1 << i
		}
	}
	for _, o := range l.Options {
		if o.OptionLength == uint8(len(o.OptionData)+2) {
			takeOption(p, uint8(o.OptionType), o.OptionData)
		}
	}
}

// takeOption translates the options whose fields gopacket leaves as bytes.
func takeOption(p *Packet, kind uint8, v []byte) {
	word := func(at int) uint32 {
		return uint32(v[at])<<24 | uint32(v[at+1])<<16 | uint32(v[at+2])<<8 | uint32(v[at+3])
	}
	switch kind {
	case layers.TCPOptionKindMSS:
		p.Options, p.MSS = p.Options|OptMSS, uint16(v[0])<<8|uint16(v[1])
	case layers.TCPOptionKindWindowScale:
		p.Options, p.WScale = p.Options|OptWScale, v[0]
	case layers.TCPOptionKindSACKPermitted:
		p.Options |= OptSACKPermitted
	case layers.TCPOptionKindSACK:
		p.Options, p.SACK = p.Options|OptSACK, [2]uint32{word(0), word(4)}
	case layers.TCPOptionKindTimestamps:
		p.Options, p.TSVal, p.TSEcr = p.Options|OptTimestamps, word(0), word(4)
	case 30:
		names := [...]Options{OptMPCapable, OptMPJoin, OptMPOther, OptMPOther, OptMPOther, OptMPOther, OptMPFail, OptMPFastClose, OptMPReset}
		subtype := int(v[0] >> 4)
		switch {
		case subtype == 2 && v[1]&0x10 != 0:
			p.Options |= OptMPDataFIN
		case subtype < len(names):
			p.Options |= names[subtype]
		default:
			p.Options |= OptMPOther
		}
		if subtype == 1 && len(v) == 10 && p.Flags&(SYN|ACK) == SYN {
			p.MPToken = word(2)
		}
	case 34:
		p.Options |= OptFastOpen
	case 254:
		if len(v) >= 2 && v[0] == 0xf9 && v[1] == 0x89 {
			p.Options |= OptFastOpen
		}
	case 19, 29:
		p.Options |= OptMD5
	}
}

// common reduces p to what byGopacket fills.
func common(p Packet) Packet {
	p.Traits &= IPv6 | HasIPID | DontFrag
	p.Ref, p.Time, p.Iface, p.Off, p.Link, p.Encap = 0, 0, 0, 0, 0, 0
	return p
}

// generated is a random segment in a random stack of headers that gopacket
// can both write and read.
func generated(t *testing.T, r *rand.Rand) []byte {
	t.Helper()
	address := func(n int) net.IP {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(r.Uint32()), DstPort: layers.TCPPort(r.Uint32()), Seq: r.Uint32(), Ack: r.Uint32(),
		FIN: r.IntN(4) == 0, SYN: r.IntN(3) == 0, RST: r.IntN(4) == 0, PSH: r.IntN(2) == 0, ACK: r.IntN(2) == 0,
		URG: r.IntN(9) == 0, ECE: r.IntN(9) == 0, CWR: r.IntN(9) == 0, NS: r.IntN(9) == 0,
		Window: uint16(r.Uint32()), Options: generatedOptions(r),
	}
	ether := &layers.Ethernet{SrcMAC: macA, DstMAC: macB, EthernetType: layers.EthernetTypeDot1Q}
	stack := []gopacket.SerializableLayer{ether}
	number := layers.EthernetTypeIPv4
	v6 := r.IntN(2) == 0
	if v6 {
		number = layers.EthernetTypeIPv6
	}
	tags := r.IntN(3)
	for i := range tags {
		tag := &layers.Dot1Q{VLANIdentifier: uint16(r.IntN(4096)), Type: layers.EthernetTypeDot1Q}
		if i == tags-1 {
			tag.Type = number
		}
		stack = append(stack, tag)
	}
	if tags == 0 {
		ether.EthernetType = number
	}
	if v6 {
		ip := &layers.IPv6{Version: 6, HopLimit: uint8(r.Uint32()), NextHeader: layers.IPProtocolTCP, SrcIP: address(16), DstIP: address(16), FlowLabel: r.Uint32() & 0xfffff}
		stack = append(stack, ip)
	} else {
		ip := &layers.IPv4{Version: 4, TTL: uint8(r.Uint32()), Protocol: layers.IPProtocolTCP, SrcIP: address(4), DstIP: address(4), Id: uint16(r.Uint32())}
		if r.IntN(2) == 0 {
			ip.Flags = layers.IPv4DontFragment
		}
		for range r.IntN(4) * r.IntN(2) {
			ip.Options = append(ip.Options, layers.IPv4Option{OptionType: 0x94, OptionLength: 4, OptionData: []byte{0, 0}})
		}
		stack = append(stack, ip)
	}
	payload := make([]byte, r.IntN(40)*r.IntN(40))
	stack = append(stack, tcp, gopacket.Payload(payload))
	buffer := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true}, stack...); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

func generatedOptions(r *rand.Rand) (all []layers.TCPOption) {
	sizes := map[layers.TCPOptionKind][]int{
		layers.TCPOptionKindMSS: {2}, layers.TCPOptionKindWindowScale: {1}, layers.TCPOptionKindSACKPermitted: {0},
		layers.TCPOptionKindSACK: {8, 16, 24}, layers.TCPOptionKindTimestamps: {8}, 19: {16}, 29: {14}, 30: {2, 6, 10, 18}, 34: {0, 8}, 254: {2, 8}, 99: {3},
	}
	kinds := []layers.TCPOptionKind{2, 3, 4, 5, 8, 19, 29, 30, 34, 254, 99}
	length := 0
	for range r.IntN(6) {
		if r.IntN(3) == 0 && length < 40 {
			all, length = append(all, layers.TCPOption{OptionType: layers.TCPOptionKindNop, OptionLength: 1}), length+1
			continue
		}
		kind := kinds[r.IntN(len(kinds))]
		v := make([]byte, sizes[kind][r.IntN(len(sizes[kind]))])
		for i := range v {
			v[i] = byte(r.Uint32())
		}
		if kind == 254 && r.IntN(2) == 0 {
			v[0], v[1] = 0xf9, 0x89
		}
		if length+len(v)+2 > 40 {
			break
		}
		length += len(v) + 2
		all = append(all, layers.TCPOption{OptionType: kind, OptionLength: uint8(len(v) + 2), OptionData: v})
	}
	return all
}

// TestGenerated compares the two decoders on random segments.
func TestGenerated(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	b := newBench(linkEthernet)
	for n := range 5000 {
		frame := generated(t, r)
		got := b.decode(frame)
		want, payload, ok := byGopacket(frame, layers.LinkTypeEthernet)
		if !ok {
			t.Fatalf("packet %d: gopacket does not read what it wrote: %x", n, frame)
		}
		if diff := cmp.Diff(want, common(got)); diff != "" || payload != b.payload(&got) {
			t.Fatalf("packet %d, %x: -gopacket +ours\n%s", n, frame, diff)
		}
	}
}

// gopacketLacks is, by capture, how many segments gopacket v1.1.19 does not
// see or gets wrong, and why.
var gopacketLacks = map[string]struct {
	segments int
	reason   string
}{
	"PcapFlowLab__examples__showcase__pcap_flow_lab_showcase.pcap": {3, "802.1ah, EoIP, a pseudowire without control word"},
	"arkime__nflog.pcap":                                                                  {10, "NFLOG"},
	"pcap-analyzer__assets__frag_tcp_80_ipv4.pcap":                                        {1, "IPv4 fragments"},
	"suricata-verify__decode-chdlc-01__hdlc-http_1tx.pcap":                                {17, "Cisco HDLC"},
	"suricata-verify__decode-sll2-01__input.pcap":                                         {5, "SLL2"},
	"suricata-verify__defrag__bug-6887-defrag-ipv6-tcp__frag-ip-tcp.pcap":                 {1, "IPv6 fragments"},
	"suricata-verify__defrag__bug-6887-defrag-ppp-ipv4-tcp-syn__frag-ppp-ip-tcp-syn.pcap": {1, "IPv4 fragments"},
	"tcpdump__bigtcp-ipv4-vxlan-ipv4.pcap":                                                {1, "length of more than 16 bits"},
	"tcptrace__pcap_v2.2.dmp.gz":                                                          {2, "options of a header that the snaplen cut"},
	"zeek__cisco-fabric-path.pcap":                                                        {16, "FabricPath"},
	"zeek__tunnels__gtp__gtp1_gn_normal_incl_fragmentation.pcap":                          {36, "IPv4 fragments around GTP"},
}

// TestCorpusGopacket compares the two decoders on every packet of the corpus.
func TestCorpusGopacket(t *testing.T) {
	for name := range corpusFiles(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			lacks := 0
			eachRecord(t, name, func(b *Batch, r *record, p *Packet) {
				frame := b.Data[r.off : r.off+r.capLen]
				lack, err := compareGopacket(b, r, p, frame)
				if err != nil {
					t.Errorf("packet %d: %v", r.number, err)
				}
				lacks += lack
			})
			if want := gopacketLacks[filepath.Base(name)]; lacks != want.segments {
				t.Errorf("gopacket lacks %d segments, expected %d (%s)", lacks, want.segments, want.reason)
			}
		})
	}
}

// compareGopacket returns 1 for a segment that gopacket lacks.
func compareGopacket(b *Batch, r *record, p *Packet, frame []byte) (lacks int, err error) {
	link := r.link
	switch link {
	case linkIPv4, linkIPv6:
		link = linkRaw
	}
	want, payload, ok := Packet{}, "", false
	if link < 256 {
		want, payload, ok = byGopacket(frame, layers.LinkType(link))
	}
	switch diff := cmp.Diff(want, common(*p)); {
	case p.Kind != TCP && ok:
		return 0, fmt.Errorf("gopacket sees a segment, we have kind %d (%v)", p.Kind, p.Problem)
	case p.Kind != TCP:
		return 0, nil
	case !ok, p.Has(LengthGuess) && p.Len > math.MaxUint16, p.Has(HeaderCut) && p.Options != OptBroken:
		return 1, nil
	case diff != "":
		return 0, fmt.Errorf("-gopacket +ours\n%s", diff)
	case payload != string(b.Payload(p)):
		return 0, errors.New("payloads differ")
	}
	return 0, nil
}

// eachRecord calls f with every record of a file and what decode makes of it.
func eachRecord(t *testing.T, name string, f func(b *Batch, r *record, p *Packet)) {
	t.Helper()
	source, err := Open([]string{name}, OpenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	s := source.(*files)
	defer s.Close()
	if !s.openNext() {
		t.Fatal("nothing to read")
	}
	r, d, b := s.active[0], newDecoder(), new(Batch)
	for more := true; more; more = !r.exhausted() {
		b.Data = r.load(append(b.Data[:0], r.win[r.tail:]...), cap(r.recs))
		data := b.Data
		for i := range r.recs {
			var p Packet
			d.decode(b, &r.recs[i], &p)
			f(b, &r.recs[i], &p)
		}
		r.keep(data, len(r.recs))
	}
}
