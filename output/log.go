package output

import (
	"fmt"
	"io"
	"strings"
	"time"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
)

// Log prints what happens while an interface is watched: a line for each
// connection that ended, and findings when they arise or change. Every line
// is one Write, so that a file may be rotated and a pipe read at any time.
type Log struct {
	w    io.Writer
	json bool
	*Palette
	inputs []capture.Input
	said   map[findingKey]said
	err    error
}

// Beside is what else is known of a connection that ended.
type Beside struct {
	Process [2]*Process // by side; nil for the ends that are not on this host, or not known
	Kernel  [2]*Kernel  // by side; nil without the kernel's events
	Saved   string      // file that holds its packets, "" if none
	Revised bool        // it was told before, and later packets changed the verdict
}

// Process is a program of this host.
type Process struct {
	PID       int    `json:"pid,omitempty"`  // 0 if several may be meant, or only the rest is known
	PIDs      []int  `json:"pids,omitempty"` // all that hold the socket, if several do
	Command   string `json:"command,omitempty"`
	Args      string `json:"args,omitempty"`
	Container string `json:"container,omitempty"`
	Pod       string `json:"pod,omitempty"`
	Unit      string `json:"unit,omitempty"` // of systemd
	Cgroup    string `json:"cgroup,omitempty"`
	How       string `json:"how"` // "socket", "listener" or "owner": what the answer rests on
}

// Kernel is what this host's kernel said of its end of a connection.
type Kernel struct {
	Errors []string `json:"errors,omitempty"` // errno names reported to the socket, in order
	Resets []string `json:"resets,omitempty"` // "sent: TCP_STATE", "received: ..."
	Agrees string   `json:"agrees"`           // "yes", "no", or "unknown" where nothing can be compared
	Why    string   `json:"why,omitempty"`
}

// NewLog makes a Log in one of the formats text and NDJSON.
func NewLog(w io.Writer, f Format, p *Palette) *Log {
	if p == nil {
		p = NewPalette(false)
	}
	return &Log{w: w, json: f == FormatNDJSON, Palette: p, said: make(map[findingKey]said)}
}

// Inputs tells the log what is being read: with several interfaces, packets
// are named by theirs.
func (l *Log) Inputs(in []capture.Input) { l.inputs = in }

// Err is the first error of the writer. Nothing is written after it.
func (l *Log) Err() error { return l.err }

func (l *Log) write(line string) {
	if l.err == nil {
		_, l.err = io.WriteString(l.w, line)
	}
}

// jsonEnded is a connection as the log has it.
type jsonEnded struct {
	*jsonConnection
	Revised bool         `json:"revised,omitempty"`
	Saved   string       `json:"saved,omitempty"`
	Process *jsonProcess `json:"process,omitempty"`
	Kernel  *jsonKernel  `json:"kernel,omitempty"`
}

type jsonProcess struct {
	Client *Process `json:"client,omitempty"`
	Server *Process `json:"server,omitempty"`
}

type jsonKernel struct {
	Client *Kernel `json:"client,omitempty"`
	Server *Kernel `json:"server,omitempty"`
}

// Ended tells of a connection that ended.
func (l *Log) Ended(r *classify.Result, b *Beside) {
	if !l.json {
		l.write(l.line(r, b))
		return
	}
	j := jsonEnded{jsonConnection: newConnection(r, refs{l.inputs}), Revised: b.Revised, Saved: b.Saved}
	if b.Process != [2]*Process{} {
		j.Process = &jsonProcess{b.Process[assembler.Client], b.Process[assembler.Server]}
	}
	if b.Kernel != [2]*Kernel{} {
		j.Kernel = &jsonKernel{b.Kernel[assembler.Client], b.Kernel[assembler.Server]}
	}
	l.object(j)
}

func (l *Log) object(v any) {
	var line strings.Builder
	e := newEncoder(&line)
	e.value(v)
	e.raw("\n")
	if err := e.close(); err != nil && l.err == nil {
		l.err = err
		return
	}
	l.write(line.String())
}

// More is how many connections ended like others that were told one by one.
type More struct {
	Class    classify.Class
	Cause    classify.Cause
	By       classify.Party
	Server   [16]byte
	Port     uint16
	N        uint64
	From, To int64 // ns
}

type jsonMore struct {
	Type        string `json:"type"`
	Class       string `json:"class"`
	Cause       string `json:"cause"`
	By          string `json:"by"`
	Addr        string `json:"addr"`
	Port        uint16 `json:"port"`
	Connections uint64 `json:"connections"`
	Start       string `json:"start"`
	End         string `json:"end"`
}

// More tells that m.N further connections are left out.
func (l *Log) More(m More) {
	addr := capture.Addr(m.Server)
	if l.json {
		l.object(jsonMore{"more", m.Class.String(), m.Cause.String(), m.By.String(), addr.String(), m.Port, m.N, stampText(m.From), stampText(m.To)})
		return
	}
	l.write(paint(l.faint, logTime(m.To)) + "  " + l.class(m.Class, pad(m.Class.String(), classColumn-1)) +
		paint(l.bold, pad(m.Cause.String(), causeColumn+1)) +
		fmt.Sprintf("and %s more at %s in %s, not listed\n", count(m.N), addrPort(addr, m.Port), plain(span(m.To-m.From))))
}

const byColumn = 12

// line tells of an ended connection in one line, however long: when, how,
// why, by whom, which, and what the programs saw.
func (l *Log) line(r *classify.Result, b *Beside) string {
	c := r.Conn
	by := ""
	if r.By != classify.ByUnknown {
		by = "by " + r.By.String()
	}
	cause := r.Cause.String()
	if r.Confidence == classify.Possible {
		cause += "?"
	}
	s := paint(l.faint, logTime(c.Last.Time)) + "  " + l.class(r.Class, pad(r.Class.String(), classColumn-1)) +
		paint(l.bold, pad(cause, causeColumn+1)) + pad(by, byColumn) +
		fmt.Sprintf("#%d %s%s → %s%s", c.ID, endpoint(c.End(assembler.Client)), process(b, assembler.Client),
			endpoint(c.End(assembler.Server)), process(b, assembler.Server))
	s += paint(l.faint, " · "+plain(span(c.Last.Time-c.First.Time)))
	for side := range assembler.Side(2) {
		if o := &r.Go[side]; !silent(o, nil) {
			if saw := plain(l.goLine(o)); saw != "" {
				s += "  " + side.String() + ": " + saw
			}
		}
		if k := b.Kernel[side]; k != nil && k.Agrees == "no" {
			s += paint(l.yellow, "  kernel disagrees: "+clean(k.Why))
		}
	}
	if b.Revised {
		s += paint(l.faint, "  (revised)")
	}
	if b.Saved != "" {
		s += paint(l.faint, "  saved "+clean(b.Saved))
	}
	return s + "\n"
}

// process names the program at one end.
func process(b *Beside, s assembler.Side) string {
	p := b.Process[s]
	if p == nil {
		return ""
	}
	name := fmt.Sprintf(" (%s[%d]", clean(p.Command), p.PID)
	if p.Container != "" {
		name += " in " + clean(p.Container)
	}
	return name + ")"
}

func logTime(ns int64) string { return time.Unix(0, ns).UTC().Format("2006-01-02 15:04:05.000") }

// findingKey tells whether a finding is the same one as before.
type findingKey struct{ kind, where string }

// said is what was last told of a finding.
type said struct {
	severity classify.Severity
	total    uint64
}

// tellAgain is by what factor a finding must have grown to be told again.
const tellAgain = 4

// jsonNews is a finding as the log has it.
type jsonNews struct {
	*jsonFinding
	News string `json:"news"`
}

// Findings tells of those that are new, or have become more severe or much
// larger than when they were last told, as of now (ns). Info is for the report.
func (l *Log) Findings(now int64, list []classify.Finding) {
	for i := range list {
		f := &list[i]
		k := keyOf(f)
		old, known := l.said[k]
		news := "changed"
		switch {
		case f.Severity == classify.Info:
			continue
		case !known:
			news = "new"
		case f.Severity <= old.severity && f.Total < old.total*tellAgain:
			continue
		}
		if !known && len(l.said) >= maxSaid {
			clear(l.said) // rather told twice than never
		}
		l.said[k] = said{f.Severity, f.Total}
		l.finding(now, f, news)
	}
}

// maxSaid bounds how many findings are remembered as told.
const maxSaid = 4096

// keyOf names a finding by what it is about: the places other than clients,
// which come and go.
func keyOf(f *classify.Finding) findingKey {
	var where []string
	for _, p := range f.Where {
		if p.Role != "client" || len(f.Where) == 1 {
			where = append(where, p.String())
		}
	}
	return findingKey{f.Kind, strings.Join(where, " ")}
}

func (l *Log) finding(now int64, f *classify.Finding, news string) {
	if l.json {
		l.object(jsonNews{newFinding(f, refs{l.inputs}), news})
		return
	}
	again := ""
	if news != "new" {
		again = paint(l.faint, " (again)")
	}
	l.write(paint(l.faint, logTime(now)) + "  " + paint(l.bold, pad("finding", classColumn-1)) +
		l.severity(f.Severity) + "  " + plain(f.Title) + " " + paint(l.faint, "["+f.Kind+"]") + again + "\n")
}
