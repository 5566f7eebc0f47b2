package blackbox

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
	"hangup/internal/generate"
)

// boxed is a Saver in a run such as a live one: connections are saved when
// they are over, and forgotten.
type boxed struct {
	*testing.T
	*Saver
	now   int64
	bad   int
	files []boxedFile
	gone  map[string]int // verdicts of those with no packet left
}

type boxedFile struct {
	path    string
	verdict classify.Verdict
}

// ended saves every fourth connection that ended badly.
func (b *boxed) ended(c *assembler.Conn) {
	env := classify.Env{End: b.now}
	v := classify.Judge(c, env)
	if v.Severity() == 0 {
		return
	}
	if b.bad++; b.bad%4 > 0 {
		return
	}
	path, err := b.Save(c, &v, env)
	switch {
	case errors.Is(err, ErrGone):
		if c.Ends[0].Packets+c.Ends[1].Packets > 1 {
			b.gone[spell(&v)]++
		}
	case err != nil:
		b.Fatal(err)
	default:
		b.files = append(b.files, boxedFile{path, v})
	}
}

func (b *boxed) run(file io.Reader) {
	src, err := capture.Open([]string{"-"}, capture.OpenConfig{Stdin: file, Tap: b.Record})
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	track := assembler.New(assembler.Config{
		Expire: true, OverAfter: second, Over: func(c *assembler.Conn) { b.ended(c); b.Forget(c) },
		Done: func(c *assembler.Conn) {
			if !c.Told {
				b.ended(c)
			}
			b.Forget(c)
		},
	})
	var batch capture.Batch
	for {
		if err := src.Next(&batch); err == io.EOF {
			break
		} else if err != nil {
			b.Fatal(err)
		}
		b.now = batch.Packets[len(batch.Packets)-1].Time
		track.Batch(&batch)
	}
	track.Finish()
	if err := b.Close(); err != nil {
		b.Fatal(err)
	}
}

// TestLoadThroughASmallRing: of a capture twenty times as large as the ring,
// with thousands of connections open at once that end in every way, many
// after minutes of silence, nearly all prove their verdicts by what is saved.
// Only lone SYNs may be gone.
func TestLoadThroughASmallRing(t *testing.T) {
	var file bytes.Buffer
	mix := generate.Mix{Connections: 8000, Concurrent: 1000, Exchanges: 10, Request: 200, Response: 4000, Snaplen: 256, Think: 1, Seed: 1}
	for e := range generate.KeepAlive + 1 {
		mix.Endings = append(mix.Endings, generate.Share{Ending: e, Weight: 1})
	}
	if _, err := generate.Write(&file, io.Discard, mix); err != nil {
		t.Fatal(err)
	}
	const ring = 4 << 20
	if file.Len() < 15*ring {
		t.Fatalf("a capture of %d bytes", file.Len())
	}
	s, err := New(Config{Dir: t.TempDir(), Wait: true, Each: 1 << 20, MaxFiles: 1 << 20, RingBytes: ring})
	if err != nil {
		t.Fatal(err)
	}
	b := &boxed{T: t, Saver: s, gone: map[string]int{}}
	b.run(&file)
	same := 0
	for _, f := range b.files {
		again := tell(t, mustRead(t, f.path), nil)
		v := classify.Judge(&again.conns[0], classify.Env{End: b.now})
		if v.Class == f.verdict.Class && v.Cause == f.verdict.Cause && v.By == f.verdict.By {
			same++
		}
	}
	gone := 0
	for _, n := range b.gone {
		gone += n
	}
	t.Logf("%d ended badly; of %d saved, %d have the same verdict in their files; %d had no packet left", b.bad, len(b.files), same, gone)
	if len(b.files) < 500 || same < len(b.files)*95/100 || gone > len(b.files)/50 {
		t.Errorf("%d files, %d the same, no packets of %v", len(b.files), same, b.gone)
	}
}
