package story

import (
	"strconv"
	"strings"
	"time"
)

const (
	horizon    = 10 * 365 * 24 * time.Hour // a story's longest span; pcap's seconds end in 2106
	maxRepeats = 10000
)

// moment is one entry of a line's time.
type moment struct {
	absolute bool // since the story's start, else since the previous line
	d        time.Duration
}

func isTime(tok token) bool {
	return !tok.quoted && tok.text != "" && strings.ContainsRune("+-0123456789", rune(tok.text[0]))
}

// parseTimes reads a time such as 12.5, +0.2 or a series such as +1x4,+2,+4.
func parseTimes(tok token) ([]moment, error) {
	var all []moment
	for part := range strings.SplitSeq(tok.text, ",") {
		times := 1
		if head, count, ok := strings.Cut(part, "x"); ok {
			n, err := strconv.Atoi(count)
			if err != nil || n < 1 || n > maxRepeats || head == "" || head[0] != '+' {
				return nil, badTime(tok)
			}
			part, times = head, n
		}
		m, ok := parseMoment(part)
		if !ok || len(all)+times > maxRepeats {
			return nil, badTime(tok)
		}
		for range times {
			all = append(all, m)
		}
	}
	return all, nil
}

func badTime(tok token) error {
	return tok.fail("write +0.2 (seconds after the previous line), +15ms, 12.5 (seconds after the start), or a series such as +1x4,+2,+4", "%q is not a time", tok.text)
}

func parseMoment(text string) (moment, bool) {
	m := moment{absolute: true}
	if text == "" {
		return m, false
	}
	negative := text[0] == '-'
	if negative || text[0] == '+' {
		m.absolute = false
		text = text[1:]
	}
	if text == "" || text[0] == '+' || text[0] == '-' {
		return m, false
	}
	if strings.Trim(text, ".0123456789") == "" {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil || d > horizon {
		return m, false
	}
	m.d = d
	if negative {
		m.d = -d
	}
	return m, true
}
