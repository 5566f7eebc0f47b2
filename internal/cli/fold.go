package cli

import (
	"hangup/assembler"
	"hangup/classify"
	"hangup/output"
)

// A storm of connections that end alike (a scan, a flood, a server that is
// down) would bury what else happens: of those with the same cause at the
// same server foldLines are told one by one in foldSpan (ns), and then how
// many more there were. The report, the metrics and --all leave none out.
const (
	foldLines = 50
	foldSpan  = int64(10e9)
	foldKinds = 1 << 12 // told apart at once
)

// fold counts what is told.
type fold struct {
	kinds map[foldKind]*folded
	tell  func(m output.More)
}

type foldKind struct {
	class  classify.Class
	cause  classify.Cause
	by     classify.Party
	server [16]byte
	port   uint16
}

type folded struct {
	from int64 // ns
	n    uint64
}

// admits reports whether a connection is to be told by itself, as of now (ns).
func (f *fold) admits(now int64, c *assembler.Conn, v *classify.Verdict) bool {
	s := c.End(assembler.Server)
	k := foldKind{v.Class, v.Cause, v.By, s.Addr, s.Port}
	x := f.kinds[k]
	if x == nil {
		if len(f.kinds) >= foldKinds {
			f.flush(now, true)
		}
		x = &folded{from: now}
		f.kinds[k] = x
	}
	x.n++
	return x.n <= foldLines
}

// flush tells of what was folded, if its time is over or all is to be told.
func (f *fold) flush(now int64, all bool) {
	for k, x := range f.kinds {
		if !all && now-x.from < foldSpan {
			continue
		}
		if x.n > foldLines {
			f.tell(output.More{
				Class: k.class, Cause: k.cause, By: k.by, Server: k.server, Port: k.port,
				N: x.n - foldLines, From: x.from, To: now,
			})
		}
		delete(f.kinds, k)
	}
}
