// Package rooms holds the tree to its plan: packets flow from capture through
// assembler and classify to output, and no room knows a later one.
package rooms

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// deps are the packages that pkg's own code, tests left out, builds on.
func deps(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", pkg).Output()
	if err != nil {
		t.Fatalf("go list -deps %s: %v", pkg, err)
	}
	return strings.Fields(string(out))
}

// wiring is what main consists of beside its manual; the rest of internal
// serves tests and benchmarks only.
const wiring = "hangup/internal/cli"

func TestNoRoomImportsALaterOne(t *testing.T) {
	rooms := []string{"hangup/capture", "hangup/assembler", "hangup/classify", "hangup/output", "hangup/output/metrics", "hangup/output/blackbox", "hangup"}
	for i, room := range rooms {
		d := deps(t, room)
		if room != "hangup" && slices.Contains(d, wiring) {
			t.Errorf("%s imports %s", room, wiring)
		}
		for _, later := range rooms[i+1:] {
			if slices.Contains(d, later) {
				t.Errorf("%s imports %s", room, later)
			}
		}
		for _, p := range d {
			if strings.HasPrefix(p, "hangup/internal/") && p != wiring {
				t.Errorf("%s builds on %s, which serves tests and benchmarks only", room, p)
			}
		}
	}
}

func TestOnlyCaptureKnowsGopacket(t *testing.T) {
	for _, room := range []string{"assembler", "classify", "output", "output/metrics", "output/blackbox"} {
		out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}`, "hangup/"+room).Output()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), "gopacket") {
			t.Errorf("%s imports gopacket", room)
		}
	}
	if !slices.Contains(deps(t, "hangup/capture"), "github.com/google/gopacket") {
		t.Error("capture does not build on gopacket")
	}
}
