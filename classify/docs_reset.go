package classify

const docAbortiveClose = `
A live socket sent a RST where a FIN would have been polite: its program, or its kernel in the program's name, aborted.

Proof: RST+ACK with the next sequence number and the socket's own window, timestamp and hop count (RFC 9293 3.10.5 ABORT; tcp_disconnect, tcp_send_active_reset). Causes: SetLinger(0) and Close, a proxy that tears down, ss -K, a killed process with unread data. The peer's next call gets ECONNRESET, once; after that Read returns io.EOF, so that logs look graceful.

Looks alike: Close with unread data sends exactly the same packet and remains an alternative wherever anything had been received; where nothing shows that the last of it was read, neither is likelier. macOS, BSD and Windows leave timestamps out of such a RST, and so does a firewall that forges one.`

const adviseAbortiveClose = `On the aborting side look for SetLinger(0), a proxy's or load balancer's hard limit, a crash or kill at that time. On the other side treat ECONNRESET (errors.Is(err, syscall.ECONNRESET)) as "unknown outcome": retry only what is idempotent, on a new connection. To end a connection without losing data, call CloseWrite, read until io.EOF, then Close.`

const adviseEither = `Look first at what the resetting side had received and not answered: if its program calls Close before reading that to its end, reading it will do (io.Copy(io.Discard, conn) with a deadline, or CloseWrite and then Read until io.EOF; in HTTP the body, of a request as of a response). Else look for SetLinger(0), a proxy's or load balancer's hard limit, a crash or kill at that time. On the other side treat ECONNRESET (errors.Is(err, syscall.ECONNRESET)) as "unknown outcome": retry only what is idempotent, on a new connection.`

const adviseUnheard = `Little: the other side had closed already, and its program is not told of this RST, unless it had only called CloseWrite and goes on reading. Some servers end every connection so, to spare themselves the wait for the last acknowledgment. If not, the resetting program closed with what the other had just sent unread, a goodbye perhaps: read to io.EOF before Close, and the end is FIN by both.`

const adviseIgnored = `The peer had said something and closed, and most likely nobody looked: its last words (a timeout's or shutdown's notice, an error) lay unread in a connection that nobody reads while it is idle, in a pool most likely. Nothing is lost but the reason. Let the pool close first: SetConnMaxIdleTime, MaxConnIdleTime, IdleConnTimeout and their like below the server's idle or session timeout; or keep a Read pending, which meets the EOF at once.`

const docFastClose = `
An MPTCP connection aborted with MP_FASTCLOSE.

Proof: the MP_FASTCLOSE option (RFC 8684 3.5; mptcp_do_fastclose); the RSTs of the subflows only follow it. It stands for SetLinger(0) and for Close with unread data, as RST does in plain TCP.`

const docUnreadData = `
Close was called while received bytes had not been read, and the kernel sent RST instead of FIN.

Proof: RST+ACK from a live socket that had acknowledged bytes which its program most likely had not read: its window had not moved, or had fallen by half and more, or nothing was ever answered, or more was on its way, or the peer's last words and FIN had been there for a second and more, or TLS had just taken leave with close_notify (RFC 2525 2.17, RFC 1122 4.2.2.13; tcp_close with data_was_unread). The RST also destroys what this side had sent and the peer had not read yet: a response may be lost.

Looks alike: SetLinger(0) sends the same packet; a server that died with its listener too. Packets cannot show what a program has read, so this is never certain.`

const adviseUnreadData = `Before Close read what the peer may still send: io.Copy(io.Discard, conn) with a deadline, or CloseWrite first and then read until io.EOF. In an HTTP handler read the request body or let net/http do it (up to 256 KB), and answer large uploads with Connection: close. In an HTTP client read resp.Body to its end before Close, else the connection cannot be used again. A TLS 1.3 client that only writes should read once: the session ticket lies unread.`

const docListenerClosed = `
The listener was closed, and the connections that waited in its queue were reset.

Proof: RST+ACK on connections on which the server had not sent anything, several within milliseconds, or a SYN right afterwards that is refused (inet_csk_listen_stop). The clients had connected: their Dial returned nil, their first Read gets ECONNRESET. The server's program never saw these connections, and its Accept returned net.ErrClosed.

Looks alike: connections that were accepted and then closed unread, as those of a killed process are.`

const adviseListenerClosed = `A restart without drain. Take the server out of the load balancer first, wait until no new connections come, then http.Server.Shutdown or Listener.Close. Keep the Accept loop fast, so that the queue is empty at that moment. Clients: retry on a new connection, nothing was processed. Passing the listener on (systemd socket activation, File and net.FileListener) avoids the gap.`

const docWriteAfterClose = `
One side closed, the other one wrote all the same, and the closed socket answered with RST.

Proof: FIN by one side, payload by the other behind it, a bare RST back (RFC 9293 3.10.7.4; tcp_rcv_state_process, tcp_v4_send_reset). The late Write itself returns nil; the next one gets EPIPE. What was written is lost. Only likely where the writer's kernel may have held the data back since before the FIN, for a window or an acknowledgment, where what is seen may be a repeat of what was lost before the capture, and after a silence in which a middlebox may have forgotten the connection. Where the data was on its way before the FIN arrived, the detail says that they crossed: an idle connection closed by the server at the moment of the next request, golang/go#22158.

Looks alike: a TLS alert behind the FIN is no loss and counts as graceful. Data written at once upon the EOF is often a goodbye too (an HTTP/2 GOAWAY, PostgreSQL's Terminate, a QUIT), which only its protocol can tell from a request: then the close is what to look at, not the write.`

const adviseWriteAfterClose = `Let the client close first: make its pool's idle time shorter than the server's or the load balancer's (sql.DB.SetConnMaxIdleTime, pgxpool's MaxConnIdleTime, http.Transport.IdleConnTimeout, IdleTimeout of other clients; against idle_session_timeout, wait_timeout, http.Server.IdleTimeout and their like). Keep a Read pending, or check before use, to learn of the close; if the server was restarted, nothing else helps. Repeat what is idempotent on a new connection: a driver does so where it is sure that nothing was processed (driver.ErrBadConn).`

const adviseWriteAfterCloseHTTP = `Make the client's idle timeout shorter than the server's: http.Transport.IdleConnTimeout below http.Server.IdleTimeout (or the load balancer's), so that the client closes first. Read until io.EOF in a goroutine to learn of the close. A POST that may be repeated can say so with an Idempotency-Key header (and Request.GetBody for its body): net/http then retries by itself, as it does for GET.`

const adviseGoodbye = `What came so soon behind the FIN may be a mere goodbye; either way it is not the cause. Ask why the other side closed: its program's limits (idle, session or statement timeout, maximum age, too many connections), an administrator, a restart or crash; its log of that moment says so, and often its last bytes here do. What the writer had asked and not been answered by then has failed: repeat what is idempotent.`

const adviseUnawaited = `The client had left before the answer came. Look for its deadline or cancelled context (context.WithTimeout, SetReadDeadline, http.Client.Timeout, a driver's read timeout), or a user who went away, and for what took the server so long. The server's program works on for nobody until it writes: let it watch the connection (in net/http r.Context(), in a database a limit on the statement's time).`

const docUnsentFIN = `
A program closed while the path was silent; its FIN never left, and what the peer sent when the path was back found the socket closed.

Proof: payload repeated by timeouts, then, within a round trip of the last repetition, a bare RST in answer to the peer's payload. A host that repeats has the socket; after a timeout its congestion window lets the FIN not out before the payload is acknowledged (tcp_write_xmit), and in FIN_WAIT1 a closed socket answers payload with RST (tcp_rcv_state_process).

Looks alike: a firewall or NAT that came back without its table, or that rejects with a TCP reset, answers in the endpoint's name.`

const adviseUnsentFIN = `Two things: the path was broken for as long as the repetitions show (look for a firewall's change, a failover, a route), and meanwhile the program whose side sent the RST gave up and closed: a deadline, a missed heartbeat or ping, gRPC keep-alive, a shutdown or kill. The other program did nothing wrong: ECONNRESET is how it learns. Repeat on a new connection what is idempotent.`

const docPeerLostState = `
A host answered for an established connection that it had no such socket.

Proof: a bare RST, window 0, without timestamps, in answer to data or a keep-alive probe (RFC 9293 3.5.1, half-open connections; tcp_v4_send_reset). The host rebooted, its process died unseen by the capture, or the connection outlived an entry in a NAT or load balancer that now answers in its name. The detail names a known idle limit if the silence before fits one.

Looks alike: a middlebox sends the same packet. With the hop count of the host's other packets it is the host, or something as far away.`

const advisePeerLostState = `If it comes after silence: keep the connection warm or give it up earlier than the middlebox does. net.Dialer.KeepAliveConfig{Enable: true, Idle: 60 * time.Second, ...} below the limit in the detail, http.Transport.IdleConnTimeout below it, gRPC keepalive.ClientParameters.Time. If it comes in bursts over many connections, the peer restarted: retry with jitter what is idempotent.`

const docInjectedReset = `
The RST bears an endpoint's address, but that endpoint did not send it.

Proof: its header is out of step with the endpoint's other packets: hop count, IP ID of a socket's own counter, TCP timestamp, a volley of climbing sequence numbers, RSTs to both sides at once, or the endpoint goes on talking (Weaver, Sommer, Paxson, NDSS 2009). Two signs make it certain, one makes it likely; so do two where another machine behind a load balancer or an anycast address, which never had the connection, would answer alike. A firewall, an intrusion prevention system, a load balancer or a censor sends such packets; RFC 5961 3.2 makes blind guesses harder, not impossible.

Looks alike: another route after a long silence changes the hop count a little; proxies answer for their servers by design.`

const adviseInjectedReset = `Compare with a capture on the host whose address the RST bears: if it never left there, walk along the path; the hop count in the detail tells how far away the sender is. Idle limits of firewalls and load balancers are the commonest reason: see the silence before it, and use net.Dialer.KeepAliveConfig below it. TLS does not protect against forged RSTs.`

const docOwnHost = `
The endpoint's own kernel reset the connection in its socket's name, while the socket lives on.

Proof: a RST with that host's genuine stateless form (bare, window 0, IP ID 0, no timestamps, its hop count), and afterwards ordinary packets of the same socket. A packet that connection tracking called INVALID was not translated back to the container or NAT address, so the host found no socket for it and answered with RST (kubernetes#74839, moby/libnetwork#1090). The peer sees ECONNRESET, the socket itself learns of it with its next packet.

Looks alike: a firewall on that host that rejects with a TCP reset (iptables -j REJECT --reject-with tcp-reset, nft reject with tcp reset) sends the same packet through the same kernel; one on the way would have to imitate the host perfectly.`

const adviseOwnHost = `Look at that host's firewall first: a rule that rejects with a TCP reset (iptables -j REJECT --reject-with tcp-reset; nft reject with tcp reset), or one that came while the connection lived, does just this. If there is NAT or a container network: on the host that does the translation set net.netfilter.nf_conntrack_tcp_be_liberal to 1, or drop what is INVALID before it reaches the host (iptables -A INPUT -m conntrack --ctstate INVALID -j DROP); newer kube-proxy does so. Packets become INVALID by retransmissions and reordering under load, so look at loss as well. In Go nothing is wrong; retry on a new connection.`
