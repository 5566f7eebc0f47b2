package capture

// merge fills b from all open inputs by time, opening more as their turn
// comes. It returns early when the last one left can be read directly.
func (s *files) merge(b *Batch) {
	// A filter may let none of very many pass.
	for n := 0; n < maxBatch && len(b.Packets) < s.batch && len(b.Data) < maxChunk && len(s.active) > 0; n++ {
		r := s.active[0]
		if r.drained() {
			return
		}
		rec := &r.recs[r.next]
		if rec.time > s.limit() {
			s.join()
			continue
		}
		if s.passes(r, rec, r.win) {
			frame := r.win[rec.off : rec.off+rec.capLen]
			rec.off = uint32(len(b.Data))
			b.Data = append(b.Data, frame...)
			r.note(r.recs[r.next : r.next+1])
			s.deliver(b, r, rec)
		}
		r.next++
		s.settle()
	}
}

// join opens the next input and puts it into the heap.
func (s *files) join() {
	if !s.openNext() {
		return
	}
	last := len(s.active) - 1
	if r := s.active[last]; r.drained() {
		if r.reload(); r.drained() {
			r.finish()
			s.active = s.active[:last]
			return
		}
	}
	for i := last; i > 0 && s.earlier(i, (i-1)/2); i = (i - 1) / 2 {
		s.active[i], s.active[(i-1)/2] = s.active[(i-1)/2], s.active[i]
	}
}

// settle restores the heap after its first input has moved on.
func (s *files) settle() {
	r := s.active[0]
	if r.drained() && len(s.active) > 1 {
		r.reload()
	}
	if r.drained() && r.exhausted() {
		r.finish()
		last := len(s.active) - 1
		s.active[0] = s.active[last]
		s.active[last] = nil
		s.active = s.active[:last]
	}
	for i := 0; ; {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(s.active); c++ {
			if s.earlier(c, least) {
				least = c
			}
		}
		if least == i {
			return
		}
		s.active[i], s.active[least] = s.active[least], s.active[i]
		i = least
	}
}

// earlier orders inputs by the time of their next packet.
func (s *files) earlier(i, j int) bool {
	a, b := s.active[i], s.active[j]
	ta, tb := a.recs[a.next].time, b.recs[b.next].time
	return ta < tb || ta == tb && a.in.index < b.in.index
}
