package classify

import "fmt"

// longPolls is the share of given-up requests at one number from which that
// may be how the client is meant to work.
const longPolls = 0.9

// report says which timer closes show.
func (u *timerUse) report(k timerKey, by clock, j int, dropped uint64) Finding {
	h := u.round[j]
	r := roundSeconds[j] * second
	kind, sev := KindIdleTimeout, Info
	switch by {
	case sinceRequest:
		kind, sev = KindRequestTimeout, Serious
	case sincePeer:
		kind, sev = KindRequestTimeout, Warning
	case sinceStart:
		kind = KindMaxLifetime
	}
	f := h.finding(kind, sev, Likely)
	f.at("server", k.server)
	f.clients(&h.group)
	f.seconds("timer", r)
	f.number("closes at that number", float64(h.n), "")
	f.seconds("mean deviation", h.deviates/int64(h.n))
	f.number("closes of that kind in all", float64(u.all.total), "")
	f.number("by RST", float64(h.resets), "")
	if h.late > 0 {
		f.number("answers that came after all", float64(h.late), "")
		f.seconds("the nearest miss", h.lateMin)
	}
	if 2*h.mute > h.n {
		f.Confidence = Possible
		f.Alternatives = []string{"the protocol may need no answers: then this is an idle timer of the sending side"}
	}
	if by == sinceRequest && float64(h.n) >= longPolls*float64(u.all.total) {
		f.Alternatives = append(f.Alternatives, "a long poll that its client ends and begins anew on purpose: nearly all requests that were given up were given up then")
	}
	f.overflow(dropped)
	if sev == Info {
		f.harm = 0
	}
	if by == sinceQuiet {
		f.timer = &quietTimer{k, r}
	}
	u.spell(&f, k, by, h, dur(r))
	return f
}

func (u *timerUse) spell(f *Finding, k timerKey, by clock, h *timerHit, r string) {
	switch by {
	case sinceRequest:
		f.Title = fmt.Sprintf("The %s of %s gave up %s after %s without an answer.", k.side, k.server, plural(h.n, "request"), r)
		f.What = fmt.Sprintf("A request was sent, nothing came back, and after just %s the asking side closed the connection. Such a round number is a deadline in its program, not the network. ", r)
		if h.late > 0 {
			f.What += fmt.Sprintf("In %d cases the answer came after all, the nearest only %s too late, and was thrown away.", h.late, dur(h.lateMin))
		}
		f.Advice = "Find what takes so long on the answering side before raising the number: the deadline is http.Client.Timeout, ResponseHeaderTimeout, SetReadDeadline, or a context.WithTimeout; the caller gets context.DeadlineExceeded or i/o timeout. " +
			"Give the server a shorter deadline than its clients, so that it can still say so (http.TimeoutHandler, a context in each handler), and do not retry what is not idempotent."
	case sincePeer:
		f.Title = fmt.Sprintf("The %s of %s dropped %s it had not answered, each after %s.", k.side, k.server, plural(h.n, "request"), r)
		f.What = fmt.Sprintf("The last thing before the close was a request, and the side that should have answered closed instead, just %s later. That is a timer of its program or of a proxy in front of it; the asking program reads EOF, or ECONNRESET.", r)
		f.Advice = "Look for the timer on that side: http.Server.WriteTimeout or ReadTimeout (which both end a handler's connection without an answer), a proxy's upstream timeout, a context in the handler that closes the connection. " +
			"Answer with an error instead: http.TimeoutHandler, or a context that ends a second earlier."
	case sinceQuiet:
		f.Title = fmt.Sprintf("The %s of %s closes connections that have been quiet for %s.", k.side, k.server, r)
		f.What = fmt.Sprintf("Nothing was outstanding, and the FIN came just %s after the last byte. It is an idle timer at work, and harmless as long as the other side's is shorter: a request that is under way when it strikes is lost.", r)
		f.Advice = "The side that sends requests should close first: set its idle timer (http.Transport.IdleConnTimeout, a pool's maximal idle time) some seconds below this one (http.Server.IdleTimeout or a proxy's keep-alive timeout)."
	case sinceStart:
		f.Title = fmt.Sprintf("The %s of %s closes connections %s after their start.", k.side, k.server, r)
		f.What = fmt.Sprintf("The FIN came just %s after the first packet, whatever the connection was doing: a maximal lifetime (database/sql's SetConnMaxLifetime, gRPC's MaxConnectionAge, a proxy's limit) or a deadline that covers the whole connection. A request under way at that moment may be cut off.", r)
		f.Advice = "If it is meant, add some randomness so that not all connections end at once (gRPC does), and let requests under way finish first. A deadline set once by SetDeadline is absolute: set it anew before each operation."
	}
}
