package classify

// What each rule means, what proves it and what to do. The first sentence is
// the rule's line in --causes. Written for somebody who was woken by it.

const docConnectionRefused = `
The SYN was answered with a RST: on that host nobody listens on that port, or a firewall says so.

Proof: RST+ACK whose acknowledgment is the SYN's number plus one, while the client is in SYN_SENT (RFC 9293 3.10.7.1 and 3.10.7.3; tcp_v4_send_reset on one side, tcp_rcv_synsent_state_process on the other). Dial returns ECONNREFUSED at once.

Looks alike: "reject with tcp-reset" of a firewall sends the same packet. The hop count tells them apart where the capture holds other packets of that host: the same TTL makes it the host itself, one that came a shorter way something on it. A SYN proxy hands such a refusal on behind a handshake of its own (SYN-ACK with window 0): then it is told as abortive-close, possible, with this as alternative. Windows clients try a refused SYN again, so one dial shows several.`

const adviseConnectionRefused = `See whether the server runs and listens on that address, not only on loopback (ss -ltnp), and whether the port is the one that net.Listen got. During a rollout expect it: retry with backoff and jitter, and test with errors.Is(err, syscall.ECONNREFUSED). If the detail names a middlebox, ask the firewall, not the program.`

const docICMPRejected = `
The SYN was answered with an ICMP error, and Linux ends a dial at once on most of them.

Proof: an ICMP or ICMPv6 error that quotes the SYN, and no SYN after it (tcp_v4_err and tcp_v6_err in SYN_SENT; RFC 5461 2.1). The detail names type and code; the errno follows from it: host unreachable gives EHOSTUNREACH, port unreachable ECONNREFUSED, ICMPv6 "administratively prohibited" EACCES. Sent from the server's own address the server is the actor, else the network; but a host that calls itself unreachable most likely stands behind a translator, and then the actor is unknown. An error that comes when the next SYN was due already met nobody.

Looks alike: an error that meets a socket still busy in connect is only remembered, the SYN is sent again, and the next error counts. Windows and BSD go on trying, so that their programs may have given up by themselves. "Fragmentation needed" rejects nothing.`

const adviseICMPRejected = `Find the rule or the missing route on the machine that sent the error; its address is in the evidence. "Administratively prohibited" is a firewall rule, "no route" and "host unreachable" are routing or a dead next hop. In Go, errors.As to *net.OpError and then errors.Is with syscall.EHOSTUNREACH, ENETUNREACH or EACCES tells them apart; retrying soon helps only where routes change.`

const docDialCancelled = `
The SYN-ACK came when nobody waited for it any more: the dial had timed out or was cancelled.

Proof: the SYN-ACK is answered with a bare RST instead of an ACK: the client's kernel has no socket in SYN_SENT left (RFC 9293 3.10.7.1; tcp_v4_send_reset). The detail says how long the dial had waited. The server's Accept hears nothing of it.

Looks alike: a half-open port scan resets each SYN-ACK within a round trip. With happy eyeballs (RFC 8305) the losing address family ends like this while the caller has its connection; the detail then names the connection that won.`

const adviseDialCancelled = `Compare the wait with net.Dialer.Timeout, the context's deadline and http.Client.Timeout: one of them is shorter than this path's round trip plus the server's delay. If many dials end so, the server's SYN queue or its host is slow; do not just raise the limit. If another address family won, nothing is wrong.`

const docConnectTimeout = `
No SYN was ever answered, and the client stopped sending.

Proof: one or more SYNs with the same initial sequence number, nothing in return, and a capture that goes on past the next try (RFC 9293 3.8.3; tcp_write_timeout). Linux since 6.5 sends at 0, 1, 2, 3, 4, 5, 7, 11, 19, 35 and 69 s and fails after about 131 s with ETIMEDOUT; a Dialer.Timeout fails earlier with "i/o timeout". A black hole has no actor: a firewall that drops, a dead host, a wrong route and a lost way back look the same.

Looks alike: a full accept queue drops SYNs without a word; where the same listener shows one at that time, that is the first alternative. In a capture of one direction the answers may simply be missing. A port scanner sends one SYN each to many ports.`

const adviseConnectTimeout = `Capture on the server as well: if the SYN arrives there, look at its listen queue (ss -lt, nstat -az TcpExtListenDrops) and its firewall; if not, at the path. In Go set net.Dialer{Timeout: 3 * time.Second} or a context deadline, so that nobody waits for two minutes, and let http.Transport.DialContext use it.`

const docHandshakeIncomplete = `
The server answered the SYN, and nobody acknowledged its SYN-ACK.

Proof: SYN-ACKs without an ACK, usually repeated (Linux: 5 times, the last after 31 s; tcp_synack_retries, reqsk_timer_handler). The server keeps a half-open request and Accept never sees it.

Looks alike: the SYN-ACK or the ACK is lost on the way, the client is gone, the source address was forged (SYN flood, backscatter), or a scanner that sends no RST. A capture in front of the client's firewall shows a SYN-ACK that the firewall drops.`

const adviseHandshakeIncomplete = `A few are scans and lost packets. Many from everywhere are a SYN flood: see that net.ipv4.tcp_syncookies is 1. Many from one client: capture there; its way back or its firewall eats SYN-ACKs. In Go nothing is to be done: Accept never returns these.`

const docOverflowReset = `
The handshake was over, and the server reset it at once: its accept queue was full.

Proof: a bare RST from a server that has acknowledged nothing beyond the SYN, straight after the client's ACK or after SYN-ACKs that were repeated in spite of it (tcp_check_req with net.ipv4.tcp_abort_on_overflow, tcp_v4_send_reset). The client's Dial may already have returned nil; its first Read or Write then gets ECONNRESET.

Looks alike: a listener that was closed in between, a load balancer without a backend, a host that rebooted at that moment, a firewall.`

const docOverflowSilent = `
The client thinks it is connected, and the server has dropped its ACK: the accept queue is full.

Proof: the server repeats its SYN-ACK although the client has acknowledged it, and acknowledges none of the client's data (tcp_v4_syn_recv_sock, sk_acceptq_is_full; the ACK is dropped and the request's timer goes on). The client's Dial and first Writes return nil; in the end its data times out or is reset.

Looks alike: everything from the client is lost on its way while the server's packets arrive. With TCP_DEFER_ACCEPT a listener also repeats its SYN-ACK until data comes, and then answers it.`

const adviseOverflow = `The program does not call Accept fast enough: keep the loop that calls Listener.Accept free of work and start a goroutine per connection; look for a limit such as netutil.LimitListener, or a stop of all goroutines (GC, CPU quota). Raise net.core.somaxconn before the program starts, since net.Listen takes its backlog from there, and watch nstat -az TcpExtListenOverflows and ss -lt (Recv-Q against Send-Q).`

const docStaleTuple = `
A new connection's SYN met an old one of the same addresses and ports that only the server still had.

Proof: a SYN with another initial sequence number on a live tuple, the old socket's challenge ACK, and the RST with which the new socket's host ends the old connection (RFC 5961 4.2; tcp_send_challenge_ack, tcp_v4_send_reset). About a second later the SYN is sent again and gets through. The client's host had rebooted, or was cut off, or uses its ports again faster than the server forgets.

Looks alike: a forged SYN draws the same challenge ACK, but the real client ignores that and the old connection goes on.`

const adviseStaleTuple = `The server kept a dead connection: let it find out earlier with keep-alive (net.ListenConfig.KeepAliveConfig) and read deadlines (http.Server.ReadTimeout and IdleTimeout). On the client the dial took a second longer, nothing more; a fixed local port (net.Dialer.LocalAddr) makes it likely, so do without.`
