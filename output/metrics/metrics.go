// Package metrics turns what hangup sees into numbers for Prometheus: ended
// connections, open ones, findings, and how well the capture itself keeps up.
// It serves them over HTTP to whoever watches the fleet, and to nobody else:
// see [Metrics.Serve].
//
// What an attacker can choose (ports, addresses) becomes a label only within
// bounds, so that a scan does not swell the page: see [Config].
package metrics

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
)

// Config bounds the labels. Its zero value will do.
//
// A label once given stays until the end of the run: a series that came and
// went would look like a reset to every rate computed from it. A server port
// or host earns its label by one completed handshake; a port that kernels
// also give out by themselves (32768 and above), and whatever only fails or
// had begun before the capture, by its eighth connection. Those that merely
// fail get half of the labels at the most, so that a scan leaves room for
// real servers. All others are counted as "other".
type Config struct {
	Version  string // of hangup, for hangup_build_info
	MaxPorts int    // server ports with a label of their own, 50 if 0, none if negative
	Host     bool   // label connections by server host, too
	MaxHosts int    // hosts with a label of their own, 100 if 0, none if negative
}

const (
	defaultPorts = 50
	defaultHosts = 100

	// other stands for all that have no label of their own.
	other = "other"

	// maxSeries bounds the series of ended connections, whatever ports and
	// hosts combine to; those of no host in particular come on top, a few
	// dozen for each port.
	maxSeries = 5000
)

// Metrics holds the numbers. All methods may be called from any goroutine.
type Metrics struct {
	registry *prometheus.Registry
	latency  prometheus.Histogram
	overflow *prometheus.CounterVec
	state    *state

	mu        sync.Mutex
	withHost  bool
	ended     *prometheus.CounterVec
	series    map[series]prometheus.Counter
	ports     roster[uint16]
	hosts     roster[[16]byte]
	overPorts prometheus.Counter
	overHosts prometheus.Counter
	overAll   prometheus.Counter
}

// series names one counter of ended connections. The zero port and host are
// those without a label.
type series struct {
	class classify.Class
	cause classify.Cause
	by    classify.Party
	port  uint16
	host  [16]byte
}

// New returns metrics with a registry of their own.
func New(cfg Config) *Metrics {
	labels := []string{"class", "cause", "by", "port"}
	if cfg.Host {
		labels = append(labels, "host")
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		state:    newState(),
		withHost: cfg.Host,
		series:   make(map[series]prometheus.Counter),
		ports:    newRoster[uint16](cfg.MaxPorts, defaultPorts),
		hosts:    newRoster[[16]byte](cfg.MaxHosts, defaultHosts),
	}
	m.ended = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hangup_connections_ended_total",
		Help: "TCP connections that ended, by how (class), why (cause), who (by) and the server's port.",
	}, labels)
	m.overflow = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hangup_label_overflow_total",
		Help: "Ended connections counted as \"other\" because all values of a label, or all series, were given out.",
	}, []string{"label"})
	m.overPorts = m.overflow.WithLabelValues("port")
	m.overHosts = m.overflow.WithLabelValues("host")
	m.overAll = m.overflow.WithLabelValues("series")
	m.latency = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "hangup_analysis_latency_seconds",
		Help: "Time from a packet's stamp in the kernel to the end of its analysis.",
		// The ring hands over a block when it is full or after tens of
		// milliseconds: less means load, more that analysis falls behind.
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	})
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "hangup_build_info",
		Help: "Always 1; the label says which hangup runs.",
	}, []string{"version"})
	info.WithLabelValues(printable(cfg.Version)).Set(1)
	m.registry.MustRegister(m.ended, m.overflow, m.latency, info, m.state,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Ended counts one connection by its verdict. One whose class is open has not
// ended (the capture has, or memory did) and is not counted. It does not
// allocate for series that exist.
func (m *Metrics) Ended(c *assembler.Conn, v *classify.Verdict) {
	if v.Class == classify.Open {
		return
	}
	m.mu.Lock()
	m.counter(m.name(c, v)).Inc()
	m.mu.Unlock()
}

// name decides under which labels a connection is counted.
func (m *Metrics) name(c *assembler.Conn, v *classify.Verdict) series {
	s := series{class: v.Class, cause: v.Cause, by: v.By}
	server := c.End(assembler.Server)
	proven := c.RoleKnown && c.Established.Seen()
	weight := uint8(rareWeight)
	if proven && server.Port < firstEphemeral {
		weight = 1
	}
	switch m.ports.ask(server.Port, proven, weight) {
	case given:
		s.port = server.Port
	case exhausted:
		m.overPorts.Inc()
	}
	if !m.withHost {
		return s
	}
	if weight = rareWeight; proven {
		weight = 1
	}
	switch m.hosts.ask(server.Addr, proven, weight) {
	case given:
		s.host = server.Addr
	case exhausted:
		m.overHosts.Inc()
	}
	return s
}

// counter is that of s, or of "other" where there are too many.
func (m *Metrics) counter(s series) prometheus.Counter {
	if n := m.series[s]; n != nil {
		return n
	}
	if s.host != [16]byte{} && len(m.series) >= maxSeries {
		m.overAll.Inc()
		s.host = [16]byte{}
		return m.counter(s)
	}
	port, host := other, other
	if s.port != 0 {
		port = strconv.Itoa(int(s.port))
	}
	if s.host != [16]byte{} {
		host = capture.Addr(s.host).String()
	}
	values := []string{s.class.String(), s.cause.String(), s.by.String(), port}
	if m.withHost {
		values = append(values, host)
	}
	n := m.ended.WithLabelValues(values...)
	m.series[s] = n
	return n
}

// Latency notes how long after its stamp a packet had been analysed. Once per
// batch, for its oldest packet, is enough. A stamp from the future (clocks
// are stepped, network cards have their own) counts as 0.
func (m *Metrics) Latency(d time.Duration) {
	m.latency.Observe(max(d, 0).Seconds())
}

// Open replaces the numbers of connections that have not ended. The keys are
// names of [assembler.State]; states that are not named become 0.
func (m *Metrics) Open(states map[string]int) { m.state.setOpen(states) }

// Input takes what is known of each interface since it was opened. Totals
// that fall are taken for an interface that was opened anew: what is served
// never falls.
func (m *Metrics) Input(in []capture.Input) { m.state.setInputs(in) }

// Finding replaces the findings that stand.
func (m *Metrics) Finding(list []classify.Finding) { m.state.setFindings(list, time.Now()) }

// Set takes the totals of the run, in the same way as Input.
func (m *Metrics) Set(c Counters) { m.state.setCounters(c) }

// Healthy sets what /healthz and hangup_healthy ask: an error says why
// hangup cannot be relied on (the capture is stalled). It is called for each
// request, from any goroutine, and must answer at once. Until it is set all
// is well.
func (m *Metrics) Healthy(check func() error) { m.state.setHealthy(check) }
