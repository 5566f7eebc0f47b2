package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// descs describe what state serves.
type descs struct {
	packets, bytes, dropped, bad, cut, last *prometheus.Desc // by interface
	open                                    *prometheus.Desc // by state
	active, connections, first, changed     *prometheus.Desc // by kind and severity
	healthy                                 *prometheus.Desc
	counters                                [numCounters]counterDesc
}

// counterDesc is one field of Counters.
type counterDesc struct {
	desc   *prometheus.Desc
	labels []string // their values
}

const numCounters = 9

func newDescs() descs {
	of := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("hangup_"+name, help, labels, nil)
	}
	blackBox := of("blackbox_captures_total", "Abnormal ends that the black box saved, skipped because of its cap, or failed to write.", "result")
	process := of("process_lookups_total", "Local endpoints whose process was looked for.", "result")
	kernel := of("kernel_verdicts_total", "Verdicts that the kernel's own events confirmed or contradicted.", "result")
	return descs{
		packets: of("packets_total", "Packets captured.", "interface"),
		bytes:   of("bytes_total", "Bytes captured.", "interface"),
		dropped: of("packets_dropped_total", "Packets that the kernel dropped because hangup was too slow: verdicts may be wrong.", "interface"),
		bad:     of("packets_bad_total", "Packets that could not be decoded.", "interface"),
		cut:     of("packets_cut_total", "Packets captured shorter than they were.", "interface"),
		last:    of("last_packet_timestamp_seconds", "Time of the latest packet.", "interface"),

		open: of("connections_open", "TCP connections that have not ended, by state.", "state"),

		active:      of("finding_active", "Findings that stand.", "kind", "severity"),
		connections: of("finding_connections", "Connections that the findings that stand are about.", "kind", "severity"),
		first:       of("finding_first_timestamp_seconds", "When what the findings are about began.", "kind", "severity"),
		changed:     of("finding_changed_timestamp_seconds", "When the number of findings or of their connections last changed.", "kind", "severity"),

		healthy: of("healthy", "1 if the capture goes on, 0 if it is stalled; /healthz says why."),
		counters: [numCounters]counterDesc{
			{of("connections_evicted_total", "Open connections dropped to keep within the memory allowed."), nil},
			{of("packets_late_total", "Packets that came too late to be put in order."), nil},
			{blackBox, []string{"saved"}}, {blackBox, []string{"skipped"}}, {blackBox, []string{"failed"}},
			{process, []string{"found"}}, {process, []string{"missed"}},
			{kernel, []string{"confirmed"}}, {kernel, []string{"contradicted"}},
		},
	}
}

// values are in the order of descs.counters.
func (c Counters) values() [numCounters]uint64 {
	return [...]uint64{
		c.Evicted,
		c.LatePackets,
		c.BlackBoxSaved, c.BlackBoxSkipped, c.BlackBoxFailed,
		c.ProcessFound, c.ProcessMissed,
		c.KernelAgreements, c.KernelDisagreements,
	}
}

// Describe implements prometheus.Collector.
func (s *state) Describe(ch chan<- *prometheus.Desc) {
	d := &s.descs
	for _, x := range []*prometheus.Desc{d.packets, d.bytes, d.dropped, d.bad, d.cut, d.last,
		d.open, d.active, d.connections, d.first, d.changed, d.healthy} {
		ch <- x
	}
	for _, c := range d.counters {
		ch <- c.desc
	}
}

// Collect implements prometheus.Collector.
func (s *state) Collect(ch chan<- prometheus.Metric) {
	healthy := 1.0
	if s.health() != nil {
		healthy = 0
	}
	ch <- prometheus.MustNewConstMetric(s.descs.healthy, prometheus.GaugeValue, healthy)
	for _, m := range s.metrics() {
		ch <- m
	}
}

// metrics are gathered before they are sent, because the receiver may be
// slow and the analysis must not wait for it.
func (s *state) metrics() (list []prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	add := func(d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
		list = append(list, prometheus.MustNewConstMetric(d, t, v, labels...))
	}
	d := &s.descs
	for name, x := range s.inputs {
		add(d.packets, prometheus.CounterValue, x.packets.value(), name)
		add(d.bytes, prometheus.CounterValue, x.bytes.value(), name)
		add(d.dropped, prometheus.CounterValue, x.dropped.value(), name)
		add(d.bad, prometheus.CounterValue, x.bad.value(), name)
		add(d.cut, prometheus.CounterValue, x.cut.value(), name)
		if x.last != 0 {
			add(d.last, prometheus.GaugeValue, seconds(time.Unix(0, x.last)), name)
		}
	}
	for state, n := range s.open {
		add(d.open, prometheus.GaugeValue, float64(n), state)
	}
	for key, x := range s.findings {
		labels := []string{key.kind, key.severity.String()}
		add(d.active, prometheus.GaugeValue, float64(x.number), labels...)
		add(d.connections, prometheus.GaugeValue, float64(x.total), labels...)
		add(d.first, prometheus.GaugeValue, seconds(x.first), labels...)
		add(d.changed, prometheus.GaugeValue, seconds(x.changed), labels...)
	}
	for i, c := range d.counters {
		add(c.desc, prometheus.CounterValue, s.counters[i].value(), c.labels...)
	}
	return list
}

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
