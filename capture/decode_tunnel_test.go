package capture

// greHeader is a GRE header with what the flags ask for.
func greHeader(flags, number uint16, key uint32, payload []byte) []byte {
	h := join(be16(flags), be16(number))
	if flags&greChecksum != 0 {
		h = append(h, 1, 2, 0, 0)
	}
	if flags&greKey != 0 {
		h = append(h, be32(key)...)
	}
	if flags&greSequence != 0 {
		h = append(h, 0, 0, 0, 9)
	}
	return join(h, payload)
}

func vxlanHeader(vni uint32, payload []byte) []byte {
	return join([]byte{8, 0, 0, 0}, be32(vni<<8), payload)
}

func tunnelCarriers() []carrier {
	const pair = " in 192.0.2.1 > 192.0.2.2"
	inEther := func(ip []byte) []byte { return ether(0x0800, ip) }
	return append(udpTunnelCarriers(), []carrier{
		{"IPIP", linkRaw, func(back bool) []byte { return outer(back, 4, innerV4(back)) }, "ipip" + pair, 1, 0, 0},
		{"6in4", linkEthernet, func(back bool) []byte { return inEther(outer(back, 41, innerV6(back))) }, "6in4" + pair, 1, macAValue, 0},
		{"6in6", linkRaw, func(back bool) []byte { return outerV6(back, 41, innerV6(back)) }, "6in6 in 2001:db8:ff::1 > 2001:db8:ff::2", 1, 0, 0},
		{"4in6 behind options", linkRaw, func(back bool) []byte {
			return outerV6(back, protocolOptions, extension(4, []byte{4, 1, 4}, innerV4(back)))
		}, "4in6 in 2001:db8:ff::1 > 2001:db8:ff::2", 1, 0, 0},
		{"IPIP twice", linkRaw, func(back bool) []byte { return outer(back, 41, outerV6(back, 4, innerV4(back))) },
			"4in6 in 2001:db8:ff::1 > 2001:db8:ff::2 in 6in4" + pair, 2, 0, 0},
		{"GRE", linkRaw, func(back bool) []byte { return outer(back, 47, greHeader(0, 0x0800, 0, innerV4(back))) }, "gre" + pair, 1, 0, 0},
		{"GRE with everything", linkRaw, func(back bool) []byte {
			return outer(back, 47, greHeader(greChecksum|greKey|greSequence, 0x86dd, 77, innerV6(back)))
		}, "gre 77" + pair, 1, 0, 0},
		{"GRE bridging", linkRaw, func(back bool) []byte {
			return outerV6(back, 47, greHeader(greKey, 0x6558, 5, ether(0x8100, tag(6, 0x0800, innerV4(back)))))
		}, "vlan 6 in gre 5 in 2001:db8:ff::1 > 2001:db8:ff::2", 1, macAValue, 0},
		{"GRE MPLS", linkRaw, func(back bool) []byte {
			return outer(back, 47, greHeader(0, 0x8847, 0, join(be32(16<<12|1<<8), innerV4(back))))
		},
			"mpls 16 in gre" + pair, 1, 0, 0},
		{"GRE WCCP", linkRaw, func(back bool) []byte {
			return outer(back, 47, greHeader(0, 0x883e, 0, join([]byte{0, 1, 2, 3}, innerV4(back))))
		},
			"gre" + pair, 1, 0, 0},
		{"PPTP", linkRaw, func(back bool) []byte {
			in := join([]byte{0xff, 3, 0, 0x21}, innerV4(back))
			h := join(be16(greKey|greSequence|greAcknowledge|1), be16(0x880b), be16(uint16(len(in))), be16(either[uint16](back, 4, 3)), be32(8), be32(7))
			return outer(back, 47, join(h, in))
		}, "pptp 3" + pair, 1, 0, 0},
		{"EoIP", linkRaw, func(back bool) []byte {
			in := ether(0x0800, innerV4(back))
			return outer(back, 47, join(be16(greKey|1), be16(0x6400), be16(uint16(len(in))), []byte{25, 0}, in))
		}, "eoip 25" + pair, 1, macAValue, 0},
		{"ERSPAN I", linkRaw, func(back bool) []byte { return outer(false, 47, greHeader(0, 0x88be, 0, inEther(innerV4(back)))) }, "erspan" + pair, 1, macAValue, 0},
		{"ERSPAN II", linkRaw, func(back bool) []byte {
			return outer(false, 47, greHeader(greSequence, 0x88be, 0, join([]byte{0x10, 5, 0x18, 42, 0, 0, 0, 1}, inEther(innerV4(back)))))
		}, "erspan 42" + pair, 1, macAValue, 0},
		{"ERSPAN III with subheader", linkRaw, func(back bool) []byte {
			h := join([]byte{0x20, 5, 0, 42, 1, 2, 3, 4, 0, 0, 0, 1}, make([]byte, 8))
			return outer(false, 47, greHeader(greSequence, 0x22eb, 0, join(h, inEther(innerV4(back)))))
		}, "erspan 42" + pair, 1, macAValue, 0},
		{"ERSPAN III of IP", linkRaw, func(back bool) []byte {
			h := []byte{0x20, 5, 0, 42, 1, 2, 3, 4, 0, 0, 2 << 2, 0}
			return outer(false, 47, greHeader(greSequence, 0x22eb, 0, join(h, innerV6(back))))
		}, "erspan 42" + pair, 1, 0, 0},
		{"AH", linkRaw, func(back bool) []byte {
			return either(back, v4(hostB, hostA, 51, ahHeader(6, innerV4(true)[20:])), v4(hostA, hostB, 51, ahHeader(6, innerV4(false)[20:])))
		}, "", 0, 0, 0},
		{"AH tunnel", linkRaw, func(back bool) []byte { return outerV6(back, 51, ahHeader(41, innerV6(back))) },
			"6in6 in 2001:db8:ff::1 > 2001:db8:ff::2", 1, 0, 0},
		{"EtherIP", linkRaw, func(back bool) []byte { return outer(back, 97, join([]byte{0x30, 0}, inEther(innerV4(back)))) }, "etherip" + pair, 1, macAValue, 0},
		{"MPLS in IP", linkRaw, func(back bool) []byte { return outer(back, 137, join(be32(16<<12|1<<8), innerV4(back))) }, "mpls 16", 1, 0, 0},
		{"SRv6 Ethernet", linkRaw, func(back bool) []byte { return outerV6(back, 143, inEther(innerV4(back))) },
			"ethernet in 2001:db8:ff::1 > 2001:db8:ff::2", 1, macAValue, 0},
	}...)
}

// ahHeader is an authentication header with twelve bytes of checksum.
func ahHeader(next uint8, payload []byte) []byte {
	return join([]byte{next, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}, make([]byte, 12), payload)
}

func udpTunnelCarriers() []carrier {
	const pair = " in 192.0.2.1 > 192.0.2.2"
	in := func(back bool, port uint16, payload []byte) []byte {
		return outer(back, 17, datagramUDP(50123, port, payload))
	}
	gtp := func(back bool, flags byte, optional, payload []byte) []byte {
		teid := either[uint32](back, 0x22, 0x11)
		return in(back, 2152, join([]byte{0x30 | flags, 255}, be16(uint16(len(optional)+len(payload))), be32(teid), optional, payload))
	}
	return []carrier{
		{"VXLAN", linkRaw, func(back bool) []byte { return in(back, 4789, vxlanHeader(42, ether(0x0800, innerV4(back)))) }, "vxlan 42" + pair, 1, macAValue, 0},
		{"VXLAN of Linux in VLAN", linkEthernet, func(back bool) []byte {
			return ether(0x8100, tag(9, 0x0800, in(back, 8472, vxlanHeader(1, ether(0x86dd, innerV6(back))))))
		}, "vxlan 1" + pair + " in vlan 9", 1, macAValue, 0},
		{"VXLAN group policy", linkRaw, func(back bool) []byte {
			return in(back, 4789, join([]byte{0x88, 0, 1, 2, 0, 0, 42, 0}, ether(0x0800, innerV4(back))))
		}, "vxlan 42" + pair, 1, macAValue, 0},
		{"VXLAN-GPE", linkRaw, func(back bool) []byte { return in(back, 4790, join([]byte{0x0c, 0, 0, 2, 0, 0, 42, 0}, innerV6(back))) }, "vxlan 42" + pair, 1, 0, 0},
		{"VXLAN in ERSPAN", linkRaw, func(back bool) []byte {
			frame := ether(0x0800, in(back, 4789, vxlanHeader(42, ether(0x0800, innerV4(back)))))
			return v4("198.51.100.1", "198.51.100.2", 47, greHeader(0, 0x88be, 0, frame))
		}, "vxlan 42" + pair + " in erspan in 198.51.100.1 > 198.51.100.2", 2, macAValue, 0},
		{"Geneve", linkRaw, func(back bool) []byte {
			return in(back, 6081, join([]byte{0, 0, 0x65, 0x58, 0, 0, 42, 0}, ether(0x0800, innerV4(back))))
		}, "geneve 42" + pair, 1, macAValue, 0},
		{"Geneve with options", linkRaw, func(back bool) []byte {
			return in(back, 6081, join([]byte{2, 0x40, 0x86, 0xdd, 0, 0, 42, 0}, []byte{1, 8, 1, 1, 0, 0, 0, 0}, innerV6(back)))
		}, "geneve 42" + pair, 1, 0, 0},
		{"GTP", linkRaw, func(back bool) []byte { return gtp(back, 0, nil, innerV4(back)) }, "gtp 17" + pair, 1, 0, 0},
		{"GTP with sequence", linkRaw, func(back bool) []byte { return gtp(back, 2, []byte{0, 1, 0, 0xc0}, innerV4(back)) }, "gtp 17" + pair, 1, 0, 0},
		{"GTP with extensions", linkRaw, func(back bool) []byte {
			return gtp(back, 4, []byte{0, 0, 0, 0x85, 1, 0x10, 9, 0xc0, 2, 0, 0, 0, 0, 0, 0, 0}, innerV6(back))
		}, "gtp 17" + pair, 1, 0, 0},
		{"Teredo", linkRaw, func(back bool) []byte {
			return in(back, 3544, join([]byte{0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0}, []byte{0, 0, 1, 2, 3, 4, 5, 6}, innerV6(back)))
		}, "teredo" + pair, 1, 0, 0},
	}
}
