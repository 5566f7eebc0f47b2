package metrics

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
)

func refused() *classify.Verdict {
	return verdict(classify.Reset, classify.ConnectionRefused, classify.ByServer)
}

func closed() *classify.Verdict {
	return verdict(classify.Graceful, classify.OrderlyClose, classify.ByClient)
}

// onHost is a connection to one of very many servers.
func onHost(n uint32, port uint16, established bool) *assembler.Conn {
	return move(conn(0, port, established), n, port)
}

// move takes a connection to another server: making new ones would take most
// of a test's time.
func move(c *assembler.Conn, host uint32, port uint16) *assembler.Conn {
	server := c.End(assembler.Server)
	server.Port = port
	binary.BigEndian.PutUint32(server.Addr[12:], host)
	return c
}

// labels sums the ended connections of m by their port and host labels, and
// counts its series.
func labels(t *testing.T, m *Metrics) (ports, hosts map[string]float64, series int) {
	t.Helper()
	ports, hosts = map[string]float64{}, map[string]float64{}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "hangup_connections_ended_total" {
			continue
		}
		series = len(f.Metric)
		for _, x := range f.Metric {
			for _, l := range x.Label {
				switch l.GetName() {
				case "port":
					ports[l.GetValue()] += x.GetCounter().GetValue()
				case "host":
					hosts[l.GetValue()] += x.GetCounter().GetValue()
				}
			}
		}
	}
	return ports, hosts, series
}

func overflow(t *testing.T, m *Metrics, label string) float64 {
	t.Helper()
	return values(scrape(t, serve(t, m, "0"))["hangup_label_overflow_total"])["label="+label]
}

// A scanner tries each port of each host, twice, before anybody else comes;
// the servers that really serve still get their labels.
func TestScanLeavesRoomForServers(t *testing.T) {
	m := New(Config{Host: true})
	scan, v := conn(0, 0, false), refused()
	var total float64
	for host := range uint32(3) {
		for port := range 1 << 16 {
			for range 2 {
				m.Ended(move(scan, host, uint16(port)), v)
				total++
			}
		}
	}
	for host := range uint32(100_000) {
		m.Ended(move(scan, 1<<24+host, 22), v)
		total++
	}
	ports, hosts, series := labels(t, m)
	if len(ports) > defaultPorts/2+1 || len(hosts) > defaultHosts/2+1 || series > 200 {
		t.Errorf("a scan made %d ports, %d hosts, %d series", len(ports), len(hosts), series)
	}
	for _, port := range []uint16{80, 443, 5432} {
		m.Ended(onHost(9<<24, port, true), closed())
		total++
	}
	ports, hosts, _ = labels(t, m)
	for _, port := range []string{"80", "443", "5432"} {
		if ports[port] == 0 {
			t.Errorf("port %s has no label: %v", port, ports)
		}
	}
	if hosts["9.0.0.0"] != 3 {
		t.Errorf("the server has no label: %v", hosts)
	}
	var sum float64
	for _, n := range ports {
		sum += n
	}
	if sum != total {
		t.Errorf("%v connections counted of %v", sum, total)
	}
}

// Somebody who answers on all ports of all addresses makes as many labels as
// are allowed, and what they combine to stays bounded too.
func TestTarpitIsBounded(t *testing.T) {
	m := New(Config{Host: true})
	causes := []*classify.Verdict{refused(), closed(), verdict(classify.TimedOut, classify.KeepaliveTimeout, classify.ByServer)}
	tarpit := conn(0, 0, true)
	n := 0
	for host := range uint32(300) {
		for port := range uint16(200) {
			m.Ended(move(tarpit, host, 1+port), causes[n%len(causes)])
			n++
		}
	}
	ports, hosts, series := labels(t, m)
	if len(ports) != defaultPorts+1 || len(hosts) > defaultHosts+1 {
		t.Errorf("%d ports, %d hosts", len(ports), len(hosts))
	}
	if series > maxSeries+len(causes)*len(ports) {
		t.Errorf("%d series", series)
	}
	for _, label := range []string{"port", "host", "series"} {
		if overflow(t, m, label) == 0 {
			t.Errorf("nobody is told that labels of %s ran out", label)
		}
	}
	var sum float64
	for _, x := range ports {
		sum += x
	}
	if sum != float64(n) {
		t.Errorf("%v connections counted of %d", sum, n)
	}
}

func TestLabelsAreEarned(t *testing.T) {
	for _, c := range []struct {
		name        string
		port        uint16
		established bool
		role        bool
		times       int
		label       string
	}{
		{"one handshake on a service port", 8080, true, true, 1, "8080"},
		{"one on an ephemeral port, as FTP has", 40000, true, true, 7, other},
		{"a service on an ephemeral port", 50051, true, true, 8, "50051"},
		{"one refusal", 8080, false, true, 7, other},
		{"refused again and again: a server that is down", 8080, false, true, 8, "8080"},
		{"begun before the capture", 5432, true, false, 7, other},
		{"long-lived ones that had all begun before", 5432, true, false, 8, "5432"},
		{"port 0", 0, true, true, 9, other},
	} {
		m := New(Config{})
		for range c.times {
			x := conn(1, c.port, c.established)
			x.RoleKnown = c.role
			m.Ended(x, closed())
		}
		if ports, _, _ := labels(t, m); ports[c.label] == 0 || c.label == other && len(ports) != 1 {
			t.Errorf("%s, %d times: %v, want %s", c.name, c.times, ports, c.label)
		}
	}
}

func TestLabelOnceGivenStays(t *testing.T) {
	m := New(Config{MaxPorts: 2})
	for _, port := range []uint16{80, 443, 8080} {
		m.Ended(conn(1, port, true), closed())
	}
	for range 3 * maxCandidates {
		m.Ended(conn(1, 8080, true), closed())
	}
	m.Ended(conn(1, 80, false), refused())
	if ports, _, _ := labels(t, m); ports["80"] != 2 || ports["443"] != 1 || ports[other] != 1+3*maxCandidates {
		t.Errorf("%v", ports)
	}
	if n := overflow(t, m, "port"); n != 1+3*maxCandidates {
		t.Errorf("overflow %v", n)
	}
}

// What is dialled often gathers its weight although a scan makes candidates
// be forgotten all the time.
func TestCandidateOutlastsScan(t *testing.T) {
	m := New(Config{Host: true})
	down, scan := conn(7, 8443, false), conn(0, 1, false)
	for n := range uint32(200_000) {
		m.Ended(move(scan, 1<<24+n, 1), refused())
		if n%100 == 0 {
			m.Ended(down, refused())
		}
	}
	if _, hosts, _ := labels(t, m); hosts["192.0.2.7"] < 1900 {
		t.Errorf("%v of 2000", hosts["192.0.2.7"])
	}
}

func TestNoLabelsAtAll(t *testing.T) {
	m := New(Config{Host: true, MaxPorts: -1, MaxHosts: -1})
	for range 20 {
		m.Ended(conn(1, 80, true), closed())
	}
	if ports, hosts, series := labels(t, m); series != 1 || ports[other] != 20 || hosts[other] != 20 {
		t.Errorf("%v %v", ports, hosts)
	}
}

func TestOpenHasNotEnded(t *testing.T) {
	m := New(Config{})
	m.Ended(conn(1, 80, true), verdict(classify.Open, classify.StillOpen, classify.ByUnknown))
	if _, _, series := labels(t, m); series != 0 {
		t.Errorf("%d series", series)
	}
}

func TestIPv6Host(t *testing.T) {
	m := New(Config{Host: true})
	c := conn(1, 443, true)
	c.Ends[assembler.Server].Addr = [16]byte{0: 0x20, 1: 0x01, 2: 0x0d, 3: 0xb8, 15: 1}
	m.Ended(c, closed())
	if _, hosts, _ := labels(t, m); hosts["2001:db8::1"] != 1 {
		t.Errorf("%v", hosts)
	}
}

func TestKnownSeriesDoNotAllocate(t *testing.T) {
	m := New(Config{Host: true})
	c, v := conn(1, 443, true), closed()
	scanned, rst := onHost(9, 1, false), refused()
	m.Ended(c, v)
	m.Ended(scanned, rst)
	if n := testing.AllocsPerRun(1000, func() {
		m.Ended(c, v)
		m.Latency(time.Millisecond)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	port := uint16(0)
	for range 3 * maxCandidates { // the map of candidates has its full size
		port++
		m.Ended(onHost(9, port, false), rst)
	}
	if n := testing.AllocsPerRun(1000, func() {
		port++
		scanned.Ends[assembler.Server].Port = port
		m.Ended(scanned, rst)
	}); n >= 1 {
		t.Errorf("%v allocations for each port of a scan", n)
	}
}

// Everything is called at once, as it is live: the analysis counts while
// others set gauges and Prometheus reads. The sum shows that nothing is lost;
// `go test -race` shows the rest where there is a C compiler.
func TestConcurrentUse(t *testing.T) {
	m := New(Config{Host: true})
	s := serve(t, m, "0")
	const each = 2000
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range each {
				m.Ended(onHost(uint32(i%5), uint16(80+g), i%2 == 0), closed())
				m.Latency(time.Duration(i))
				if i%50 == 0 {
					m.Open(map[string]int{"ESTABLISHED": i})
					m.Input([]capture.Input{{Name: "eth0", Packets: uint64(i)}})
					m.Finding([]classify.Finding{{Kind: fmt.Sprint("kind-", g)}})
					m.Set(Counters{LatePackets: uint64(i)})
					m.Healthy(func() error { return nil })
				}
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			for range 10 {
				if page := get(t, s, "/metrics"); !strings.Contains(page, "hangup_build_info") {
					t.Error("a page without its end")
				}
			}
		})
	}
	wg.Wait()
	ports, _, _ := labels(t, m)
	var sum float64
	for _, n := range ports {
		sum += n
	}
	if sum != 4*each {
		t.Errorf("%v ended, want %d", sum, 4*each)
	}
}

func BenchmarkEnded(b *testing.B) {
	m := New(Config{Host: true})
	c, v := conn(1, 443, true), closed()
	b.ReportAllocs()
	for b.Loop() {
		m.Ended(c, v)
	}
}

func BenchmarkEndedByScan(b *testing.B) {
	m := New(Config{Host: true})
	c, v := conn(1, 1, false), refused()
	n := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		n++
		m.Ended(move(c, n, uint16(n)), v)
	}
}

func BenchmarkLatency(b *testing.B) {
	m := New(Config{})
	b.ReportAllocs()
	for b.Loop() {
		m.Latency(time.Millisecond)
	}
}
