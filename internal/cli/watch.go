package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
	"hangup/output"
)

// watcher is one run on interfaces.
type watcher struct {
	*command
	src      *capture.Live
	tracker  *assembler.Tracker
	analysis *classify.Analysis
	log      *output.Log
	out      *sheet
	signals  <-chan os.Signal
	box      box
	host     localHost
	meters   meters
	drops    drops
	without  without

	packets uint64
	now     int64 // ns: latest time known
	told    map[uint64]telling
	saved   map[uint64]string // their files of the black box, of those that have one
	spare   assembler.Conn
	fold    fold
	closing bool // what comes now was open when the watch ended

	started  time.Time
	findings schedule
	second   schedule
}

// telling is what was told of a connection that may still change its mind.
type telling struct {
	class classify.Class
	cause classify.Cause
	by    classify.Party
}

func tellingOf(v *classify.Verdict) telling { return telling{v.Class, v.Cause, v.By} }

// tellAfter is how long (ns) a connection has to be over before it is told:
// repeated FINs and RSTs that follow a close by a round trip still count.
const tellAfter = 1e9

// Findings are looked for this often, or as seldom as keeps them below one
// percent of a CPU.
const (
	findingsEvery = 10 * time.Second
	findingsShare = 100
)

// watch follows interfaces until it is told to stop, and reports. It reports
// whether --fail-on was hit.
func (c *command) watch() (alarm bool, err error) {
	w := &watcher{command: c, told: make(map[uint64]telling), saved: make(map[uint64]string), without: make(without), started: time.Now()}
	w.findings.every, w.second.every = findingsEvery, time.Second
	if err := w.open(); err != nil {
		return false, errors.Join(err, w.close())
	}
	stop := w.listen()
	defer stop()
	err = w.follow()
	alarm, err = w.finish(err)
	return alarm, errors.Join(err, w.close())
}

// open makes ready everything that needs privileges, and then gives them up.
func (w *watcher) open() (err error) {
	w.ifaces = named(w.ifaces)
	if w.out, err = w.sheet(); err != nil {
		return err
	}
	w.log = output.NewLog(w.out, w.show, w.style().Palette)
	w.fold = fold{kinds: make(map[foldKind]*folded), tell: w.log.More}
	if err := w.box.open(w.command, func() places { return w.src }, true); err != nil {
		return err
	}
	cfg := capture.LiveConfig{
		Interfaces: w.ifaces, Snaplen: w.snaplen, Buffer: w.buffer << 10, Promiscuous: !w.quietly,
		Filter: w.parsed, Code: w.program, Tap: w.box.tap(w.count),
	}
	if w.src, err = capture.OpenLive(cfg); err != nil {
		return err
	}
	w.log.Inputs(w.src.Inputs())
	if err := w.host.open(w.command); err != nil {
		return err
	}
	if err := w.meters.open(w.command, w.src); err != nil {
		return err
	}
	w.analysis = &classify.Analysis{Live: true, OS: w.system, Whole: -1, Each: w.settled, NoFindings: w.plain && !w.alarm.NeedsFindings()}
	w.tracker = assembler.New(assembler.Config{
		Done: w.done, Lone: w.lone, Over: w.over, OverAfter: tellAfter, Expire: true,
		MaxConns: w.conns(liveConns), MaxMemory: w.memory(liveMemory),
	})
	w.analysis.Open = func(visit func(*assembler.Conn)) {
		w.tracker.Each(func(c *assembler.Conn) {
			w.drops.mark(c, w.now)
			visit(c)
		})
	}
	w.drops.any = slices.Contains(w.ifaces, capture.AnyInterface)
	if err := capture.DropPrivileges(w.capabilities()...); err != nil && !w.quiet {
		w.complain(err)
	}
	if !w.quiet {
		fmt.Fprintf(w.stderr, "hangup: watching %s; Ctrl-C ends with the report\n", strings.Join(w.ifaces, ", "))
	}
	return nil
}

// follow feeds the tracker until the source ends or it is time to stop.
func (w *watcher) follow() error {
	var b capture.Batch
	for {
		select {
		case s := <-w.signals:
			if err := w.signalled(s); err != nil {
				return err
			}
		default:
		}
		err := w.src.Next(&b)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		w.batch(&b)
		if w.count > 0 && w.packets >= w.count || w.duration > 0 && time.Since(w.started) >= w.duration {
			w.src.Stop()
		}
		if err := w.log.Err(); err != nil {
			return fmt.Errorf("the report cannot be written: %w", err)
		}
	}
}

func (w *watcher) batch(b *capture.Batch) {
	if left := w.count - w.packets; w.count > 0 && uint64(len(b.Packets)) > left {
		b.Packets = b.Packets[:left]
	}
	w.packets += uint64(len(b.Packets))
	w.now = max(w.now, b.Now)
	for i := range b.Packets {
		w.now = max(w.now, b.Packets[i].Time)
	}
	w.host.see(b)
	w.analysis.Clock(w.now)
	w.tracker.Batch(b)
	w.meters.latency(b)
	if at := time.Now(); w.second.due(at) {
		w.everySecond(at)
	}
}

func (w *watcher) everySecond(at time.Time) {
	w.fold.flush(w.now, false)
	w.drops.events = w.src.DropEvents()
	if err := w.box.flush(); err != nil {
		w.complain(err)
	}
	for _, err := range w.without.news(w.src.Inputs()) {
		w.complain(err)
	}
	w.meters.update(w)
	if w.plain || !w.findings.due(at) {
		return
	}
	list := w.interim().Findings(w.src.Inputs()...)
	w.findings.took(time.Since(at))
	w.log.Findings(w.now, list)
	w.meters.findings(list)
}

// interim is the analysis as it would be if the watch ended now.
func (w *watcher) interim() *classify.Analysis {
	return w.analysis.Interim(w.now)
}

func (w *watcher) env() classify.Env {
	return classify.Env{End: w.now, EncapName: w.src.Encap, OS: w.system}
}

// over hears of a connection that has been over for a moment.
func (w *watcher) over(c *assembler.Conn) {
	w.drops.mark(c, w.now)
	v := w.analysis.Preview(c)
	w.told[c.ID] = tellingOf(&v)
	w.tell(c, &v, false)
}

// done hears of a connection for the last time.
func (w *watcher) done(c *assembler.Conn) {
	w.drops.mark(c, w.now)
	w.meters.gone(c, w.now)
	w.analysis.Add(c)
	w.box.forget(c)
}

// lone hears of a connection of which there was one SYN.
func (w *watcher) lone(l *assembler.Lone) {
	if len(w.drops.events) == 0 {
		w.analysis.AddLone(l)
		return
	}
	l.Expand(&w.spare)
	w.done(&w.spare)
}

// settled hears what became of a connection in the end.
func (w *watcher) settled(c *assembler.Conn, v *classify.Verdict) {
	before, known := w.told[c.ID]
	delete(w.told, c.ID)
	defer delete(w.saved, c.ID)
	if known && before == tellingOf(v) || w.closing && w.show == output.FormatText {
		return // the report tells of what was open
	}
	w.tell(c, v, known)
}

// tell prints a connection, keeps its packets, and counts it.
func (w *watcher) tell(c *assembler.Conn, v *classify.Verdict, again bool) {
	if !again {
		w.meters.ended(c, v)
	}
	bad := v.Severity() > 0
	if !w.filter.Keeps(c, v) || !bad && !w.all {
		return
	}
	env := w.env()
	beside := output.Beside{Revised: again}
	if bad && !w.closing {
		beside.Saved = w.box.save(c, v, env, w.saved[c.ID])
		if beside.Saved != "" && !again {
			w.saved[c.ID] = beside.Saved
		}
	}
	if w.quiet || !w.all && !w.fold.admits(w.now, c, v) {
		return
	}
	r := classify.Explain(c, *v, env)
	w.host.beside(&r, env, &beside)
	w.log.Ended(&r, &beside)
}

// finish ends the analysis and prints the whole report.
func (w *watcher) finish(trouble error) (alarm bool, err error) {
	w.closing = true
	w.drops.events = w.src.DropEvents()
	env := w.env()
	w.analysis.Ends(env)
	w.tracker.Finish()
	w.analysis.Finish(env)
	w.fold.flush(w.now, true)
	r := w.report(w.analysis)
	err = w.print(r)
	for i := range r.Inputs {
		trouble = errors.Join(trouble, r.Inputs[i].Err)
	}
	return w.alarm.Rings(r), errors.Join(trouble, err)
}

// report is what there is to say of an analysis that has ended, or might have.
func (w *watcher) report(a *classify.Analysis) *output.Report {
	r := &output.Report{
		Inputs: w.src.Inputs(), Packets: w.packets, Conns: a, Env: w.env(), OrphanICMP: w.tracker.OrphanICMP(),
		LatePackets: w.tracker.LatePackets(), Evicted: w.tracker.Evicted(),
	}
	if !w.plain || w.alarm.NeedsFindings() {
		r.Findings = a.Findings(r.Inputs...)
	}
	return r
}

// close ends what open began.
func (w *watcher) close() error {
	var inputs []capture.Input
	var errs []error
	if w.src != nil {
		inputs = w.src.Inputs()
		errs = append(errs, w.src.Close())
	}
	errs = append(errs, w.box.close(inputs))
	if w.tracker != nil {
		w.box.tellSaved(w.command)
		w.host.tellKernel(w.command)
	}
	return errors.Join(append(errs, w.host.close(), w.meters.close(), w.out.Close())...)
}

// print ends the log, or interrupts it, with a report.
func (w *watcher) print(r *output.Report) error {
	if w.show == output.FormatNDJSON {
		return output.Tail(w.out, r)
	}
	fmt.Fprintln(w.out)
	style := w.style()
	style.All = false // they were listed as they ended
	return output.Text(w.out, r, style)
}

// schedule says when something that is done now and then is due.
type schedule struct {
	every time.Duration
	next  time.Time
}

func (s *schedule) due(at time.Time) bool {
	if at.Before(s.next) {
		return false
	}
	s.next = at.Add(s.every)
	return true
}

// took makes what was costly wait longer.
func (s *schedule) took(d time.Duration) {
	s.next = s.next.Add(max(0, d*findingsShare-s.every))
}
