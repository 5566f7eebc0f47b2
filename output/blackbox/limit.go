package blackbox

import (
	"hangup/assembler"
	"hangup/classify"
)

// alike is what connections share that need not all be saved.
type alike struct {
	class classify.Class
	cause classify.Cause
	host  [16]byte // of the server; zero for the quota of the cause as a whole
	port  uint16
}

// limiter keeps a storm of like ends from filling the disk: of those with the
// same class, cause and server it admits so many in an interval of packet
// time, and ten times as many of the same class and cause at all servers.
type limiter struct {
	each     int
	interval int64
	quotas   map[alike]*quota
}

type quota struct {
	since   int64
	left    int
	refused uint64 // since one was admitted last
}

const (
	serversPerCause = 10
	maxQuotas       = 1 << 12
)

// admit reports whether a connection is to be saved, and if so how many like
// it were refused before.
func (l *limiter) admit(c *assembler.Conn, v *classify.Verdict) (refused uint64, ok bool) {
	now, server := c.Last.Time, c.End(assembler.Server)
	cause := l.quota(alike{class: v.Class, cause: v.Cause}, now, l.each*serversPerCause)
	if cause.left == 0 {
		cause.refused++
		return 0, false // without a quota of its own, of which a scan would make thousands
	}
	own := l.quota(alike{v.Class, v.Cause, server.Addr, server.Port}, now, l.each)
	if own.left == 0 {
		own.refused++
		return 0, false
	}
	cause.left--
	own.left--
	refused, own.refused = own.refused, 0
	return refused, true
}

// quota is that of a group for the interval that now lies in. Time may jump
// back, as from one capture to an earlier one.
func (l *limiter) quota(k alike, now int64, each int) *quota {
	q := l.quotas[k]
	if q == nil {
		l.sweep(now)
		q = &quota{since: now, left: each}
		l.quotas[k] = q
	} else if l.past(q, now) {
		q.since, q.left = now, each
	}
	return q
}

func (l *limiter) past(q *quota, now int64) bool {
	return now >= q.since+l.interval || now < q.since-l.interval
}

// sweep makes room. What remains is bounded by the quotas of the causes.
func (l *limiter) sweep(now int64) {
	if len(l.quotas) < maxQuotas {
		return
	}
	for k, q := range l.quotas {
		if l.past(q, now) {
			delete(l.quotas, k)
		}
	}
}
