package cli

import (
	"hangup/assembler"
)

// waiting counts the ends in TIME_WAIT of connections that the tracker has
// let go: where many end, it keeps them for a few seconds only, while Linux
// keeps their ports for a minute. What counts are seconds of packet time.
type waiting struct {
	ends   [timeWaitSeconds]int // by second, round and round
	second int64                // the latest that was counted
}

// timeWaitSeconds is TCP_TIMEWAIT_LEN (include/net/tcp.h).
const timeWaitSeconds = 60

// add counts the ends of a connection that is let go, as of now (ns).
func (w *waiting) add(c *assembler.Conn, now int64) {
	w.pass(now)
	at := c.Last.Time / 1e9
	if at <= w.second-timeWaitSeconds || at > w.second {
		return
	}
	for side := range c.Ends {
		if c.Ends[side].State == assembler.TimeWait {
			w.ends[at%timeWaitSeconds]++
		}
	}
}

// pass forgets what is over by now (ns).
func (w *waiting) pass(now int64) {
	now /= 1e9
	for s := max(w.second+1, now-timeWaitSeconds+1); s <= now; s++ {
		w.ends[s%timeWaitSeconds] = 0
	}
	w.second = max(w.second, now)
}

// number is how many are waiting now (ns).
func (w *waiting) number(now int64) (n int) {
	w.pass(now)
	for _, k := range w.ends {
		n += k
	}
	return n
}
