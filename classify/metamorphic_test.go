package classify_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
)

// retold is a capture told in another way.
type retold struct {
	files   [][]byte
	workers int
}

// TestSameStoryToldOtherwise holds that what is said of a capture's
// connections does not hang on how it is told: by which names, at what time,
// with which sequence numbers, in which files, on which links, how often, and
// what else goes on. A capture of one direction only may be less sure, but is
// certain of nothing else.
func TestSameStoryToldOtherwise(t *testing.T) {
	for _, file := range damageable(t) {
		t.Run(filepath.Base(filepath.Dir(file))+"/"+filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			frames := framesOf(t, file)
			if len(frames) == 0 || len(frames) > 3000 || slices.ContainsFunc(frames, func(f frame) bool { return ipAt(f) < 0 }) {
				t.Skip("too long, or packets other than IP on a plain link")
			}
			want := said(t, retold{files: pcaps(t, frames)})
			for what, other := range otherwise(t, filepath.Base(file), frames) {
				got := said(t, other)
				if !slices.Equal(want, got) {
					t.Errorf("%s:\n%s\nis told as it is:\n%s", what, lacking(want, got), lacking(got, want))
				}
			}
			whole := sole(recorded(t, frames))
			for _, half := range directions(frames) {
				for key, got := range sole(recorded(t, half)) {
					if want, ok := whole[key]; ok && got.Confidence == classify.Certain && !sameEnd(want, got) {
						t.Errorf("one direction: certain of %v, %v by %v; both: %v, %v by %v, %v",
							got.Class, got.Cause, got.By, want.Class, want.Cause, want.By, want.Confidence)
					}
				}
			}
		})
	}
}

func otherwise(t *testing.T, name string, frames []frame) map[string]retold {
	each := func(change func(frame) frame) retold {
		list := slices.Clone(frames)
		for i, f := range list {
			f.data = bytes.Clone(f.data)
			list[i] = change(f)
		}
		return retold{files: pcaps(t, list)}
	}
	later := func(d int64) retold { return each(func(f frame) frame { f.time += d; return f }) }
	all := map[string]retold{
		"400 days later":           later(400 * 86400 * 1e9),
		"a part of a second later": later(123_456_789),
		"as pcapng":                {files: [][]byte{pcapng(t, frames)}},
		"with 3 workers":           {files: pcaps(t, frames), workers: 3},
	}
	tunnel := slices.ContainsFunc([]string{"vxlan", "tunnel", "gre-"}, func(s string) bool { return strings.Contains(name, s) })
	if !tunnel { // whose inner packets are not looked for here
		all["under other names"] = each(func(f frame) frame { rename(f.data[ipAt(f):]); return f })
		shift := wrapping(frames)
		all["by sequence numbers that wrap"] = each(func(f frame) frame { renumber(f.data[ipAt(f):], shift); return f })
	}
	if slices.IsSortedFunc(frames, func(a, b frame) int { return cmp.Compare(a.time, b.time) }) {
		n := len(frames)
		all["in files out of order"] = retold{files: pcaps(t, frames[2*n/3:], frames[:n/3], frames[n/3:2*n/3])}
		all["among others"] = retold{files: pcaps(t, frames, strangers(frames))}
	}
	if frames[0].link == 1 {
		all["with VLAN tags"] = each(tagged)
		all["on a cooked link"] = each(cooked)
		// What is told of two places already is told of three no better.
		if !slices.ContainsFunc([]string{"vlan", "duplicated", "mirrored", "two-places", "arkime__tcpseq"}, func(s string) bool { return strings.Contains(name, s) }) {
			twice := make([]frame, 0, 2*len(frames))
			for _, f := range frames {
				again := tagged(f)
				again.time += 1000
				twice = append(twice, f, again)
			}
			all["mirrored with VLAN tags"] = retold{files: pcaps(t, twice)}
		}
	}
	return all
}

// said is everything said of a capture, without names and packet numbers.
func said(t *testing.T, r retold) (lines []string) {
	t.Helper()
	names, cfg := []string{"-"}, capture.OpenConfig{Stdin: bytes.NewReader(r.files[0])}
	if len(r.files) > 1 {
		names = nil
		for i, data := range r.files {
			names = append(names, filepath.Join(t.TempDir(), fmt.Sprint(i)))
			if err := os.WriteFile(names[i], data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	src, err := capture.Open(names, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	a := new(classify.Analysis)
	tr := assembler.NewParallel(assembler.Config{Done: a.Add}, max(r.workers, 1))
	for err == nil {
		err = src.Next(tr.Fresh())
		tr.Batch()
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	tr.Finish()
	var end int64
	for _, in := range src.Inputs() {
		end = max(end, in.Last)
	}
	a.Finish(classify.Env{End: end})
	for i := range a.Len() {
		c := a.Result(i)
		if strange := c.Conn.Ends[0].Addr; strange[12] == 198 && strange[13] == 18 {
			continue
		}
		line := fmt.Sprintf("%v, %v by %v, %v, first %v %v, or", c.Class, c.Cause, c.By, c.Confidence, c.FirstEnd.Side, c.FirstEnd.Flag)
		for _, alt := range c.Alt[:c.NAlt] {
			line += fmt.Sprintf(" %v (%d)", alt.Cause, alt.Why)
		}
		line += fmt.Sprintf("; client %s; server %s; twin %v, lost %v", spellOutcome(c.Go[0]), spellOutcome(c.Go[1]), c.SameAs != 0, c.LostTo != 0)
		for _, end := range c.Conn.Ends {
			line += fmt.Sprintf("; %d bytes", end.Bytes)
		}
		lines = append(lines, line)
	}
	for _, f := range a.Findings(src.Inputs()...) {
		if f.Kind != classify.KindUntrusted { // what is said of the capture itself
			lines = append(lines, fmt.Sprintf("%s, %v, %v, of %d", f.Kind, f.Severity, f.Confidence, f.Total))
		}
	}
	slices.Sort(lines)
	return lines
}

// lacking are the lines of got that are not in want.
func lacking(want, got []string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(got), func(s string) bool { return slices.Contains(want, s) }), "\n")
}

// pcaps are files, big-endian and in nanoseconds.
func pcaps(t *testing.T, parts ...[]frame) (files [][]byte) {
	for _, frames := range parts {
		if len(frames) == 0 {
			continue
		}
		b := binary.BigEndian.AppendUint32(nil, 0xa1b23c4d)
		b = append(b, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0)
		b = binary.BigEndian.AppendUint16(b, frames[0].link)
		for _, f := range frames {
			for _, v := range []int64{f.time / 1e9, f.time % 1e9, int64(len(f.data)), int64(f.wire)} {
				b = binary.BigEndian.AppendUint32(b, uint32(v))
			}
			b = append(b, f.data...)
		}
		files = append(files, b)
	}
	return files
}

func pcapng(t *testing.T, frames []frame) []byte {
	var b bytes.Buffer
	w, err := capture.NewPcapngWriter(&b, capture.PcapngSection{}, func(uint16) capture.PcapngInterface { return capture.PcapngInterface{} })
	for _, f := range frames {
		if err == nil {
			err = w.Write(&capture.Frame{Time: f.time, Link: f.link, WireLen: uint32(f.wire), Data: f.data})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
