package output

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"hangup/assembler"
	"hangup/classify"
)

// Wanted is a selection as the user typed it; every list is one of several
// that must all agree, an empty one agrees with everything.
type Wanted struct {
	Class, Cause, By []string
	Host             []string // an address or a prefix, of either end
	Port             []string // a port or FROM-TO, of either end
	Since, Until     string   // see parseMoment
	Conn             []string // an ID, either end's ADDR:PORT, or both ends
	SocketsAt        string   // as Since: show sockets at that moment
	States           bool     // show sockets by state over time
}

// Filter selects connections.
type Filter struct {
	words        []string
	class        [5]bool
	cause        [classify.NumCauses]bool
	by           [classify.ByNetwork + 1]bool
	anyClass     bool
	anyCause     bool
	anyBy        bool
	hosts        []netip.Prefix
	ports        [][2]uint16
	since, until moment
	Conns        ConnSpecs // empty: any
	at           moment    // of the sockets to show, if set
	states       bool
}

// ParseFilter turns words into a Filter. Its errors name the flag and say
// what to type instead.
func ParseFilter(w Wanted) (*Filter, error) {
	w.tidy()
	f := &Filter{anyClass: len(w.Class) == 0, anyCause: len(w.Cause) == 0, anyBy: len(w.By) == 0}
	for _, s := range w.Class {
		c, ok := classify.ParseClass(s)
		if !ok {
			return nil, unknown("--class", "", s, "class", classes())
		}
		f.class[c] = true
	}
	for _, s := range w.Cause {
		c, err := ParseCause("--cause", s)
		if err != nil {
			return nil, err
		}
		f.cause[c] = true
	}
	for _, s := range w.By {
		p, ok := classify.ParseParty(s)
		if !ok {
			return nil, unknown("--by", "", s, "party", partyNames())
		}
		f.by[p] = true
	}
	if err := f.places(w.Host, w.Port); err != nil {
		return nil, err
	}
	if err := f.times(w.Since, w.Until); err != nil {
		return nil, err
	}
	for _, s := range w.Conn {
		spec, err := ParseConn(s)
		if err != nil {
			return nil, err
		}
		f.Conns = append(f.Conns, spec)
	}
	f.words = w.words()
	f.states = w.States
	return f, f.sockets(w)
}

// tidy forgives how names, numbers and lists are usually mistyped.
func (w *Wanted) tidy() {
	w.Class, w.Cause, w.By = plainNames(w.Class), plainNames(w.Cause), plainNames(w.By)
	w.Host, w.Port, w.Conn = trimmed(w.Host), trimmed(w.Port), trimmed(w.Conn)
	w.Since, w.Until, w.SocketsAt = strings.TrimSpace(w.Since), strings.TrimSpace(w.Until), strings.TrimSpace(w.SocketsAt)
}

// Empty reports whether the filter keeps everything.
func (f *Filter) Empty() bool { return len(f.words) == 0 }

// sockets checks what is asked of views of sockets.
func (f *Filter) sockets(w Wanted) (err error) {
	if f.at, err = parseMoment(w.SocketsAt); err != nil {
		return fmt.Errorf("--ss-at %s: %w", w.SocketsAt, err)
	}
	switch {
	case f.at.set && f.states:
		return errors.New("--ss-at and --states are two views; drop one")
	case f.Sockets() && len(f.words) > min(1, len(f.hosts)):
		return errors.New("--ss-at and --states show hosts as a whole; of the selections type --host only")
	}
	return nil
}

// Sockets reports whether a view of sockets is asked for, see [Sockets].
func (f *Filter) Sockets() bool { return f.at.set || f.states }

// NeedsWhole reports whether what is selected hangs on the whole capture: on
// its beginning or end, or on packets that are gone once a connection ended.
func (f *Filter) NeedsWhole() bool { return f.since.set || f.until.set || len(f.Conns) > 0 }

// Keeps reports whether the filter keeps a connection, times apart.
func (f *Filter) Keeps(c *assembler.Conn, v *classify.Verdict) bool {
	return f.keeps(c, v, math.MinInt64, math.MaxInt64)
}

// Fits finds out whether what f asks for can be printed in the format.
func (f *Filter) Fits(format Format) error {
	if f.Sockets() && format != FormatText && format != FormatJSON {
		return errors.New("--ss-at and --states are printed as text or json; type --format json")
	}
	return nil
}

func (w *Wanted) words() []string {
	var s []string
	for _, k := range []struct {
		name string
		list []string
	}{
		{"class", w.Class}, {"cause", w.Cause}, {"by", w.By}, {"host", w.Host}, {"port", w.Port},
		{"since", []string{w.Since}}, {"until", []string{w.Until}}, {"conn", w.Conn},
	} {
		if text := strings.Join(k.list, ","); text != "" {
			s = append(s, k.name+" "+text)
		}
	}
	return s
}

func (f *Filter) places(hosts, ports []string) error {
	for _, s := range hosts {
		p, err := parsePrefix(s)
		if err != nil {
			if end, err := netip.ParseAddrPort(s); err == nil {
				return fmt.Errorf("--host %s: an address and a port; type --host %s --port %d", s, end.Addr(), end.Port())
			}
			return fmt.Errorf("--host %s: not an IP address or prefix (names are never resolved); type one such as 192.0.2.1 or 2001:db8::/32", s)
		}
		f.hosts = append(f.hosts, p)
	}
	for _, s := range ports {
		from, to, isRange := strings.Cut(s, "-")
		if !isRange {
			to = from
		}
		a, err1 := strconv.ParseUint(from, 10, 16)
		b, err2 := strconv.ParseUint(to, 10, 16)
		if err1 != nil || err2 != nil || a > b {
			return fmt.Errorf("--port %s: not a port; type a number or a range such as 8000-8999", s)
		}
		f.ports = append(f.ports, [2]uint16{uint16(a), uint16(b)})
	}
	return nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	s = strings.Trim(s, "[]")
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		return p.Masked(), err
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen()), nil
}

func (f *Filter) times(since, until string) (err error) {
	if f.since, err = parseMoment(since); err != nil {
		return fmt.Errorf("--since %s: %w", since, err)
	}
	if f.until, err = parseMoment(until); err != nil {
		return fmt.Errorf("--until %s: %w", until, err)
	}
	return nil
}

// keeps reports whether connection c with verdict v is selected; since and
// until are ns.
func (f *Filter) keeps(c *assembler.Conn, v *classify.Verdict, since, until int64) bool {
	if !(f.anyClass || f.class[v.Class]) || !(f.anyCause || f.cause[v.Cause]) || !(f.anyBy || f.by[v.By]) {
		return false
	}
	if f.since.set && c.Last.Time < since || f.until.set && c.First.Time > until {
		return false
	}
	a, b := c.Ends[0].AddrPort(), c.Ends[1].AddrPort()
	if len(f.Conns) > 0 && !f.Conns.matches(c.ID, a, b) {
		return false
	}
	return f.keepsHost(a.Addr(), b.Addr()) && f.keepsPort(a.Port(), b.Port())
}

func (f *Filter) keepsHost(a, b netip.Addr) bool {
	for _, p := range f.hosts {
		if p.Contains(a) || p.Contains(b) {
			return true
		}
	}
	return len(f.hosts) == 0
}

func (f *Filter) keepsPort(a, b uint16) bool {
	for _, p := range f.ports {
		if p[0] <= a && a <= p[1] || p[0] <= b && b <= p[1] {
			return true
		}
	}
	return len(f.ports) == 0
}
