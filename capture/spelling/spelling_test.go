package spelling

import "testing"

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"reset", "reset", 0}, {"rest", "reset", 1}, {"rseet", "reset", 1}, {"", "abc", 3},
		{"eth0", "eth1", 1}, {"kitten", "sitting", 3}, {"abc", "", 3},
	} {
		if got := Distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: %d, not %d", c.a, c.b, got, c.want)
		}
	}
}
