package classify_test

import (
	"os"
	"path/filepath"
	"testing"

	"hangup/assembler"
	"hangup/classify"
	"hangup/internal/story"
)

// Nothing is certain of a connection that lived while packets were dropped:
// the one that would tell otherwise may be among them.
func TestDroppedPacketsLeaveNothingCertain(t *testing.T) {
	certain := 0
	for _, file := range storyFiles(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := story.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		a := tellStory(t, s)
		for i := range a.Len() {
			if a.Verdict(i).Confidence != classify.Certain {
				continue
			}
			certain++
			c := a.Conn(i)
			c.Partial |= assembler.Dropped
			if v := classify.Judge(c, a.Env()); v.Confidence == classify.Certain {
				t.Errorf("%s: #%d is certain all the same", filepath.Base(file), c.ID)
			}
		}
	}
	if certain == 0 {
		t.Error("nothing is certain in any story")
	}
}
