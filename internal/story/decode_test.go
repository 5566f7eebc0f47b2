package story

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// compile parses packets text, with the section's marker before it.
func compile(t *testing.T, text string) *Story {
	t.Helper()
	s, err := Parse([]byte("-- packets --\n" + text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// decode reads a packet with gopacket's layers, which check nothing of ours.
func decode(t *testing.T, s *Story, p Emitted) gopacket.Packet {
	t.Helper()
	var first gopacket.Decoder = layers.LinkType(s.link.number())
	data := p.Data
	if s.link == sll2 { // gopacket knows link types up to 255
		data = data[20:]
		first = layers.LinkTypeRaw
	}
	packet := gopacket.NewPacket(data, first, gopacket.Default)
	if problem := packet.ErrorLayer(); problem != nil && p.Wire == len(p.Data) {
		t.Fatalf("line %d: %v", p.Line, problem.Error())
	}
	return packet
}

// show renders the wanted fields of every packet, one line each.
func show(t *testing.T, s *Story, fields string) string {
	t.Helper()
	var b strings.Builder
	for _, p := range s.Packets() {
		packet := decode(t, s, p)
		var words []string
		for name := range strings.FieldsSeq(fields) {
			words = append(words, field(p, s, packet, name))
		}
		b.WriteString(strings.Join(words, " ") + "\n")
	}
	return b.String()
}

func field(p Emitted, s *Story, packet gopacket.Packet, name string) string {
	switch name {
	case "time":
		return fmt.Sprintf("%.6f", p.Time.Sub(packetZero).Seconds())
	case "captured":
		return fmt.Sprintf("%d/%d", len(p.Data), p.Wire)
	case "link":
		return linkField(p, s, packet)
	case "ttl", "id", "addr":
		return networkField(packet, name)
	}
	tcp, ok := packet.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if !ok {
		return "-"
	}
	switch name {
	case "dir":
		if tcp.DstPort == 8080 {
			return ">"
		}
		return "<"
	case "flags":
		return flagText(tcp)
	case "seq":
		return fmt.Sprint(tcp.Seq)
	case "ack":
		return fmt.Sprint(tcp.Ack)
	case "len":
		return fmt.Sprint(len(tcp.Payload))
	case "text":
		return fmt.Sprintf("%q", tcp.Payload)
	case "hex":
		return hex.EncodeToString(tcp.Payload)
	case "win":
		return fmt.Sprint(tcp.Window)
	case "urg":
		return fmt.Sprint(tcp.Urgent)
	case "opts":
		return optionText(tcp)
	}
	panic(name)
}

func networkField(packet gopacket.Packet, name string) string {
	if ip, ok := packet.NetworkLayer().(*layers.IPv6); ok {
		return map[string]string{"ttl": fmt.Sprint(ip.HopLimit), "id": "-", "addr": fmt.Sprintf("%v>%v", ip.SrcIP, ip.DstIP)}[name]
	}
	ip := packet.NetworkLayer().(*layers.IPv4)
	return map[string]string{"ttl": fmt.Sprint(ip.TTL), "id": fmt.Sprint(ip.Id), "addr": fmt.Sprintf("%v>%v", ip.SrcIP, ip.DstIP)}[name]
}

func linkField(p Emitted, s *Story, packet gopacket.Packet) string {
	if s.link == sll2 {
		return hex.EncodeToString(p.Data[:20])
	}
	switch l := packet.LinkLayer().(type) {
	case *layers.Ethernet:
		text := fmt.Sprintf("%v>%v", l.SrcMAC, l.DstMAC)
		for _, layer := range packet.Layers() {
			if tag, ok := layer.(*layers.Dot1Q); ok {
				text += fmt.Sprintf(" vlan %d", tag.VLANIdentifier)
			}
		}
		return text
	case *layers.LinuxSLL:
		return fmt.Sprintf("%v %v %v", l.PacketType, l.Addr, l.EthernetType)
	}
	if l, ok := packet.Layer(layers.LayerTypeLoopback).(*layers.Loopback); ok {
		return l.Family.String()
	}
	return "none"
}

func flagText(tcp *layers.TCP) string {
	var b strings.Builder
	for i, set := range []bool{tcp.FIN, tcp.SYN, tcp.RST, tcp.PSH, tcp.ACK, tcp.URG, tcp.ECE, tcp.CWR, tcp.NS} {
		if set {
			b.WriteByte("FSRP.UEWe"[i])
		}
	}
	if b.Len() == 0 {
		return "none"
	}
	return b.String()
}

func optionText(tcp *layers.TCP) string {
	var list []string
	for _, o := range tcp.Options {
		if o.OptionType != layers.TCPOptionKindNop {
			list = append(list, fmt.Sprintf("%d:%x", o.OptionType, o.OptionData))
		}
	}
	return "[" + strings.Join(list, " ") + "]"
}
