package classify

// size is how many local ports the client has, as far as can be told.
func (u *portUse) size() int {
	os := u.system()
	low, high := os.Ports()
	n := int(high) - int(low) + 1
	if seen := u.narrow(); seen > 0 {
		return seen
	}
	if os == Linux && (u.min < low || u.max > high) {
		n = max(n, int(u.max)-int(u.min)+1) // the range has been widened
	}
	return n
}

// narrowMin is the least range of ports that somebody configures; a program
// that binds a port of its own choice uses one or a few.
const narrowMin = 64

// narrow is how many ports a client has whose range is less than half of its
// system's: it used the same few again and again, or filled them; 0 if it is
// not one.
func (u *portUse) narrow() int {
	low, high := u.system().Ports()
	seen := int(u.max) - int(u.min) + 1
	if seen < narrowMin || 2*seen > int(high)-int(low)+1 || 2*int(u.tried) < 3*seen && !u.filled() {
		return 0
	}
	return seen
}

// filled reports whether the ports that were seen were all in use at once, those
// of one parity before those of the other. Linux tries all ports of its range's
// lower end's parity first (__inet_hash_connect), so that the others come only
// when none of these is left; systems that count upwards mix them from the start.
func (u *portUse) filled() bool {
	if !u.mayBeFull() || u.over == nil {
		return false
	}
	peak, _ := u.over.held.peak()
	return float64(peak) >= portsCritical*float64(int(u.max)-int(u.min)+1)
}

// mayBeFull is what filled asks of the ports' numbers alone.
func (u *portUse) mayBeFull() bool {
	seen := int64(u.max) - int64(u.min) + 1
	even, odd := &u.fresh[0], &u.fresh[1]
	if seen < narrowMin || u.system() != Linux || min(even.n, odd.n) < seen/4 || float64(even.n+odd.n) < portsCritical*float64(seen) {
		return false
	}
	span := max(even.last, odd.last) - min(even.first, odd.first)
	apart := even.sum/even.n - odd.sum/odd.n
	return span >= leastFill && 4*max(apart, -apart) >= span
}

// leastFill is the shortest time, in ms, in which a filled range shows: beyond
// what parallel dials differ by.
const leastFill = 40

// fresh is when (in ms) dials came from ports of one parity that no connection
// had left less than a TIME_WAIT before. Means and limits do not depend on which
// connections end first. The sum is good for five million dials, which
// no narrow range of fresh ports has.
type fresh struct{ n, first, last, sum int64 }

func (f *fresh) add(began int64) {
	ms := began / milli
	if f.n == 0 || ms < f.first {
		f.first = ms
	}
	f.n, f.last, f.sum = f.n+1, max(f.last, ms), f.sum+ms
}

// recycled reports whether the client's kernel lets a dial have a port that is
// in its own TIME_WAIT: more ports were taken again within that time than those
// free at once because the server had closed first, or the connection failed.
// Linux does so a second after the close with tcp_tw_reuse=1, and on the
// loopback by default (tcp_twsk_unique), where nothing need have shown it yet.
func (u *portUse) recycled(k relation) bool {
	return u.again > u.tried-u.byClient || isLoopback(&k.client) && u.system() == Linux
}

// recycleDelay is net.ipv4.tcp_tw_reuse_delay, fixed before Linux 6.14.
const recycleDelay = second
