package classify

// Why is the reason an Alternative cannot be excluded.
type Why uint8

const (
	_ Why = iota
	WhyFirewallReset
	WhyMaybeTrying
	WhyMaybeGaveUp
	WhyUnreadUnknown
	WhyReadUnknown
	WhyListenerUnknown
	WhyMiddleboxExpired
	WhyReboot
	WhyAckLost
	WhyCaptureGap
	WhyOneWay
	WhyTooEarly
	WhyMayYetClose
	WhyQueueOrState
	WhyOwnHostFirewall
	WhyCrossed
	WhyNoFinAck
	WhyProgramGaveUp
	WhyShortFinWait
	WhyLateAbort
	WhyUnweighed
	WhyOneSign
	WhyMaybeAccepted
	WhyQueueFull
	WhyQueueDied
	WhySizeOnly
	WhyDeaf
	WhyOddAbort
	WhyLarger
	WhyGoodbye
	WhyErrorLate
	WhyTriesOn
	WhyOtherMachine
	WhyOtherDeadline
	WhyShortRecord
	WhyHalfAlive
	WhyNextHop
	WhyMaybeKilled
	WhySYNProxy
	numWhys
)

var whyTexts = [numWhys]string{
	WhyFirewallReset:    "a firewall that rejects with a TCP reset sends the same packet",
	WhyMaybeTrying:      "the capture ends before the next try was due, so the sender may still be trying",
	WhyMaybeGaveUp:      "the capture ends before the next try was due, so the sender may just have given up",
	WhyUnreadUnknown:    "some of what it had received may still have been unread, which makes Close send a reset too; the packets look the same",
	WhyReadUnknown:      "the acknowledged bytes may have been read before an abort by choice (SetLinger(0)); the packets look the same",
	WhyListenerUnknown:  "the server had not sent anything yet: the connection may still have waited in the queue of a listener that was closed",
	WhyMiddleboxExpired: "a NAT or load balancer whose entry had expired answers in the endpoint's name with the same packet",
	WhyReboot:           "a host that rebooted, or lost the socket otherwise, answers with the same packet",
	WhyAckLost:          "if the client's ACK was lost on its way, the server repeats its SYN-ACK as well",
	WhyCaptureGap:       "the capture missed bytes of this connection, so the deciding packet may be missing as well",
	WhyOneWay:           "only one direction was captured; what the other end sent is unknown",
	WhyTooEarly:         "the capture ends shortly afterwards; the rest may have followed",
	WhyMayYetClose:      "the other side may still close, or may go on sending by design (CloseWrite)",
	WhyQueueOrState:     "a full accept queue with tcp_abort_on_overflow answers the handshake's ACK with the same packet",
	WhyOwnHostFirewall:  "the fingerprint is that of the host's own kernel, which may have answered for a socket it no longer had",
	WhyCrossed:          "the data was sent before the FIN could have arrived, so the writer could not know",
	WhyNoFinAck:         "the last acknowledgment is not in the capture",
	WhyProgramGaveUp:    "the program may have given up by a deadline of its own",
	WhyShortFinWait:     "the wait was shorter than Linux's default of 60 s, so the socket may have been gone for another reason",
	WhySYNProxy:         "the SYN-ACK's window was 0, as a SYN proxy's is: then the server behind it refused the connection, most likely because nothing listens there",
	WhyLateAbort:        "the RST may be the answer to a packet that the capture does not show",
	WhyOneSign:          "one odd header field is a sign and no proof: a proxy, another route or an unusual system may have caused it",
	WhyMaybeAccepted:    "it may have been accepted already, and then its own Close sent the same packet",
	WhyQueueFull:        "the same listener's accept queue was full at that time, and a full queue drops SYNs as well",
	WhyQueueDied:        "connections waited in the same listener's accept queue at that time, until it was closed: had the queue been full, it would have dropped SYNs as well",
	WhySizeOnly:         "the size may be a coincidence: a path that loses everything for a while looks similar",
	WhyDeaf:             "everything it sent had arrived; that it gave up is concluded from its silence",
	WhyOddAbort:         "an unusual system, or a tool that writes its own packets, may abort like that",
	WhyLarger:           "what went unanswered is larger than everything that was acknowledged: a path whose MTU is too small, and whose ICMP errors are dropped, passes the rest",
	WhyGoodbye:          "a goodbye is written as soon upon the EOF (GOAWAY, Terminate, QUIT): then the late write lost nothing, and no program was told of it",
	WhyErrorLate:        "an ICMP error did come back, but later than the next SYN was due: nobody was waiting any more, unless that SYN was not captured",
	WhyTriesOn:          "its system goes on trying in spite of such errors, so its program may have given up by itself",
	WhyOtherMachine:     "behind a load balancer or an anycast address another machine, which never had the connection, answers with the same packet",
	WhyOtherDeadline:    "no system gives up after so few probes by default: a program's own limit may have fallen on the same moment",
	WhyShortRecord:      "two bytes of data make a record of the same length as an alert: then they are lost",
	WhyHalfAlive:        "the side that sent FIN may only have shut down its sending half, and still wait for an answer",
	WhyNextHop:          "once the next hop answers no ARP any more, further tries never leave the sender, which may still be trying",
	WhyMaybeKilled:      "its process may have died with requests unread that it had accepted; the packets look the same",
	WhyUnweighed:        "too little of the connection was captured to tell whether the RST was taken or dropped",
}

func (w Why) String() string { return whyTexts[w] }
