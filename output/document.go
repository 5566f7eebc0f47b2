package output

import (
	"time"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
)

// The types below are the JSON that hangup writes; report.schema.json
// describes every field, and a test holds the two together. Times are RFC
// 3339 in UTC, durations seconds.

type jsonCall struct {
	Error string `json:"error"`
	Text  string `json:"text,omitempty"`
	NMin  uint64 `json:"n_min,omitempty"`
}

type jsonCondition struct {
	When   string     `json:"when"`
	Dial   *jsonCall  `json:"dial,omitempty"`
	Accept *jsonCall  `json:"accept,omitempty"`
	Read   []jsonCall `json:"read,omitempty"`
	Write  []jsonCall `json:"write,omitempty"`
	Once   bool       `json:"once,omitempty"`
}

type jsonGo struct {
	Dial   *jsonCall       `json:"dial,omitempty"`
	Accept *jsonCall       `json:"accept,omitempty"`
	Read   []jsonCall      `json:"read"`
	Write  []jsonCall      `json:"write"`
	Once   bool            `json:"once"`
	Unread uint64          `json:"unread_bytes"`
	Note   string          `json:"note,omitempty"`
	If     []jsonCondition `json:"if,omitempty"`
}

type jsonApp struct {
	Protocol string `json:"protocol"`
	Error    string `json:"error"`
	Text     string `json:"text,omitempty"`
	Note     string `json:"note,omitempty"`
}

type jsonEnd struct {
	Addr        string   `json:"addr"`
	Port        uint16   `json:"port"`
	RoleKnown   bool     `json:"role_known"`
	State       string   `json:"state"`
	Packets     uint32   `json:"packets"`
	Bytes       uint64   `json:"bytes"`
	Retransmits uint32   `json:"retransmits"`
	Reordered   uint32   `json:"reordered"`
	LostBytes   uint64   `json:"lost_bytes"`
	Duplicates  uint32   `json:"duplicates"`
	ZeroWindows uint32   `json:"zero_windows"`
	WinProbes   uint32   `json:"window_probes"`
	KeepAlives  uint32   `json:"keepalives"`
	Resets      uint32   `json:"resets"`
	Go          jsonGo   `json:"go"`
	App         *jsonApp `json:"app,omitempty"`
}

type jsonRef struct {
	File   string `json:"file,omitempty"`
	Packet uint64 `json:"packet"`
	Time   string `json:"time"`
}

type jsonFirstEnd struct {
	Side string `json:"side"`
	Flag string `json:"flag"`
	jsonRef
}

type jsonEvidence struct {
	jsonRef
	Side string `json:"side"`
	What string `json:"what"`
}

type jsonMark struct {
	jsonRef
	Side string `json:"side"`
	What string `json:"what"`
	Text string `json:"text"`
}

type jsonAlternative struct {
	Cause string `json:"cause"`
	Why   string `json:"why"`
}

type jsonConnection struct {
	Type          string            `json:"type"`
	ID            uint64            `json:"id"`
	Client        jsonEnd           `json:"client"`
	Server        jsonEnd           `json:"server"`
	Start         string            `json:"start"`
	End           string            `json:"end"`
	Duration      seconds           `json:"duration"`
	IdleBeforeEnd seconds           `json:"idle_before_end"`
	RTTClient     seconds           `json:"rtt_client,omitempty"`
	RTTServer     seconds           `json:"rtt_server,omitempty"`
	Class         string            `json:"class"`
	Cause         string            `json:"cause"`
	By            string            `json:"by"`
	Confidence    string            `json:"confidence"`
	Alternatives  []jsonAlternative `json:"alternatives"`
	FirstEnd      *jsonFirstEnd     `json:"first_end"`
	Detail        string            `json:"detail,omitempty"`
	History       string            `json:"history"`
	ConnState     string            `json:"zeek_conn_state"`
	Partial       []string          `json:"partial"`
	Encap         string            `json:"encap,omitempty"`
	MPTCP         bool              `json:"mptcp,omitempty"`
	SameAs        uint64            `json:"same_as,omitempty"`
	Evidence      []jsonEvidence    `json:"evidence"`
	Marks         []jsonMark        `json:"marks"`
	Advice        string            `json:"advice,omitempty"`
}

type jsonInput struct {
	Name        string            `json:"name"`
	Format      string            `json:"format"`
	Compression string            `json:"compression,omitempty"`
	Links       []string          `json:"links"`
	Snaplen     uint32            `json:"snaplen"`
	Packets     uint64            `json:"packets"`
	Bytes       uint64            `json:"bytes"`
	Cut         uint64            `json:"cut_packets"`
	Bad         uint64            `json:"bad_packets"`
	BadSamples  []string          `json:"bad_samples,omitempty"`
	Backwards   uint64            `json:"time_backwards"`
	Drops       uint64            `json:"drops"`
	Filtered    uint64            `json:"filtered,omitempty"`
	Unsupported map[string]uint64 `json:"unsupported_links,omitempty"`
	Start       string            `json:"start,omitempty"`
	End         string            `json:"end,omitempty"`
	Comments    []string          `json:"comments,omitempty"`
	Outages     []jsonOutage      `json:"outages,omitempty"`
	Error       string            `json:"error,omitempty"`
}

type jsonOutage struct {
	From string `json:"from"`
	To   string `json:"to,omitempty"`
}

type jsonSummary struct {
	Connections uint64            `json:"connections"`
	Packets     uint64            `json:"packets"`
	TCPPackets  uint64            `json:"tcp_packets"`
	LatePackets uint64            `json:"late_packets,omitempty"`
	Evicted     uint64            `json:"evicted,omitempty"`
	OrphanICMP  uint64            `json:"orphan_icmp,omitempty"`
	Hosts       uint64            `json:"hosts"`
	HostsAbout  bool              `json:"hosts_estimated,omitempty"`
	Start       string            `json:"start,omitempty"`
	End         string            `json:"end,omitempty"`
	Filter      string            `json:"filter,omitempty"`
	Unfiltered  uint64            `json:"connections_unfiltered,omitempty"`
	ByClass     map[string]uint64 `json:"by_class"`
	ByCause     map[string]uint64 `json:"by_cause"`
}

func newInput(in *capture.Input) jsonInput {
	j := jsonInput{
		Name: in.Name, Format: in.Format, Compression: in.Compression, Links: in.Links, Snaplen: in.Snaplen,
		Packets: in.Packets, Bytes: in.Bytes, Cut: in.Cut, Bad: in.Bad, BadSamples: in.BadSamples, Backwards: in.Backwards, Drops: in.Drops, Filtered: in.Filtered,
		Unsupported: in.Unsupported, Comments: in.Comments,
	}
	if j.Links == nil {
		j.Links = []string{}
	}
	if in.First != 0 || in.Last != 0 {
		j.Start, j.End = stampText(in.First), stampText(in.Last)
	}
	for _, o := range in.Outages {
		k := jsonOutage{From: stampText(o.From)}
		if o.To != 0 {
			k.To = stampText(o.To)
		}
		j.Outages = append(j.Outages, k)
	}
	if in.Err != nil {
		j.Error = in.Err.Error()
	}
	return j
}

func newInputs(list []capture.Input) []jsonInput {
	j := make([]jsonInput, len(list))
	for i := range list {
		j[i] = newInput(&list[i])
	}
	return j
}

func newSummary(r *Report) jsonSummary {
	s := r.Conns.Summary()
	j := jsonSummary{
		Connections: s.Connections, Packets: r.Packets, TCPPackets: s.Packets, Hosts: s.Hosts, HostsAbout: s.HostsAbout, Filter: r.Filter,
		LatePackets: r.LatePackets, Evicted: r.Evicted, OrphanICMP: r.OrphanICMP,
		ByClass: make(map[string]uint64), ByCause: make(map[string]uint64),
	}
	if r.Filter != "" {
		j.Unfiltered = r.Whole.Connections
	}
	if s.First != 0 {
		j.Start, j.End = stampText(s.First), stampText(max(s.Last, s.End))
	}
	for class, n := range s.ByClass {
		j.ByClass[classify.Class(class).String()] = n
	}
	for cause, n := range s.ByCause {
		if n > 0 {
			j.ByCause[classify.Cause(cause).String()] = n
		}
	}
	return j
}

// seconds is a duration in ns that JSON shows as a decimal number of
// seconds, exact to the nanosecond.
type seconds int64

func (s seconds) MarshalJSON() ([]byte, error) { return []byte(s.String()), nil }

func stampText(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }

func (f refs) ref(s assembler.Stamp) jsonRef {
	return jsonRef{File: f.file(s.Ref), Packet: s.Ref.Number(), Time: stampText(s.Time)}
}
