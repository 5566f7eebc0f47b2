package classify

const docOrderlyClose = `
Both sides closed with FIN, and both FINs were acknowledged: the normal end.

Proof: FIN, FIN, and the acknowledgments of both, in three or four segments (RFC 9293 3.6, figure 12; tcp_fin). The actor is whoever closed first: the side of the first FIN, or, under TLS, of the first close_notify that the other side only answered. The peer's Read returns io.EOF; nobody gets an error.

Looks alike: a process that exits or is killed with nothing unread sends the same FIN. What the first side had not yet been sent is lost without an error.`

const docUnseenFIN = `
Both sides closed, although the capture shows only one FIN.

Proof: the side whose packets are there acknowledges exactly one sequence number for which there is no payload: the other FIN takes one. Typical of captures of one direction, or with drops. Never certain.`

const docLateAlert = `
Both TLS programs had closed; the last alert of one of them drew a RST that nobody sees.

Proof: behind the first FIN comes one more record, an alert (type 21, or in TLS 1.3 type 23 of length 19), and a stateless RST answers it (tcp_rcv_state_process in FIN_WAIT). Or the alert lies unread when the second program closes, so that its kernel sends RST+ACK where a FIN would do. crypto/tls sends close_notify on Close, so this is the everyday end of TLS; both Close calls return nil.

Looks alike: application data behind the FIN is write-after-close, and then something was lost.`

const docMultipathClose = `
An MPTCP connection that both sides ended with DATA_FIN.

Proof: the DATA_FIN flag of the DSS option from both ends (RFC 8684 3.3.3; mptcp_check_data_fin). FINs and RSTs of a subflow end the subflow only. Go's listeners offer MPTCP since Go 1.24.`

const docSimultaneousClose = `
Both programs closed at the same moment, and their FINs crossed.

Proof: neither FIN acknowledges the other: each was sent before the other had arrived (RFC 9293 3.6 case 3, figure 13, state CLOSING). As good an end as any. If one side still expected data, it has closed too early: the protocol does not say who closes first.`

const docHalfClose = `
One side closed its sending half and went on receiving: CloseWrite, or shutdown(SHUT_WR).

Proof: payload behind the first FIN that its sender acknowledges without a RST; only a socket whose program still holds it does that (RFC 9293 3.6 case 1; tcp_shutdown). A closed one would have answered with RST.

Looks alike: net/http closes a connection with an unread upload in this way: FIN, half a second of patience, then Close.`

const docCloseWaitLeak = `
One side has closed, the other side's kernel knows it, and its program never closes: a socket in CLOSE_WAIT.

Proof: a FIN that was acknowledged, and no FIN in return until the capture ends (RFC 9293 3.10.4; CLOSE_WAIT has no timer in any kernel). It stays as long as the process: file descriptors run out in the end. The closer's side is dropped after tcp_fin_timeout, so a FIN that comes later is answered with RST.

Looks alike: a program that has not finished yet, or that goes on sending by design. After less than a minute it is only possible, and so it stays while keep-alives behind the FIN show that the closer's program waits for more.`

const adviseCloseWaitLeak = `In the leaking program find the path that returns without Close: after an error, an early return, a goroutine that waits elsewhere. Use defer conn.Close(); with net/http always defer resp.Body.Close(), and for a hijacked connection its Close is yours. ss -tp state close-wait shows the process; /debug/pprof/goroutine shows who holds the connection. A Read with a deadline notices the io.EOF.`

const docStillOpen = `
Nothing in the capture ends this connection.

Proof: none of the other rules' packets. It may idle, or its end may lie outside of the capture; if a FIN or an unweighable RST is there, the alternatives say so. An idle connection whose peer has vanished looks the same until somebody sends.`

const docFinWait2Expired = `
One side closed long ago, its kernel stopped waiting, and the other side's FIN found nothing.

Proof: a FIN that was acknowledged, a long silence (60 s by default on Linux), the other FIN at last, and a bare RST in answer (tcp_time_wait with TCP_FIN_WAIT2, net.ipv4.tcp_fin_timeout). Close returns nil on both sides; nobody hears of it.

Looks alike: a middlebox that has forgotten the half-closed connection answers in the closer's name. With a shorter silence the closer's host may have lost the socket in another way. Keep-alives behind the first FIN exclude the rule: only a program that still waits sends them.`

const adviseFinWait2Expired = `The late closer held on to a connection that its peer had left: it should Read until io.EOF and then Close. In an HTTP client set http.Transport.IdleConnTimeout below the server's idle timeout; check that every resp.Body is read to its end and closed.`
