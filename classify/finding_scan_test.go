package classify

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestScanEstimatesAreSaidAsSuch: the endpoints are estimated, and no digit is
// told that the estimate does not have, neither in the title nor beside it.
func TestScanEstimatesAreSaidAsSuch(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	h := scanHost{more: new(scanHistory)}
	for range 1000 {
		x := rng.Uint64()
		h.more.endpoints.add(x)
		h.more.hosts.add(x)
	}
	f := h.report(endpoint{}, 0)
	said := 0
	for _, n := range f.Numbers {
		if !strings.HasPrefix(n.Name, "endpoints tried") && !strings.HasPrefix(n.Name, "hosts tried") {
			continue
		}
		said++
		if !strings.HasSuffix(n.Name, ", about") || n.Value < 800 || n.Value > 1200 || int(n.Value)%10 != 0 {
			t.Errorf("%s: %v, want about 1000 with two digits that mean something", n.Name, n.Value)
		}
	}
	if said != 2 {
		t.Errorf("%d numbers of what was tried, want 2", said)
	}
}
