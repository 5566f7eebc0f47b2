package classify_test

import (
	"bytes"
	"testing"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
	"hangup/internal/generate"
)

// TestFindingsAddPlain: a plain connection counts for as much as its Conn.
func TestFindingsAddPlain(t *testing.T) {
	var pcap bytes.Buffer
	if _, _, err := generate.WriteSown(&pcap, generate.SownMix{Connections: 4000, Seed: 2}); err != nil {
		t.Fatal(err)
	}
	inputs := map[string][]byte{"sown": pcap.Bytes()}
	for _, m := range generate.Mixes {
		inputs[m.Name], _ = small(t, m, 0.002)
	}
	for name, pcap := range inputs {
		env := follows(t, name, pcap).env
		for _, os := range []classify.System{classify.AnySystem, classify.Windows} {
			env.OS = os
			whole, plain, n := classify.NewFindings(env), classify.NewFindings(env), 0
			drive(pcap, assembler.Config{
				Done: func(c *assembler.Conn) {
					v := classify.Judge(c, env)
					whole.Add(c, &v)
					plain.Add(c, &v)
				},
				Plain: func(list []assembler.Plain) {
					for i := range list {
						own := *list[i].Conn()
						v := classify.Judge(&own, env)
						plain.AddPlain(&list[i], &v)
						whole.Add(&own, &v)
						n++
					}
				},
			}, func(classify.Env, []capture.Input) {})
			if n == 0 && name != "syn" {
				t.Errorf("%s: nothing is plain", name)
			}
			if d := differ(whole.Finish(), plain.Finish(), 0); d != "" {
				t.Errorf("%s: %s", name, d)
			}
			if whole, plain := classify.Inside(whole), classify.Inside(plain); whole != plain {
				t.Errorf("%s: %s, want %s", name, plain, whole)
			}
		}
	}
}
