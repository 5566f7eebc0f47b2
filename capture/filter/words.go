package filter

// isKeyword knows the words that the language keeps for itself, those of
// tcpdump that this compiler refuses included: a host may not be called so
// without a backslash.
func isKeyword(word string) bool {
	switch word {
	case "and", "or", "not",
		"src", "dst", "host", "net", "mask", "port", "portrange", "proto", "protochain", "gateway",
		"less", "greater", "byte", "broadcast", "multicast", "len", "length",
		"inbound", "outbound", "vlan", "mpls", "pppoed", "pppoes":
		return true
	}
	if _, ok := protocolWord(word); ok {
		return true
	}
	_, refused := refusedWord(word)
	return refused
}

// protocol is the first word of a primitive: what its address, port or number
// is one of.
type protocol uint8

const (
	anyProtocol protocol = iota
	protoLink
	protoIP
	protoIP6
	protoARP
	protoRARP
	protoTCP
	protoUDP
	protoSCTP
	protoICMP
	protoICMP6
	protoIGMP
	protoIGRP
	protoPIM
	protoVRRP
	protoCARP
	protoAH
	protoESP
	protoATalk
	protoAARP
	protoDECnet
	protoLAT
	protoSCA
	protoMOPDL
	protoMOPRC
	protoISO
	protoSTP
	protoIPX
	protoNetBEUI
	noProtocol // nothing can be inherited from what stands before
)

func protocolWord(word string) (protocol, bool) {
	switch word {
	case "ether", "link", "ppp", "slip", "fddi", "tr", "wlan":
		return protoLink, true
	case "ip":
		return protoIP, true
	case "ip6":
		return protoIP6, true
	case "arp":
		return protoARP, true
	case "rarp":
		return protoRARP, true
	case "tcp":
		return protoTCP, true
	case "udp":
		return protoUDP, true
	case "sctp":
		return protoSCTP, true
	case "icmp":
		return protoICMP, true
	case "icmp6":
		return protoICMP6, true
	case "igmp":
		return protoIGMP, true
	case "igrp":
		return protoIGRP, true
	case "pim":
		return protoPIM, true
	case "vrrp":
		return protoVRRP, true
	case "carp":
		return protoCARP, true
	case "ah":
		return protoAH, true
	case "esp":
		return protoESP, true
	}
	return oldProtocolWord(word)
}

func oldProtocolWord(word string) (protocol, bool) {
	switch word {
	case "atalk":
		return protoATalk, true
	case "aarp":
		return protoAARP, true
	case "decnet":
		return protoDECnet, true
	case "lat":
		return protoLAT, true
	case "sca":
		return protoSCA, true
	case "mopdl":
		return protoMOPDL, true
	case "moprc":
		return protoMOPRC, true
	case "iso":
		return protoISO, true
	case "stp":
		return protoSTP, true
	case "ipx":
		return protoIPX, true
	case "netbeui":
		return protoNetBEUI, true
	}
	return noProtocol, false
}

// refusedWord knows the words of tcpdump that this compiler does not compile,
// and says why.
func refusedWord(word string) (why string, refused bool) {
	switch word {
	case "geneve":
		return "geneve looks inside a tunnel, which this compiler cannot", true
	case "type", "subtype", "direction", "dir", "address1", "addr1", "address2", "addr2",
		"address3", "addr3", "address4", "addr4", "ra", "ta":
		return "the fields of 802.11 headers cannot be tested", true
	case "llc", "esis", "es-is", "isis", "is-is", "clnp", "l1", "l2", "iih", "lsp", "snp", "csnp", "psnp":
		return "the fields of LLC and ISO headers cannot be tested", true
	case "ifindex":
		return "the number of the interface cannot be tested", true
	case "on", "ifname", "rset", "ruleset", "rnr", "rulenum", "srnr", "subrulenum", "reason", "action":
		return "what OpenBSD's pf logged cannot be tested", true
	case "lane", "metac", "bcc", "oam", "oamf4", "oamf4ec", "oamf4sc", "sc", "ilmic", "vpi", "vci",
		"connectmsg", "metaconnect":
		return "ATM cells cannot be tested", true
	case "fisu", "lssu", "lsu", "msu", "hfisu", "hlssu", "hmsu", "sio", "opc", "dpc", "sls",
		"hsio", "hopc", "hdpc", "hsls":
		return "SS7 signals cannot be tested", true
	case "radio":
		return "the fields of radiotap headers cannot be tested", true
	}
	return "", false
}

// constant is the value of a named constant of tcpdump's language: offsets
// into and values of ICMP, ICMPv6 and TCP header fields.
func constant(word string) (uint32, bool) {
	switch word {
	case "icmptype", "icmp6type", "icmp-echoreply":
		return 0, true
	case "icmpcode", "icmp6code", "tcp-fin", "icmp6-destinationunreach":
		return 1, true
	case "tcp-syn", "icmp6-packettoobig":
		return 2, true
	case "icmp-unreach", "icmp6-timeexceeded":
		return 3, true
	case "tcp-rst", "icmp-sourcequench", "icmp6-parameterproblem":
		return 4, true
	case "icmp-redirect":
		return 5, true
	case "tcp-push", "icmp-echo":
		return 8, true
	case "icmp-routeradvert":
		return 9, true
	case "icmp-routersolicit":
		return 10, true
	case "icmp-timxceed":
		return 11, true
	case "icmp-paramprob":
		return 12, true
	case "tcpflags", "icmp-tstamp":
		return 13, true
	case "icmp-tstampreply":
		return 14, true
	case "icmp-ireq":
		return 15, true
	case "tcp-ack", "icmp-ireqreply":
		return 16, true
	case "icmp-maskreq":
		return 17, true
	case "icmp-maskreply":
		return 18, true
	case "tcp-urg":
		return 0x20, true
	case "tcp-ece":
		return 0x40, true
	case "tcp-cwr":
		return 0x80, true
	}
	return icmp6Type(word)
}

func icmp6Type(word string) (uint32, bool) {
	for i, w := range [...]string{
		"icmp6-echo", "icmp6-echoreply", "icmp6-multicastlistenerquery", "icmp6-multicastlistenerreportv1",
		"icmp6-multicastlistenerdone", "icmp6-routersolicit", "icmp6-routeradvert", "icmp6-neighborsolicit",
		"icmp6-neighboradvert", "icmp6-redirect", "icmp6-routerrenum", "icmp6-nodeinformationquery",
		"icmp6-nodeinformationresponse", "icmp6-ineighbordiscoverysolicit", "icmp6-ineighbordiscoveryadvert",
		"icmp6-multicastlistenerreportv2", "icmp6-homeagentdiscoveryrequest", "icmp6-homeagentdiscoveryreply",
		"icmp6-mobileprefixsolicit", "icmp6-mobileprefixadvert", "icmp6-certpathsolicit",
		"icmp6-certpathadvert", "", "icmp6-multicastrouteradvert", "icmp6-multicastroutersolicit",
		"icmp6-multicastrouterterm",
	} {
		if word == w && w != "" {
			return 128 + uint32(i), true
		}
	}
	return 0, false
}
