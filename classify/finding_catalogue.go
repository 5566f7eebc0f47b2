package classify

import (
	"fmt"
	"slices"
	"strings"
)

// idleTimer is a timeout that somebody's product applies to quiet connections.
type idleTimer struct {
	after int64 // ns
	who   string
	how   string // what ends the connection: "RST" on the next packet, "silence", "FIN"
	path  bool   // it stands between the ends, and may also drop what it has forgotten
}

// idleTimers are defaults by their makers' documentation, shortest first.
var idleTimers = []idleTimer{
	{5 * second, "Node.js and Apache keep-alive", "FIN", false},
	{60 * second, "AWS ALB and classic ELB, HAProxy and nginx proxy timeouts", "FIN", true},
	{75 * second, "nginx keepalive_timeout", "FIN", false},
	{90 * second, "Go http.Transport IdleConnTimeout", "FIN", false},
	{120 * second, "conntrack in SYN_SENT, FIN_WAIT and TIME_WAIT", "silence", false},
	{240 * second, "Azure Load Balancer and outbound NAT", "silence", true},
	{350 * second, "AWS NLB, NAT gateway, Nitro conntrack, Gateway Load Balancer, Network Firewall", "RST", true},
	{600 * second, "GCP VPC conntrack and load balancers, ingress-nginx streams", "silence", true},
	{1200 * second, "GCP Cloud NAT", "silence", true},
	{1800 * second, "AKS outbound", "silence", true},
	{3600 * second, "common firewalls", "silence", true},
	{7200 * second, "the kernel's keep-alive time: nothing is sent before", "silence", false},
	{86400 * second, "kube-proxy's conntrack", "silence", true},
}

// timerSlack is how far (share) a product's timer may be off: most look at
// their tables every few seconds.
const timerSlack = 0.03

// timersBetween lists whose timer lies within (low, high], in ns.
func timersBetween(low, high int64) (names []string) {
	for _, t := range idleTimers {
		d := float64(t.after)
		if d*(1+timerSlack) >= float64(low) && d*(1-timerSlack) <= float64(high) {
			names = append(names, fmt.Sprintf("%s (%s, %s)", t.who, dur(t.after), t.how))
		}
	}
	return names
}

// timersShorter lists whose timer strikes before a heartbeat of that period (ns).
func timersShorter(period int64) string {
	var names []string
	for _, t := range idleTimers {
		if t.after < period && t.how != "FIN" {
			names = append(names, fmt.Sprintf("%s (%s)", t.who, dur(t.after)))
		}
	}
	return strings.Join(names, "; ")
}

// middleboxTimer names the idle limit on the path that a cut after a silence
// fits: the silence must reach it, and not exceed it by so much that it means
// nothing.
func middleboxTimer(v *view, out *Verdict) string {
	if out.Cause != PeerLostState && out.Cause != InjectedReset && out.Cause != RetransmissionTimeout && out.Cause != PeerVanished {
		return ""
	}
	idle := v.idleBeforeEnd(out)
	if out.Cause == PeerLostState && v.rst != nil {
		idle = v.c.MaxIdle
	}
	for _, t := range slices.Backward(idleTimers) {
		if t.path && idle >= t.after && idle < 2*t.after {
			return fmt.Sprintf("after %s of silence; idle limit of %s is %s", dur(idle), t.who, dur(t.after))
		}
	}
	return ""
}
