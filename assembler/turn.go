package assembler

import "sync"

// order lets trackers call the Config's functions in turn: batch by batch, and
// for each of them one tracker after the other, whoever is done with it first.
// So what is reported comes in the same order in every run.
type order struct {
	mu    sync.Mutex
	moved sync.Cond
	done  []uint64 // batches that a tracker has nothing more to say of
}

func newOrder(n int) *order {
	o := &order{done: make([]uint64, n)}
	o.moved.L = &o.mu
	return o
}

// wait returns when all that comes before the batch's calls of tracker k is done.
func (o *order) wait(k int, batch uint64) {
	o.mu.Lock()
	for !o.due(k, batch) {
		o.moved.Wait()
	}
	o.mu.Unlock()
}

func (o *order) due(k int, batch uint64) bool {
	for other, done := range o.done {
		if done < batch || done == batch && other < k {
			return false
		}
	}
	return true
}

// pass says that tracker k is done with a batch.
func (o *order) pass(k int) {
	o.mu.Lock()
	o.done[k]++
	o.mu.Unlock()
	o.moved.Broadcast()
}

// turn is one tracker's right to call the Config's functions during a batch.
type turn struct {
	order *order
	k     int
	batch uint64
	mine  bool
}

// end ends the batch, and lets others call.
func (u *turn) end() {
	u.mine = false
	u.batch++
	u.order.pass(u.k)
}

// inTurn is f when it is u's turn, nil if that is nil.
func inTurn[T any](u *turn, f func(T)) func(T) {
	if f == nil {
		return nil
	}
	return func(x T) {
		if !u.mine {
			u.order.wait(u.k, u.batch)
			u.mine = true
		}
		f(x)
	}
}
