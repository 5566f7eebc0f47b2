package output

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// moment is a time that may depend on when the capture began.
type moment struct {
	set      bool
	absolute int64         // ns since the epoch, if kind is 0
	offset   time.Duration // from the start, or from midnight of the first day
	kind     byte          // 0 absolute, '+' from the start, ':' time of day
}

// dates are the layouts of absolute times: RFC 3339, and what reports and the
// lines of live capture print, which is UTC.
var dates = [...]string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05Z07:00"}

// unixLeast is the least number taken for seconds since 1970 rather than since
// the start of the capture: no capture lasts 30 years, and none is from
// before September 2001 that would be named so.
const unixLeast = 1_000_000_000

// parseMoment reads an absolute time as [dates] or seconds since 1970 have it,
// a time of day in UTC, or seconds or a duration from the start of the capture.
func parseMoment(s string) (moment, error) {
	if s == "" {
		return moment{}, nil
	}
	if v, err := strconv.ParseFloat(s, 64); err == nil && v >= 0 && v < unixLeast {
		return moment{set: true, kind: '+', offset: time.Duration(v * 1e9)}, nil
	}
	if ns, ok := parseEpoch(s); ok {
		return moment{set: true, absolute: ns}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return moment{set: true, kind: '+', offset: d}, nil
	}
	plain := strings.TrimSuffix(s, " UTC")
	for _, layout := range [...]string{"15:04:05", "15:04", "15:04:05Z"} {
		if t, err := time.Parse(layout, plain); err == nil {
			return moment{set: true, kind: ':', offset: t.Sub(t.Truncate(24 * time.Hour))}, nil
		}
	}
	for _, layout := range dates {
		if t, err := time.Parse(layout, plain); err == nil && 1678 <= t.Year() && t.Year() < 2262 {
			return moment{set: true, absolute: t.UnixNano()}, nil
		}
	}
	return moment{}, errors.New("not a time; type one such as 2026-01-02T03:04:05Z, 03:04:05 (UTC), or seconds from the start of the capture such as 12.5")
}

// parseEpoch reads seconds since 1970, as tcpdump -tt prints them, to the
// nanosecond, of which a float64 would lose some hundred.
func parseEpoch(s string) (ns int64, ok bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	if len(fraction) > 9 {
		fraction = fraction[:9]
	}
	sec, err := strconv.ParseUint(whole, 10, 33)
	rest, bad := strconv.ParseUint((fraction + "000000000")[:9], 10, 30)
	return int64(sec*1e9 + rest), err == nil && bad == nil && sec >= unixLeast
}

// in is the moment in a capture from first to last. A time of day is that of
// the capture's first day, unless only the next day's lies within it.
func (m moment) in(first, last int64) int64 {
	switch m.kind {
	case '+':
		return first + int64(m.offset)
	case ':':
		day := int64(24 * time.Hour)
		t := first - first%day + int64(m.offset)
		if t < first && t+day <= last {
			t += day
		}
		return t
	}
	return m.absolute
}
