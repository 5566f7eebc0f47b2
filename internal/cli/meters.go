package cli

import (
	"fmt"
	"time"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
	"hangup/output/metrics"
)

// meters are the Prometheus metrics of a watch; nothing without --metrics.
type meters struct {
	*metrics.Metrics
	server  *metrics.Server
	waiting waiting
	alive   pulse
}

// stuckAfter is how long the loop may take before /healthz calls it stuck. It
// turns several times a second when there is nothing to do.
const stuckAfter = 30 * time.Second

// open serves what is known of src.
func (m *meters) open(c *command, src *capture.Live) (err error) {
	if c.metrics == "" {
		return nil
	}
	m.Metrics = metrics.New(metrics.Config{Version: version(), Host: c.metricsHosts > 0, MaxHosts: c.metricsHosts})
	m.alive.beat()
	m.Healthy(func() error {
		if d := m.alive.since(); d > stuckAfter {
			return fmt.Errorf("no packets were looked at for %s", d.Round(time.Second))
		}
		return healthy(src.Inputs())
	})
	if m.server, err = m.Serve(c.metrics); err != nil {
		return err
	}
	if !c.quiet {
		at := m.server.Addr()
		where := "http://" + at.String() + "/metrics"
		if at.Network() == "unix" {
			where = "/metrics of unix:" + at.String()
		}
		fmt.Fprintf(c.stderr, "hangup: metrics at %s\n", where)
	}
	if warning := m.server.Warning(); warning != "" {
		c.complain(fmt.Errorf("%s", warning))
	}
	return nil
}

func (m *meters) ended(c *assembler.Conn, v *classify.Verdict) {
	if m.Metrics != nil {
		m.Ended(c, v)
	}
}

// gone hears of a connection that the tracker lets go.
func (m *meters) gone(c *assembler.Conn, now int64) {
	if m.Metrics != nil {
		m.waiting.add(c, now)
	}
}

// latency measures from the latest packet of a batch that was just analysed.
func (m *meters) latency(b *capture.Batch) {
	if n := len(b.Packets); m.Metrics != nil && n > 0 {
		m.Latency(time.Duration(time.Now().UnixNano() - b.Packets[n-1].Time))
	}
	m.alive.beat()
}

func (m *meters) findings(list []classify.Finding) {
	if m.Metrics != nil {
		m.Finding(list)
	}
}

// update takes what is known as totals.
func (m *meters) update(w *watcher) {
	if m.Metrics == nil {
		return
	}
	states := open(w.tracker.States())
	states[assembler.TimeWait.String()] += m.waiting.number(w.now)
	m.Open(states)
	m.Input(w.src.Inputs())
	counters := metrics.Counters{Evicted: w.tracker.Evicted(), LatePackets: w.tracker.LatePackets()}
	w.box.count(&counters)
	w.host.count(&counters)
	m.Set(counters)
}

func (m *meters) close() error {
	if m.server == nil {
		return nil
	}
	return m.server.Close()
}

// open counts sockets by state, of both sides.
func open(states assembler.States) map[string]int {
	m := make(map[string]int)
	for s, n := range states {
		if s := assembler.State(s); s != assembler.Unknown && s != assembler.Closed {
			m[s.String()] = n[assembler.Client] + n[assembler.Server]
		}
	}
	return m
}
