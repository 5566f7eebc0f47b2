//go:build linux

package main

import (
	"strings"

	"hangup/internal/lab/record"
)

// selected says which variations are committed: every probe at the first
// place, and of the most common endings one at every other place, so that
// each link type and both address families are there. Twins that differ only
// in who is who, or in an errno, are left to the live laboratory.
func (s Scenario) selected() bool {
	if code, ok := strings.CutSuffix(s.Base, "-on-data"); ok && s.Family == "icmp" {
		switch code {
		case "icmpv4-3-0", "icmpv4-3-1", "icmpv4-3-3", "icmpv4-3-4", "icmpv4-3-13", "icmpv4-11-0", "icmpv6-1-0", "icmpv6-1-1", "icmpv6-1-4":
			return true
		}
		return false // the others differ only in their errno, which the dials show
	}
	switch {
	case strings.HasPrefix(s.Base, "tls12-") && !strings.HasSuffix(s.Base, "-"+record.Server) && s.Base != "tls12-close-by-client",
		strings.HasPrefix(s.Base, "h2-") && s.Base != "h2-plain" && s.Base != "h2-panic" && s.Base != "h2-server-close":
		return false // as TLS 1.3, as h2c
	case s.Base == "ports-recycled":
		return false // of many packets; a made story shows the same
	case s.first && !s.firstProbe && strings.HasSuffix(s.Base, "-"+record.Client):
		return false // the server's twin is there with every probe
	case s.first:
		return true
	case s.Base == "rejects-by-server", s.Base == "icmp-rejected-by-server":
		return s.Place.v6()
	}
	for _, common := range []string{"orderly-by-server", "linger0-by-server", "write-after-close-by-client", "refused"} {
		if s.Base == common {
			return true
		}
	}
	return false
}
