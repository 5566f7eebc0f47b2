//go:build linux

package main

import "hangup/internal/lab/record"

// Sizes of the first request and its answer.
const (
	requestSize = 20
	answerSize  = 30
)

// greet is the traffic before the interesting part: a request and its
// answer, both acknowledged when the server reaches its step.
func greet(l *L, c *Conn) {
	if l.Role == record.Client {
		c.WriteN(requestSize)
		c.ReadAll(answerSize)
		l.At("client greeted")
		return
	}
	c.ReadAll(requestSize)
	c.WriteN(answerSize)
	c.UntilAcked()
	l.At("server greeted")
}

// Greeted waits for both ends of greet: a path that is cut before would leave
// the server without its acknowledgement.
func (n *N) Greeted() {
	n.Wait("client greeted")
	n.Wait("server greeted")
}

// Probe sets that several families share.
func allProbes() []string  { return []string{reader, writer, inRead, inWrite, nobody} }
func bothOrders() []string { return []string{reader, writer} }
func readProbes() []string { return []string{reader, writer, inRead} }
func everyPlace() []Place {
	return []Place{direct4, direct6, routed4, lo4, any4, routed6, lo6, routedAny4}
}
func somePlaces() []Place   { return []Place{direct4, routed6, lo4} }
func wiredPlaces() []Place  { return []Place{wired4, wired6} }
func routedPlaces() []Place { return []Place{routed4, routed6} }
