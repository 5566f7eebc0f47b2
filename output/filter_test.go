package output

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"hangup/classify"
)

func TestMoment(t *testing.T) {
	start := time.Date(2026, 3, 14, 23, 50, 0, 0, time.UTC)
	for _, c := range []struct {
		text   string
		length time.Duration
		want   string
	}{
		{"0", time.Hour, "2026-03-14T23:50:00Z"},
		{"12.5", time.Hour, "2026-03-14T23:50:12.5Z"},
		{"5m", time.Hour, "2026-03-14T23:55:00Z"},
		{"23:55:01.25", time.Hour, "2026-03-14T23:55:01.25Z"},
		{"23:55", time.Hour, "2026-03-14T23:55:00Z"},
		{"00:05", time.Hour, "2026-03-15T00:05:00Z"},      // only the next day's lies within
		{"00:05", time.Minute, "2026-03-14T00:05:00Z"},    // neither does: before the start
		{"23:40", 30 * time.Hour, "2026-03-15T23:40:00Z"}, // likewise within, a day later
		{"2026-03-15T01:00:00+02:00", time.Hour, "2026-03-14T23:00:00Z"},
		{"2026-03-14T23:55:01", time.Hour, "2026-03-14T23:55:01Z"},
		{"2026-03-14 23:55:01.891", time.Hour, "2026-03-14T23:55:01.891Z"}, // as live lines have it
		{"2026-03-14 23:55:01 UTC", time.Hour, "2026-03-14T23:55:01Z"},     // as --ss-at prints it
		{"2026-03-14 23:55", time.Hour, "2026-03-14T23:55:00Z"},
		{"23:55:01Z", time.Hour, "2026-03-14T23:55:01Z"},
		{"1773532501", time.Hour, "2026-03-14T23:55:01Z"},
		{"1773532501.123456789", time.Hour, "2026-03-14T23:55:01.123456789Z"}, // as tcpdump -tt has it
	} {
		m, err := parseMoment(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		got := time.Unix(0, m.in(start.UnixNano(), start.Add(c.length).UnixNano())).UTC().Format(time.RFC3339Nano)
		if got != c.want {
			t.Errorf("%s is %s, want %s", c.text, got, c.want)
		}
	}
	for _, text := range []string{"now", "-5", "25:00", "NaN", "Inf", "1e300", "2026-03-15", "1773532501.x", "1773532501.-5", "9999-01-01T00:00:00Z"} {
		if m, err := parseMoment(text); err == nil {
			t.Errorf("%s is taken for a moment: %+v", text, m)
		}
	}
}

func TestFilterPlaces(t *testing.T) {
	r := exampleReport()
	for _, c := range []struct {
		wanted Wanted
		want   int
	}{
		{Wanted{}, r.Conns.Len()},
		{Wanted{Host: []string{"10.0.0.9"}}, 9},
		{Wanted{Host: []string{"::ffff:10.0.0.9"}}, 9},
		{Wanted{Host: []string{"2001:db8::/32"}}, 2},
		{Wanted{Host: []string{"[2001:db8::17]"}}, 2},
		{Wanted{Host: []string{"10.0.0.9", "2001:db8::17"}}, 11},
		{Wanted{Port: []string{"443"}}, 502},
		{Wanted{Port: []string{"7000-7003", "8080"}}, 10},
		{Wanted{Class: []string{"reset"}, Port: []string{"443"}}, 0},
		{Wanted{Class: []string{"reset", "half-open"}, By: []string{"server"}}, 16},
		{Wanted{Since: "600"}, 2},
		{Wanted{Until: "0"}, 1},
		{Wanted{Conn: []string{"30"}}, 1},
		{Wanted{Conn: []string{"30", " #31"}}, 2},
		{Wanted{Conn: []string{"192.0.2.2:8080"}}, 6},
		{Wanted{Class: []string{"RESET", " half_open", ""}, By: []string{"Server"}}, 16},
		{Wanted{Port: []string{" 443 "}}, 502},
	} {
		f, err := ParseFilter(c.wanted)
		if err != nil {
			t.Errorf("%+v: %v", c.wanted, err)
			continue
		}
		s := Select(*r, f)
		sum := s.Conns.Summary()
		if s.Conns.Len() != c.want || sum.Connections != uint64(c.want) {
			t.Errorf("%+v keeps %d, counts %d, want %d", c.wanted, s.Conns.Len(), sum.Connections, c.want)
		}
		var n uint64
		for _, m := range sum.ByClass {
			n += m
		}
		if n != uint64(c.want) {
			t.Errorf("%+v: classes sum up to %d", c.wanted, n)
		}
	}
}

func TestSelectKeepsOrderAndResults(t *testing.T) {
	r := exampleReport()
	f, err := ParseFilter(Wanted{Cause: []string{"close-wait-leak", "connection-refused"}})
	if err != nil {
		t.Fatal(err)
	}
	s := Select(*r, f)
	var last uint64
	for i := range s.Conns.Len() {
		c, res := s.Conns.Conn(i), s.Conns.Result(i)
		if c.ID <= last || res.Conn != c || res.Cause != s.Conns.Verdict(i).Cause {
			t.Errorf("connection %d is #%d with %v", i, c.ID, res.Cause)
		}
		last = c.ID
	}
	if s.Whole.Connections != uint64(r.Conns.Len()) || s.Filter != "cause close-wait-leak,connection-refused" {
		t.Errorf("%q of %d", s.Filter, s.Whole.Connections)
	}
}

func TestClosest(t *testing.T) {
	names := append(classes(), causes()...)
	for got, want := range map[string]string{
		"abortive-colse": "abortive-close",
		"Reset":          "reset",
		"resets":         "reset",
		"halfopen":       "half-open",
		"leak":           "close-wait-leak",
		"timeout":        "connect-timeout",
		"timed out":      "timed-out",
		"bananas":        "",
		"x":              "",
		"":               "",
	} {
		if best := Closest(got, names); best != want {
			t.Errorf("%q: %q, want %q", got, best, want)
		}
	}
}

func TestErrorsSayWhatToType(t *testing.T) {
	for _, w := range []Wanted{{Class: []string{"x"}}, {Cause: []string{"x"}}, {By: []string{"x"}}, {Host: []string{"x"}}, {Port: []string{"x"}}, {Since: "x"}, {Until: "x"}, {Conn: []string{"x"}}, {Conn: []string{"0"}}, {Conn: []string{"192.0.2.1"}}, {Conn: []string{"192.0.2.1:1-"}, Host: []string{"x"}}, {Host: []string{"192.0.2.1:80"}}, {Port: []string{"5-"}}} {
		_, err := ParseFilter(w)
		if err == nil || !strings.HasPrefix(err.Error(), "--") || !strings.Contains(err.Error(), "type ") {
			t.Errorf("%+v: %v", w, err)
		}
	}
}

func TestAlarm(t *testing.T) {
	r := exampleReport()
	for names, want := range map[string]bool{"reset": true, "close-wait-leak": true, "timed-out": false, "timed-out,peer-vanished": true, "pmtu-blackhole": false, "": false} {
		var list []string
		if names != "" {
			list = strings.Split(names, ",")
		}
		a, err := ParseAlarm(list)
		if err != nil {
			t.Fatal(err)
		}
		if a.Rings(r) != want {
			t.Errorf("%s: %v", names, !want)
		}
	}
	if _, err := ParseAlarm([]string{classify.AbortiveClose.String(), "nonsense-name"}); err == nil {
		t.Error("nonsense is accepted")
	}
}

func TestConnSpecs(t *testing.T) {
	a, b := netip.MustParseAddrPort("192.0.2.1:43716"), netip.MustParseAddrPort("192.0.2.2:8085")
	for _, s := range []string{
		"6", "#6", "192.0.2.1:43716", "192.0.2.2:8085",
		"192.0.2.1:43716 → 192.0.2.2:8085", "192.0.2.2:8085-192.0.2.1:43716", "192.0.2.1:43716->192.0.2.2:8085", "192.0.2.1:43716 192.0.2.2:8085", "[::ffff:192.0.2.1]:43716 > 192.0.2.2:8085",
	} {
		c, err := ParseConn(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		if !(ConnSpecs{c}).matches(6, a, b) || !(ConnSpecs{c}).matches(6, b, a) {
			t.Errorf("%s does not match its connection", s)
		}
		if other := netip.AddrPortFrom(a.Addr(), 9); (ConnSpecs{c}).matches(7, other, other) || c.Ends[1].IsValid() && (ConnSpecs{c}).matches(7, a, other) {
			t.Errorf("%s matches another connection", s)
		}
	}
	for _, s := range []string{"192.0.2.1:1 192.0.2.2:2 192.0.2.3:3", "192.0.2.1:1 x", "-", "→"} {
		if c, err := ParseConn(s); err == nil {
			t.Errorf("%s is taken for %v", s, c)
		}
	}
}
