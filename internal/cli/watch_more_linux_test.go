package cli

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// send raises a signal in this process.
func send(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		t.Fatal(err)
	}
}

func content(name string) string {
	b, _ := os.ReadFile(name)
	return string(b)
}

// The report comes when SIGUSR1 asks for it and at the end; SIGHUP makes a
// log that was rotated away go on under its old name.
func TestWatchReportsAndRotates(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	log := filepath.Join(t.TempDir(), "log")
	r := start(t, "-i", "lo", "--format", "text", "-o", log)
	misbehave(t)
	r.until("the line of a refused dial", func() bool { return strings.Contains(content(log), "Dial → ECONNREFUSED") })
	if strings.Contains(content(log), "orderly-close") {
		t.Error("a connection that ended well is told without --all")
	}
	send(t, syscall.SIGUSR1)
	r.until("the report meanwhile", func() bool { return strings.Contains(content(log), "half-open · close-wait-leak") })
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	send(t, syscall.SIGHUP)
	r.until("a new log", func() bool { _, err := os.Stat(log); return err == nil })
	misbehave(t)
	r.until("a line in the new log", func() bool { return strings.Contains(content(log), "Dial → ECONNREFUSED") })
	if code := r.stop(); code != 0 {
		t.Errorf("exit status %d: %s", code, r.stderr.String())
	}
	if report := content(log); !strings.Contains(report, "connection-refused         2  by server") || !strings.Contains(report, "half-open") {
		t.Errorf("the report at the end lacks something:\n%s", report)
	}
}

// A filter is run by the kernel, -c ends the watch by itself.
func TestWatchFilterAndCount(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	addr := serve(t, echo)
	other := serve(t, echo)
	_, port, _ := strings.Cut(addr, ":")
	r := start(t, "-i", "lo", "--all", "--format", "ndjson", "-c", "6", "tcp", "port", port)
	for range 3 {
		for _, a := range []string{other, addr} {
			c := dial(t, a)
			c.Write([]byte("x"))
			c.Read(make([]byte, 1))
			c.Close()
		}
	}
	if code := <-r.exit; code != 0 {
		t.Errorf("exit status %d: %s", code, r.stderr.String())
	}
	text := r.stdout.String()
	if !strings.Contains(text, `"packets":6,`) || strings.Contains(text, other[strings.Index(other, ":")+1:]) || !strings.Contains(text, `"port":`+port) {
		t.Errorf("other than six packets of port %s:\n%s", port, text)
	}
}

// What is saved of a connection that ended badly tells of it as the watch did.
func TestWatchSavesPackets(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	dir := filepath.Join(t.TempDir(), "saved")
	r := start(t, "-i", "lo", "--format", "ndjson", "--save-abnormal", dir)
	misbehave(t)
	saved := func() (n int) {
		for _, l := range read(t, r.stdout.String()) {
			if l.Saved != "" {
				n++
			}
		}
		return n
	}
	r.until("four saved connections", func() bool { return saved() >= 4 })
	if code := r.stop(); code != 0 {
		t.Errorf("exit status %d: %s", code, r.stderr.String())
	}
	for key, l := range read(t, r.stdout.String()) {
		if l.Saved == "" {
			continue
		}
		var stdout, stderr lockedBuffer
		if code := Run([]string{"--format", "ndjson", l.Saved}, nil, &stdout, &stderr); code != 0 {
			t.Errorf("%s: exit status %d: %s", l.Saved, code, stderr.String())
			continue
		}
		again, ok := read(t, stdout.String())[key]
		if !ok || again.Cause != l.Cause || again.By != l.By {
			t.Errorf("%s: %s by %s live, %q by %q from the file", key, l.Cause, l.By, again.Cause, again.By)
		}
	}
}

// The metrics are what Prometheus reads, and count what was told.
func TestWatchMetrics(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	r := start(t, "-i", "lo", "--format", "ndjson", "--metrics", "127.0.0.1:0", "--metrics-hosts", "5")
	page := regexp.MustCompile(`http://\S+`).FindString(r.stderr.String())
	misbehave(t)
	misbehave(t)
	hosts := make(map[string]bool)
	get := func() (refused, packets float64) {
		resp, err := http.Get(page)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		p := expfmt.NewTextParser(model.UTF8Validation)
		families, err := p.TextToMetricFamilies(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range families["hangup_connections_ended_total"].GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "host" {
					hosts[l.GetValue()] = true
				}
				if l.GetValue() == "connection-refused" {
					refused += m.GetCounter().GetValue()
				}
			}
		}
		for _, m := range families["hangup_packets_total"].GetMetric() {
			packets += m.GetCounter().GetValue()
		}
		return refused, packets
	}
	r.until("two refused connections", func() bool { refused, _ := get(); return refused == 2 })
	if _, packets := get(); packets == 0 {
		t.Error("no packets are counted")
	}
	if !hosts["127.0.0.1"] {
		t.Errorf("the server is not among the hosts: %v", hosts)
	}
	resp, err := http.Get(strings.TrimSuffix(page, "/metrics") + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("/healthz says %s", resp.Status)
	}
	if code := r.stop(); code != 0 {
		t.Errorf("exit status %d: %s", code, r.stderr.String())
	}
}

// The kernel's own word agrees with the verdicts.
func TestWatchKernelEvents(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	r := &running{t: t, exit: make(chan int, 1)}
	go func() {
		r.exit <- Run([]string{"-i", "lo", "--all", "--format", "ndjson", "--kernel-events"}, nil, &r.stdout, &r.stderr)
	}()
	for !strings.Contains(r.stderr.String(), "watching") {
		select {
		case <-r.exit:
			t.Skipf("needs tracefs: %s", r.stderr.String())
		default:
		}
	}
	misbehave(t)
	r.until("a word on every connection that was told", func() bool { return strings.Count(r.stdout.String(), `"kernel"`) >= 4 })
	if code := r.stop(); code != 0 {
		t.Errorf("exit status %d: %s", code, r.stderr.String())
	}
	var agreed, disagreed int
	note := regexp.MustCompile(`agrees with .*`).FindString(r.stderr.String())
	if _, err := fmt.Sscanf(note, "agrees with %d ends of connections, and disagrees with %d", &agreed, &disagreed); err != nil || agreed < 4 || disagreed > 0 {
		t.Errorf("%q, %v: %s", note, err, r.stdout.String())
	}
}

// What a watch must go on without, it says at once: an interface that was
// removed beside others, and a file that cannot be written any more.
func TestWatchGoesOnWithout(t *testing.T) {
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip, of iproute2")
	}
	if !inNamespace(t) {
		return
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() { // takes the file's beginning, and no more
		if f, err := os.Open(pipe); err == nil {
			f.Read(make([]byte, 1))
			f.Close()
		}
	}()
	if out, err := exec.Command("ip", "link", "add", "gone0", "up", "type", "veth", "peer", "name", "gone1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	later := exec.Command("sh", "-c", "read line; ip link delete gone0")
	now, err := later.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := later.Start(); err != nil {
		t.Fatal(err)
	}
	r := start(t, "-i", "lo,gone0", "--format", "ndjson", "-w", pipe)
	misbehave(t)
	r.until("word of the file", func() bool { return strings.Contains(r.stderr.String(), "nothing more is written") })
	fmt.Fprintln(now, "now")
	if err := later.Wait(); err != nil {
		t.Fatal(err)
	}
	r.until("word of the interface", func() bool { return strings.Contains(r.stderr.String(), "gone0: the interface was removed") })
	before := strings.Count(r.stdout.String(), "connection-refused")
	misbehave(t)
	r.until("the lines of afterwards", func() bool { return strings.Count(r.stdout.String(), "connection-refused") > before })
	if n := strings.Count(r.stderr.String(), "nothing more is written"); n != 1 {
		t.Errorf("told %d times, over and over: %s", n, r.stderr.String())
	}
	if code := r.stop(); code != 1 {
		t.Errorf("exit status %d: %s", code, r.stderr.String())
	}
}

// An interface that is removed ends the watch with an error, and a report.
func TestWatchInterfaceRemoved(t *testing.T) {
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip, of iproute2")
	}
	if !inNamespace(t) {
		return
	}
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	ip("link", "add", "gone0", "type", "veth", "peer", "name", "gone1")
	ip("link", "set", "gone0", "up")
	// The watch gives up the privileges of this process, with all threads.
	later := exec.Command("sh", "-c", "read line; ip link delete gone0")
	now, err := later.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := later.Start(); err != nil {
		t.Fatal(err)
	}
	r := start(t, "-i", "gone0", "--format", "text")
	fmt.Fprintln(now, "now")
	if err := later.Wait(); err != nil {
		t.Fatal(err)
	}
	if code := <-r.exit; code != 1 || !strings.Contains(r.stderr.String(), "gone0") || !strings.Contains(r.stdout.String(), "gone0 · live") {
		t.Errorf("exit status %d: %s%s", code, r.stderr.String(), r.stdout.String())
	}
}

// The second Ctrl-C ends at once, whatever hangs: here, who reads the report
// does not read on.
func TestWatchSecondInterruptKills(t *testing.T) {
	const mark = "HANGUP_TEST_STUCK"
	if os.Getenv(mark) != "" {
		_ = loopbackUp()
		os.Exit(Run([]string{"-i", "lo", "--all", "--format", "text"}, nil, os.Stdout, os.Stderr))
	}
	if os.Getuid() != 0 {
		t.Skip("needs root: it captures in a network namespace of its own")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), mark+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	nobody, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer nobody.Close()
	fill(t, stdout)
	cmd.Stdout = stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); errors.Is(err, syscall.EPERM) {
		t.Skip("needs the right to make network namespaces")
	} else if err != nil {
		t.Fatal(err)
	}
	stuck := bufio.NewScanner(stderr)
	for stuck.Scan() && !strings.Contains(stuck.Text(), "watching") {
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for range 100 { // the first takes a while to be heard
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case err := <-ended:
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
				t.Errorf("ended by itself: %v", err)
			}
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
	_ = cmd.Process.Kill()
	t.Error("does not end")
}

// fill leaves no room in a pipe.
func fill(t *testing.T, w *os.File) {
	t.Helper()
	fd := int(w.Fd())
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	for b := make([]byte, 4096); ; {
		if _, err := syscall.Write(fd, b); err != nil {
			break
		}
	}
	if err := syscall.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
}

// Whatever does not go with live capture is said before it begins.
func TestWatchWrongUsage(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"-i lo --format csv", "-w FILE"},
		{"-i lo --format json", "-w FILE"},
		{"-i lo --since 3", "-w FILE"},
		{"-i lo -r x.pcap", "contradict"},
		{"-i lo tcp prt 80", "^"},
		{"-i lo -f tcp port 80", "join them by and"},
		{"-i lo -B 1", "128"},
		{"--metrics 9317 x.pcap", "-i any"},
		{"-i lo --max-memory lots", "512M"},
	} {
		var stdout, stderr lockedBuffer
		if code := Run(strings.Fields(c.args), nil, &stdout, &stderr); code != exitUsage || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%s: exit status %d, %s", c.args, code, stderr.String())
		}
	}
}
