package capture

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestOpenLiveErrors(t *testing.T) {
	p := newPlace(t)
	p.veth("veth-front", "veth-back")
	for _, c := range []struct {
		names []string
		want  string
	}{
		{nil, "no interface named"},
		{[]string{"any", "veth-back"}, "any: is all interfaces"},
		{[]string{"veth-back", "veth-back"}, "veth-back: given twice"},
		{[]string{"veth-frnt"}, "veth-frnt: no such interface, did you mean veth-front? hangup -D lists all"},
		{[]string{"veth"}, "did you mean veth-"},
		{[]string{"Any"}, "did you mean any?"},
		{[]string{"veth-back", "wlp3s0"}, "wlp3s0: no such interface, hangup -D lists them"},
		{[]string{strings.Repeat("x", 50)}, "no such interface"},
		{[]string{""}, "no such interface"},
	} {
		var l *Live
		var err error
		p.do(func() { l, err = OpenLive(LiveConfig{Interfaces: c.names}) })
		if l != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.names, err, c.want)
		}
	}
}

// TestOpenLiveFilterRefused: what has no meaning on an interface is an error
// at once.
func TestOpenLiveFilterRefused(t *testing.T) {
	p := newPlace(t)
	p.sh("ip link set lo up")
	var err error
	p.do(func() {
		_, err = OpenLive(LiveConfig{Interfaces: []string{"any"}, Filter: parse(t, "ether host 02:00:00:00:00:01")})
	})
	if err == nil || !strings.HasPrefix(err.Error(), "any: ") || !strings.Contains(err.Error(), "ether host") {
		t.Error(err)
	}
}

// TestOpenLivePermission takes the capability from one thread.
func TestOpenLivePermission(t *testing.T) {
	p := newPlace(t)
	p.sh("ip link set lo up")
	var err error
	p.do(func() {
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&head, &none[0]); err != nil {
			t.Error(err)
		}
		_, err = OpenLive(LiveConfig{Interfaces: []string{"lo"}})
	})
	self, _ := os.Executable()
	if want := "lo: no permission to capture: run as root or `setcap cap_net_raw+ep " + self + "`"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestOpenLiveWithNetRawAlone takes every other capability from a thread.
func TestOpenLiveWithNetRawAlone(t *testing.T) {
	p := newPlace(t)
	p.sh("ip link set lo up")
	var err error
	p.do(func() {
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		one := [2]unix.CapUserData{{Effective: 1 << unix.CAP_NET_RAW, Permitted: 1 << unix.CAP_NET_RAW}}
		if err := unix.Capset(&head, &one[0]); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"lo", "any"} {
			var l *Live
			if l, err = OpenLive(LiveConfig{Interfaces: []string{name}, Promiscuous: true, Filter: parse(t, "tcp")}); err != nil {
				return
			}
			l.Close()
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// TestInterfacesLikeTcpdump: -D of both lists the same, in the same order.
func TestInterfacesLikeTcpdump(t *testing.T) {
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("needs tcpdump")
	}
	p := newPlace(t)
	p.sh("ip link set lo up")
	p.veth("va", "vb")
	p.veth("vc", "vd")
	p.sh("ip addr add 192.0.2.9/24 dev vb\n ip link set vd down")
	var list []Interface
	var err error
	var out []byte
	// A link's carrier is noticed with a delay, for which tcpdump may come too early.
	for range 50 {
		p.do(func() {
			list, err = Interfaces()
			out, _ = exec.Command("tcpdump", "-D").Output()
		})
		var ours, theirs []string
		for _, i := range list {
			ours = append(ours, i.Name)
		}
		for _, m := range regexp.MustCompile(`(?m)^\d+\.(\S+).*(?:\[|$)`).FindAllStringSubmatch(string(out), -1) {
			if !strings.HasPrefix(m[1], "bluetooth") && !strings.HasPrefix(m[1], "nf") && !strings.HasPrefix(m[1], "usb") && !strings.HasPrefix(m[1], "dbus") {
				theirs = append(theirs, m[1])
			}
		}
		if slices.Equal(ours, theirs) {
			break
		}
		err = fmt.Errorf("%q, tcpdump has %q", ours, theirs)
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(i Interface) bool { return i.Name == "vb" })
	if vb := list[i]; !vb.Up || !vb.Running || vb.Loopback || vb.Link != "EN10MB" || !slices.Contains(vb.Addrs, netip.MustParsePrefix("192.0.2.9/24")) || vb.Index == 0 {
		t.Errorf("%+v", vb)
	}
	i = slices.IndexFunc(list, func(i Interface) bool { return i.Name == "vd" })
	if list[i].Up {
		t.Errorf("%+v", list[i])
	}
}

func TestClosest(t *testing.T) {
	names := []string{"any", "lo", "eth0", "eth1", "docker0", "wlp2s0", "br-4f3a"}
	for name, want := range map[string]string{
		"eth": "eth0 eth1", "eht0": "eth0 eth1", "eth2": "eth0 eth1", "ETH0": "eth0 eth1", "docker": "docker0",
		"wlan0": "", "en0": "any eth0", "x": "", "br": "br-4f3a", "l": "lo", "": "",
	} {
		if got := strings.Join(closest(name, names), " "); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// TestDropPrivileges builds a program without cgo that opens a capture, drops
// what it can, and reports the capabilities of all its threads.
func TestDropPrivileges(t *testing.T) {
	if unix.Geteuid() != 0 {
		t.Skip("needs root, to have something to drop")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "dropper")
	build := exec.Command("go", "build", "-o", binary, "./capture/testdata/dropper")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p := newPlace(t)
	p.sh("ip link set lo up")
	var out []byte
	p.do(func() { out, err = exec.Command(binary).CombinedOutput() })
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sets, privs := 0, 0
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch value = strings.TrimSpace(value); name {
		case "CapPrm", "CapEff":
			sets++
			if want := fmt.Sprintf("%016x", 1<<unix.CAP_SYS_PTRACE); value != want {
				t.Errorf("%s is %s, want %s", name, value, want)
			}
		case "CapInh", "CapAmb":
			if strings.Trim(value, "0") != "" {
				t.Errorf("%s is %s", name, value)
			}
		case "NoNewPrivs":
			if privs++; value != "1" {
				t.Errorf("%s is %s", name, value)
			}
		case "packets":
			if value == "0" {
				t.Error("no packets after the privileges are gone")
			}
		}
	}
	if sets < 4 || privs < 2 {
		t.Errorf("fewer than two threads:\n%s", out)
	}
}

func TestDropPrivilegesRefusesNonsense(t *testing.T) {
	if err := DropPrivileges(64); err == nil || !strings.Contains(err.Error(), "no capability 64") {
		t.Error(err)
	}
}

// TestLivePromiscuous: an interface is so as long as it is captured.
func TestLivePromiscuous(t *testing.T) {
	p := newPlace(t)
	p.veth("va", "vb")
	promiscuity := func() int {
		var out []byte
		var err error
		p.do(func() { out, err = exec.Command("ip", "-d", "-j", "link", "show", "vb").Output() })
		var links []struct{ Promiscuity int }
		if err == nil {
			err = json.Unmarshal(out, &links)
		}
		if err != nil {
			t.Fatal(err)
		}
		return links[0].Promiscuity
	}
	for _, want := range []int{0, 1} {
		l := p.open(LiveConfig{Interfaces: []string{"vb"}, Promiscuous: want == 1})
		if got := promiscuity(); got != want {
			t.Errorf("promiscuity %d, want %d", got, want)
		}
		if l.Close(); promiscuity() != 0 {
			t.Error("promiscuous after Close")
		}
	}
}

// TestDropLog: a long list becomes coarser, and loses nothing.
func TestDropLog(t *testing.T) {
	const n = 100_000
	var d dropLog
	for i := range int64(n) {
		d.add(DropEvent{From: i * 1e8, To: (i + 1) * 1e8, N: 1, Iface: uint16(i % 3)})
	}
	if len(d.events) > maxDropEvents || len(d.events) < maxDropEvents/8 {
		t.Errorf("%d events", len(d.events))
	}
	var sum uint64
	for i, e := range d.events {
		if sum += e.N; e.From >= e.To || e.To-e.From > d.span {
			t.Errorf("%+v, span %d", e, d.span)
		}
		if j := lastOf(d.events[:i], e.Iface); j >= 0 && d.events[j].To > e.From {
			t.Errorf("%+v after %+v", e, d.events[j])
		}
	}
	if sum != n || d.events[0].From != 0 || d.events[len(d.events)-1].To != n*1e8 {
		t.Errorf("%d drops, from %+v to %+v", sum, d.events[0], d.events[len(d.events)-1])
	}
}
