package output

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// ConnSpec names a connection by its ID, by one of its ends, or by both.
type ConnSpec struct {
	ID   uint64
	Ends [2]netip.AddrPort // the second is not set if there is one only
}

// ConnSpecs names connections.
type ConnSpecs []ConnSpec

// between is what stands between two ends: as reports print them, or as
// people type them.
var between = strings.NewReplacer("<->", " ", "→", " ", "->", " ", "-", " ", ">", " ")

// ParseConn reads "17", "#17", "192.0.2.1:443", "[2001:db8::1]:443", or two
// ends such as "192.0.2.1:56732 → 192.0.2.2:443", in either order.
func ParseConn(s string) (ConnSpec, error) {
	if id, err := strconv.ParseUint(strings.TrimPrefix(s, "#"), 10, 64); err == nil && id > 0 {
		return ConnSpec{ID: id}, nil
	}
	if ends := strings.Fields(between.Replace(s)); len(ends) == 1 || len(ends) == 2 {
		var c ConnSpec
		var err error
		for i, end := range ends {
			ap, e := netip.ParseAddrPort(end)
			if e != nil {
				err = e
			}
			c.Ends[i] = netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
		}
		if err == nil {
			return c, nil
		}
	}
	if _, err := parsePrefix(s); err == nil {
		return ConnSpec{}, fmt.Errorf("--conn %s: a host, not a connection; type --host %s for all of its connections", s, s)
	}
	return ConnSpec{}, fmt.Errorf("--conn %s: names no connection; type its number as the report shows it, such as 17, or one end such as 192.0.2.1:443 or [2001:db8::1]:443", s)
}

func (l ConnSpecs) matches(id uint64, a, b netip.AddrPort) bool {
	return slices.ContainsFunc(l, func(c ConnSpec) bool {
		switch {
		case c.ID != 0:
			return c.ID == id
		case c.Ends[1].IsValid():
			return c.Ends == [2]netip.AddrPort{a, b} || c.Ends == [2]netip.AddrPort{b, a}
		}
		return c.Ends[0] == a || c.Ends[0] == b
	})
}
