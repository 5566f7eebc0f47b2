package filter

import (
	"context"
	"net"
)

// servicePort is the port that a service name stands for, and the transports
// it is registered with. The usual names are known everywhere; for the others
// the services file of this machine is asked, never the network.
func servicePort(word string) (port uint32, tcp, udp bool) {
	if port, tcp, udp = usualPort(word); port != 0 {
		return port, tcp, udp
	}
	var resolver net.Resolver
	resolver.PreferGo = true
	if p, err := resolver.LookupPort(context.Background(), "tcp", word); err == nil {
		port, tcp = uint32(p), true
	}
	if p, err := resolver.LookupPort(context.Background(), "udp", word); err == nil && (!tcp || uint32(p) == port) {
		port, udp = uint32(p), true
	}
	return port, tcp, udp
}

func usualPort(word string) (port uint32, tcp, udp bool) {
	switch word {
	case "ftp-data":
		return 20, true, false
	case "ftp":
		return 21, true, false
	case "ssh":
		return 22, true, false
	case "telnet":
		return 23, true, false
	case "smtp", "mail":
		return 25, true, false
	case "domain":
		return 53, true, true
	case "bootps":
		return 67, false, true
	case "bootpc":
		return 68, false, true
	case "tftp":
		return 69, false, true
	case "http", "www":
		return 80, true, false
	case "kerberos":
		return 88, true, true
	case "pop3":
		return 110, true, false
	case "sunrpc":
		return 111, true, true
	case "ntp":
		return 123, false, true
	case "imap2", "imap":
		return 143, true, false
	case "snmp":
		return 161, true, true
	case "bgp":
		return 179, true, false
	}
	return otherUsualPort(word)
}

func otherUsualPort(word string) (port uint32, tcp, udp bool) {
	switch word {
	case "ldap":
		return 389, true, true
	case "https":
		return 443, true, true // QUIC
	case "microsoft-ds":
		return 445, true, true
	case "syslog":
		return 514, false, true
	case "submission":
		return 587, true, false
	case "ldaps":
		return 636, true, true
	case "imaps":
		return 993, true, false
	case "pop3s":
		return 995, true, false
	case "ms-sql-s":
		return 1433, true, false
	case "mqtt":
		return 1883, true, false
	case "nfs":
		return 2049, true, true
	case "mysql":
		return 3306, true, false
	case "ms-wbt-server", "rdp":
		return 3389, true, false
	case "postgresql":
		return 5432, true, false
	case "amqp":
		return 5672, true, true
	case "redis":
		return 6379, true, false
	case "http-alt":
		return 8080, true, false
	}
	return 0, false, false
}

// ipProtocol is the IP protocol number behind a name.
func ipProtocol(word string) (uint32, bool) {
	switch word {
	case "ip":
		return 0, true // as protocols(5) has it
	case "icmp":
		return 1, true
	case "igmp":
		return 2, true
	case "ipencap":
		return 4, true
	case "tcp":
		return 6, true
	case "egp":
		return 8, true
	case "igp", "igrp":
		return 9, true
	case "udp":
		return 17, true
	case "dccp":
		return 33, true
	case "ipv6":
		return 41, true
	case "ipv6-route":
		return 43, true
	case "ipv6-frag":
		return 44, true
	case "rsvp":
		return 46, true
	case "gre":
		return 47, true
	case "esp":
		return 50, true
	case "ah":
		return 51, true
	case "ipv6-icmp", "icmp6":
		return 58, true
	case "ipv6-nonxt":
		return 59, true
	case "ipv6-opts":
		return 60, true
	case "eigrp":
		return 88, true
	case "ospf":
		return 89, true
	case "ipip":
		return 94, true
	case "pim":
		return 103, true
	case "ipcomp":
		return 108, true
	case "vrrp", "carp":
		return 112, true
	case "l2tp":
		return 115, true
	case "sctp":
		return 132, true
	case "udplite":
		return 136, true
	}
	return 0, false
}

// linkProtocol is the EtherType, or LLC service access point, behind a name.
func linkProtocol(word string) (uint32, bool) {
	switch word {
	case "ip":
		return etherIPv4, true
	case "ip6":
		return etherIPv6, true
	case "arp":
		return etherARP, true
	case "rarp", "revarp":
		return etherRARP, true
	case "atalk":
		return etherATalk, true
	case "aarp":
		return etherAARP, true
	case "decnet":
		return etherDECnet, true
	case "lat":
		return etherLAT, true
	case "sca":
		return etherSCA, true
	case "mopdl":
		return etherMOPDL, true
	case "moprc":
		return etherMOPRC, true
	case "loopback":
		return 0x9000, true
	case "iso":
		return sapISO, true
	case "stp":
		return sapSTP, true
	case "ipx":
		return sapIPX, true
	case "netbeui":
		return sapNetBEUI, true
	}
	return 0, false
}

// EtherTypes, and the LLC service access points that stand for a protocol
// where frames carry a length instead of a type.
const (
	etherIPv4      = 0x0800
	etherARP       = 0x0806
	etherMOPDL     = 0x6001
	etherMOPRC     = 0x6002
	etherDECnet    = 0x6003
	etherLAT       = 0x6004
	etherSCA       = 0x6007
	etherRARP      = 0x8035
	etherATalk     = 0x809b
	etherAARP      = 0x80f3
	etherVLAN      = 0x8100
	etherIPX       = 0x8137
	etherIPv6      = 0x86dd
	etherMPLS      = 0x8847
	etherPPPoED    = 0x8863
	etherPPPoES    = 0x8864
	etherVLANOuter = 0x88a8
	etherVLANOld   = 0x9100

	sapIP      = 0x06
	sapSTP     = 0x42
	sapIPX     = 0xe0
	sapNetBEUI = 0xf0
	sapISO     = 0xfe

	largestLength = 1500 // of the type field of Ethernet, below EtherTypes
)
