package assembler_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"hangup/assembler"
)

// zeekEntry is one line of a conn.log; what the log lacks is nil.
type zeekEntry struct {
	OrigH       *string  `json:"orig_h"`
	OrigP       int      `json:"orig_p"`
	RespH       string   `json:"resp_h"`
	RespP       int      `json:"resp_p"`
	Proto       *string  `json:"proto"`
	ConnState   *string  `json:"conn_state"`
	History     *string  `json:"history"`
	OrigBytes   *int     `json:"orig_bytes"`
	RespBytes   *int     `json:"resp_bytes"`
	MissedBytes *int     `json:"missed_bytes"`
	OrigPkts    *int     `json:"orig_pkts"`
	RespPkts    *int     `json:"resp_pkts"`
	Duration    *float64 `json:"duration"`

	orig, resp netip.AddrPort
}

// zeek compares history, conn_state and sizes with the primary run's
// conn.log.
func (k *corpusCheck) zeek() {
	k.Helper()
	var oracle struct {
		Primary int `json:"primary_run"`
		Runs    []struct {
			Flags       []string
			Connections []zeekEntry
		}
	}
	if !k.load("zeek", &oracle) {
		return
	}
	var entries []*zeekEntry
	for i := range oracle.Runs[oracle.Primary].Connections {
		e := &oracle.Runs[oracle.Primary].Connections[i]
		if e.Proto != nil && *e.Proto != "tcp" || e.History == nil {
			continue
		}
		if e.OrigH != nil {
			e.orig, e.resp = k.corpusEnd(*e.OrigH, e.OrigP), k.corpusEnd(e.RespH, e.RespP)
		}
		entries = append(entries, e)
	}
	if !slices.Contains(oracle.Runs[oracle.Primary].Flags, "-C") {
		entries = withoutChecksumErrors(entries)
	}
	for len(entries) > 0 {
		var same []*zeekEntry
		same, entries = sameTuple(entries)
		k.zeekTuple(same)
	}
	k.stream = -1
}

// withoutChecksumErrors drops the entries of every tuple in which Zeek threw
// packets away.
func withoutChecksumErrors(entries []*zeekEntry) []*zeekEntry {
	var kept []*zeekEntry
	for len(entries) > 0 {
		var same []*zeekEntry
		same, entries = sameTuple(entries)
		if !slices.ContainsFunc(same, func(e *zeekEntry) bool { return strings.ContainsAny(*e.History, "cC") }) {
			kept = append(kept, same...)
		}
	}
	return kept
}

// sameTuple splits off the entries between the same ends as the first one.
func sameTuple(entries []*zeekEntry) (same, others []*zeekEntry) {
	first := entries[0]
	for _, e := range entries {
		if e.orig == first.orig && e.resp == first.resp || e.orig == first.resp && e.resp == first.orig {
			same = append(same, e)
		} else {
			others = append(others, e)
		}
	}
	return same, others
}

// zeekTuple pairs our connections of one tuple with Zeek's entries: the log
// does not tell their order, so those that agree go first.
func (k *corpusCheck) zeekTuple(entries []*zeekEntry) {
	k.Helper()
	conns := k.zeekConns(entries[0])
	if len(conns) == 0 {
		k.stream = -1
		k.equal("zeek entry without a connection", *entries[0].History, "")
		return
	}
	var left []*assembler.Conn
	for _, c := range conns {
		i := slices.IndexFunc(entries, func(e *zeekEntry) bool {
			return *e.History == c.History() && (e.ConnState == nil || *e.ConnState == c.ConnState())
		})
		if i < 0 {
			left = append(left, c)
			continue
		}
		k.zeekEntry(c, entries[i])
		entries = slices.Delete(slices.Clone(entries), i, i+1)
	}
	for i, e := range entries {
		if i >= len(left) {
			k.equal("zeek entry without a connection", *e.History, "")
			continue
		}
		k.zeekEntry(left[i], e)
	}
	for _, c := range left[min(len(left), len(entries)):] {
		k.equal("zeek connection without an entry", c.History(), "")
	}
}

// zeekConns are our connections between an entry's ends, all if it does not
// name them.
func (k *corpusCheck) zeekConns(e *zeekEntry) []*assembler.Conn {
	if e.OrigH == nil {
		k.stream = 0
		return k.run.conns
	}
	var conns []*assembler.Conn
	for _, c := range k.run.conns {
		if _, ok := between(c, e.orig, e.resp); ok {
			conns = append(conns, c)
			if s := k.streamOf(c); s != nil {
				k.stream = s.Stream
			}
		}
	}
	return conns
}

func (k *corpusCheck) zeekEntry(c *assembler.Conn, e *zeekEntry) {
	k.Helper()
	k.equal("zeek history", c.History(), *e.History)
	if e.ConnState != nil {
		k.equal("zeek conn_state", c.ConnState(), *e.ConnState)
	}
	o, r := c.End(c.Originator()), c.End(c.Originator().Peer())
	if e.OrigH != nil {
		k.equal("zeek originator", o.AddrPort(), e.orig)
	}
	if e.OrigPkts != nil && e.RespPkts != nil {
		k.equal("zeek packets", fmt.Sprint(o.Packets+o.Duplicates, r.Packets+r.Duplicates), fmt.Sprint(*e.OrigPkts, *e.RespPkts))
	}
	if e.OrigBytes != nil && e.RespBytes != nil {
		k.equal("zeek bytes", fmt.Sprint(o.Bytes+o.Lost, r.Bytes+r.Lost), fmt.Sprint(*e.OrigBytes, *e.RespBytes))
	}
	if s := k.streamOf(c); e.MissedBytes != nil && s != nil && s.Truncated == 0 {
		k.equal("zeek missed_bytes", o.Lost+r.Lost, *e.MissedBytes)
	}
}
