package classify

const docKeepaliveTimeout = `
Keep-alive probes stayed unanswered until the prober gave up.

Proof: probes one below the next sequence number at regular intervals, no answer, then the prober's RST+ACK or silence (RFC 9293 3.8.4; tcp_keepalive_timer). Go's defaults: after 15 s of silence, every 15 s, 9 of them, about 150 s in all. The program gets ETIMEDOUT from a pending Read. Whether the host or the path is gone does not show.

Looks alike: an abort by the program at that very moment, so that it is certain only after as many probes as a system sends by default (8 to 10). Without a RST the prober may also be trying still, if its next hop answers no ARP any more: nothing leaves it then. If RSTs came back that the prober never took, its own firewall dropped them.`

const adviseKeepaliveTimeout = `The connection was dead for minutes before anybody noticed. Find what cut it: a host that vanished, a firewall or NAT that forgot the idle connection (compare the silence before the first probe with its limit). To notice earlier use net.KeepAliveConfig{Enable: true, Idle: ..., Interval: ..., Count: ...} in net.Dialer and net.ListenConfig, or read deadlines with pings of the protocol's own.`

const docPMTUBlackhole = `
Full-size segments disappear while small ones pass: somewhere the path's MTU is smaller, and nobody says so.

Proof: the same large segment is sent again and again, never acknowledged; smaller ones were; the peer is heard meanwhile (RFC 2923 2.1, RFC 4821). The ICMP message that would make the sender use smaller packets is filtered, or never sent: a tunnel, a VPN, PPPoE, an overlay network with the wrong MTU.

Looks alike: a path that loses everything for a while.`

const advisePMTUBlackhole = `Let ICMP type 3 code 4 and ICMPv6 type 2 through the firewalls. Until then set the interface's MTU to the tunnel's, or clamp the MSS on the router (iptables ... -j TCPMSS --clamp-mss-to-pmtu), or set net.ipv4.tcp_mtu_probing to 1. Try with ping -M do -s 1472. Typical in Go programs: the dial works and the TLS handshake hangs, since certificates are large; http.Transport.TLSHandshakeTimeout limits the wait.`

const docRetransmissionTimeout = `
Data was sent again and again, never acknowledged, until the sender gave up.

Proof: repeats with growing intervals, no acknowledgment, and no further try although the capture goes on past the moment it would have been due (RFC 9293 3.8.3, RFC 6298; tcp_write_timeout with net.ipv4.tcp_retries2 or TCP_USER_TIMEOUT). Linux sends no RST then; BSD and macOS send one, and Linux answers with one what comes later. The program gets ETIMEDOUT, or the errno of ICMP errors that came back meanwhile. Linux's default takes 15 minutes and more.

Looks alike: the capture ends before the next try: then the sender may still be trying, which is peer-vanished. So it may where its next hop stopped answering ARP, for then no further try leaves it, and no capture shows that it goes on; only as many tries as a kernel makes, or twenty minutes, exclude that.`

const docDeaf = `
Data was repeated until the sender gave up, although the capture shows it acknowledged every time.

Proof: taken near the receiver, the capture has its acknowledgments; the sender repeats with back-off as if none had come, and then stops. The way back to the sender is cut: an asymmetric route, a firewall that lost the state of one direction.`

const adviseRetransmissionTimeout = `Whether the host or the path is gone a second capture at the other end tells. To notice within seconds instead of a quarter of an hour: write deadlines (SetWriteDeadline), request timeouts by context, TCP_USER_TIMEOUT through net.Dialer.Control (gRPC sets 20 s), and for HTTP/2 http.Transport's HTTP2.SendPingTimeout, so that a dead connection does not take every new request.`

const docFinTimeout = `
A FIN was sent again and again and never acknowledged.

Proof: repeated FINs without an answer, and no further try (tcp_orphan_retries, 8 by default). The program had closed already and hears nothing; what was sent but not acknowledged before is lost without an error.

Looks alike: the capture ends before the next try: peer-vanished.`

const adviseFinTimeout = `The peer was gone before Close. If it matters whether the data arrived, let the peer answer in the protocol before Close: Close returns nil in every ending. SetLinger with a positive time does not change that in Go.`

const docPeerVanished = `
Data, probes or a FIN are unanswered, and the sender is still trying when the capture ends.

Proof: at least two tries without an answer, and a capture that ends before the next one would be due; so the sender may just as well have given up. The peer's side of the connection may be alive: the path can be cut in between.`

const advisePeerVanished = `Capture longer, and at both ends. In the program limit the wait: SetReadDeadline and SetWriteDeadline, context deadlines, net.KeepAliveConfig for idle connections, TCP_USER_TIMEOUT through net.Dialer.Control for busy ones.`

const docZeroWindow = `
The receiver's window has been shut for long: its program does not read.

Proof: window 0 and no update; window probes answered with window 0 again (RFC 9293 3.8.6.1; tcp_probe_timer). Open while the probes are answered, half-open when they are not any more, timed-out when the writer stopped probing. The writer's Write blocks as soon as its send buffer is full, for ever if the reader's host lives: answered probes never time out.

Looks alike: a reader that is only slow: the window then opens again, and two marks are all that remains.`

const adviseZeroWindow = `Look at the reader: what does the goroutine do that should Read (/debug/pprof/goroutine)? A full channel, a lock, a slow disk, a handler that does not read its request body. On the writer's side set SetWriteDeadline, or http.Server.WriteTimeout, so that one slow reader does not hold a goroutine for ever.`
