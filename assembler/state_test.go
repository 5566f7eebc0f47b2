package assembler

import "testing"

// TestTransitions holds the table to its promises: one line for a pair, each
// with its reason, and nothing that leads to Unknown or nowhere.
func TestTransitions(t *testing.T) {
	seen := map[[2]uint8]bool{}
	for _, tr := range transitions {
		pair := [2]uint8{uint8(tr.from), uint8(tr.on)}
		if seen[pair] {
			t.Errorf("%v has two lines for event %d", tr.from, tr.on)
		}
		seen[pair] = true
		if tr.why == "" {
			t.Errorf("%v to %v has no reason", tr.from, tr.to)
		}
		if tr.to == Unknown || tr.to == tr.from {
			t.Errorf("%v to %v is no transition", tr.from, tr.to)
		}
	}
	for s := SynSent; s < numStates; s++ {
		if s != Closed && nextState[s][onReset] != Closed {
			t.Errorf("a RST leaves %v as it is", s)
		}
	}
}
