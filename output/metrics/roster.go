package metrics

const (
	// firstEphemeral is where Linux begins to give out local ports by itself
	// (net.ipv4.ip_local_port_range); IANA's dynamic ports begin above it.
	// One FTP transfer there is no service; eight connections may be.
	firstEphemeral = 32768

	// rareWeight is how many connections earn a label where one says little.
	rareWeight = 8

	// maxCandidates bounds who is remembered while it has no label. A scan
	// fills it and makes it start over; whoever is dialled again and again
	// gathers its weight in between.
	maxCandidates = 4096
)

type answer uint8

const (
	given     answer = iota // it has a label of its own
	unearned                // too little was seen of it
	exhausted               // it earned one, and none is left
)

// roster gives out a bounded number of labels, for good.
type roster[K comparable] struct {
	max       int // labels at all
	maxFailed int // labels for those not proven to serve
	failed    int
	named     map[K]struct{}
	seen      map[K]uint8 // connections of those without a label
}

func newRoster[K comparable](limit, standard int) roster[K] {
	if limit == 0 {
		limit = standard
	}
	limit = max(limit, 0)
	return roster[K]{max: limit, maxFailed: limit / 2, named: make(map[K]struct{}), seen: make(map[K]uint8)}
}

// ask reports whether k has a label, after one more connection to it. proven:
// a server completed the handshake there. weight is how many such connections
// earn the label, at least 1.
func (r *roster[K]) ask(k K, proven bool, weight uint8) answer {
	if _, ok := r.named[k]; ok {
		return given
	}
	if n := r.seen[k] + 1; n < weight {
		if len(r.seen) >= maxCandidates {
			clear(r.seen)
		}
		r.seen[k] = n
		return unearned
	}
	if len(r.named) >= r.max || !proven && r.failed >= r.maxFailed {
		return exhausted
	}
	if !proven {
		r.failed++
	}
	delete(r.seen, k)
	r.named[k] = struct{}{}
	return given
}
