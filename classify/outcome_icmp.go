package classify

import "hangup/assembler"

// ICMP and ICMPv6 types that a TCP socket hears of.
const (
	unreachable4   = 3
	timeExceeded4  = 11
	badParameter4  = 12
	fragNeeded     = 4 // a code of unreachable4
	reassembly     = 1 // a code of timeExceeded4
	unreachable6   = 1
	packetTooBig6  = 2
	timeExceeded6  = 3
	lastErrorType6 = 127 // RFC 4443 2.1: types below 128 are errors
)

// icmpErrno is the error that an ICMP message puts on a Linux socket, at once
// on a dial (tcp_v4_err and tcp_v6_err in SYN_SENT: any of them is fatal
// there), as sk_err_soft on an established connection, where it comes up only
// when the kernel gives up. None for messages that change nothing.
func icmpErrno(i *assembler.ICMP) Token {
	if i.V6 {
		return icmp6Errno(i.Type, i.Code)
	}
	return icmp4Errno(i.Type, i.Code)
}

// icmp4Errno is icmp_err_convert with the cases that tcp_v4_err and
// icmp_unreach sort out before: path MTU, a fragment's timeout (which says
// nothing of TCP), codes past the table, source quench.
func icmp4Errno(typ, code uint8) Token {
	switch typ {
	case unreachable4:
		if int(code) < len(icmp4Codes) {
			return icmp4Codes[code]
		}
	case timeExceeded4:
		if code != reassembly {
			return eHOSTUNREACH
		}
	case badParameter4:
		return ePROTO
	}
	return noError
}

// icmp4Codes are the errors for the codes of "destination unreachable".
var icmp4Codes = [...]Token{
	0:          eNETUNREACH,
	1:          eHOSTUNREACH,
	2:          eNOPROTOOPT,
	3:          eCONNREFUSED,
	fragNeeded: noError, // lowers the MTU (tcp_v4_mtu_reduced)
	5:          eOPNOTSUPP,
	6:          eNETUNREACH,
	7:          eHOSTDOWN,
	8:          eNONET,
	9:          eNETUNREACH,
	10:         eHOSTUNREACH,
	11:         eNETUNREACH,
	12:         eHOSTUNREACH,
	13:         eHOSTUNREACH,
	14:         eHOSTUNREACH,
	15:         eHOSTUNREACH,
}

// icmp6Errno is icmpv6_err_convert; what it does not know is EPROTO, and
// errors of unknown type reach the socket too (icmpv6_rcv, RFC 4443 2.4).
func icmp6Errno(typ, code uint8) Token {
	switch {
	case typ == packetTooBig6 || typ > lastErrorType6:
		return noError
	case typ == timeExceeded6:
		return eHOSTUNREACH
	case typ == unreachable6 && int(code) < len(icmp6Codes):
		return icmp6Codes[code]
	}
	return ePROTO
}

// icmp6Codes is tab_unreach of net/ipv6/icmp.c.
var icmp6Codes = [...]Token{eNETUNREACH, eACCES, eHOSTUNREACH, eHOSTUNREACH, eCONNREFUSED, eACCES, eACCES}
