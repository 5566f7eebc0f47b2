package cli

import (
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// While an interface is down nothing is heard of it, which whoever asks for
// the watch's health learns, and who reads its messages and its report.
func TestWatchInterfaceDown(t *testing.T) {
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip, of iproute2")
	}
	if !inNamespace(t) {
		return
	}
	if out, err := exec.Command("ip", "link", "add", "rest0", "up", "type", "veth", "peer", "name", "rest1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// The watch gives up the privileges of this process, with all threads.
	later := exec.Command("sh", "-c", "while read state; do ip link set rest0 $state; done")
	now, err := later.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := later.Start(); err != nil {
		t.Fatal(err)
	}
	r := start(t, "-i", "lo,rest0", "--format", "text", "--metrics", "127.0.0.1:0")
	page := regexp.MustCompile(`http://[^/]+`).FindString(r.stderr.String()) + "/healthz"
	health := func() (status int, body string) {
		resp, err := http.Get(page)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text)
	}
	if status, body := health(); status != http.StatusOK {
		t.Fatalf("%d before anything happened: %s", status, body)
	}
	fmt.Fprintln(now, "down")
	r.until("a bill of ill health", func() bool { status, _ := health(); return status == http.StatusServiceUnavailable })
	if _, body := health(); !strings.Contains(body, "rest0: the interface is down since 20") {
		t.Errorf("the reason is %q", body)
	}
	r.until("word of it", func() bool { return strings.Contains(r.stderr.String(), "hangup: rest0: the interface is down since ") })
	fmt.Fprintln(now, "up")
	r.until("health", func() bool { status, _ := health(); return status == http.StatusOK })
	r.until("word of that", func() bool { return strings.Contains(r.stderr.String(), "hangup: rest0: the interface is up again") })
	now.Close()
	if err := later.Wait(); err != nil {
		t.Fatal(err)
	}
	if code := r.stop(); code != 0 {
		t.Errorf("exit status %d: %s", code, r.stderr.String())
	}
	if text := strings.Join(strings.Fields(r.stdout.String()), " "); !strings.Contains(text, "rest0: The interface was down 1 time, last from 20") {
		t.Errorf("the report does not tell of it: %s", r.stdout.String())
	}
}
