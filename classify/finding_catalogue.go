package classify

import (
	"fmt"
	"strings"
)

// idleTimer is a timeout that somebody's product applies to quiet connections.
type idleTimer struct {
	seconds int64
	who     string
	how     string // what ends the connection: "RST" on the next packet, "silence", "FIN"
}

// idleTimers are defaults by their makers' documentation, shortest first.
var idleTimers = []idleTimer{
	{5, "Node.js and Apache keep-alive", "FIN"},
	{60, "AWS ALB and classic ELB, nginx proxy_read_timeout", "FIN"},
	{75, "nginx keepalive_timeout", "FIN"},
	{90, "Go http.Transport IdleConnTimeout", "FIN"},
	{120, "conntrack in SYN_SENT, FIN_WAIT and TIME_WAIT", "silence"},
	{240, "Azure Load Balancer and outbound NAT (4 min)", "silence"},
	{350, "AWS NLB, NAT gateway, Nitro conntrack, Gateway Load Balancer, Network Firewall", "RST"},
	{600, "GCP VPC conntrack and load balancers (10 min), ingress-nginx streams", "silence"},
	{1200, "GCP Cloud NAT (20 min)", "silence"},
	{1800, "AKS outbound (30 min)", "silence"},
	{3600, "common firewalls (1 h)", "silence"},
	{7200, "the kernel's keep-alive time: nothing is sent before (2 h)", "silence"},
	{86400, "kube-proxy's conntrack (1 day)", "silence"},
}

// timerSlack is how far (share) a product's timer may be off: most look at
// their tables every few seconds.
const timerSlack = 0.03

// timersBetween lists whose timer lies within (low, high], in ns.
func timersBetween(low, high int64) (names []string) {
	for _, t := range idleTimers {
		d := float64(t.seconds) * 1e9
		if d*(1+timerSlack) >= float64(low) && d*(1-timerSlack) <= float64(high) {
			names = append(names, fmt.Sprintf("%s (%s, %s)", t.who, dur(t.seconds*second), t.how))
		}
	}
	return names
}

// timersShorter lists whose timer strikes before a heartbeat of that period (ns).
func timersShorter(period int64) string {
	var names []string
	for _, t := range idleTimers {
		if t.seconds*second < period && t.how != "FIN" {
			names = append(names, fmt.Sprintf("%s (%s)", t.who, dur(t.seconds*second)))
		}
	}
	return strings.Join(names, "; ")
}
