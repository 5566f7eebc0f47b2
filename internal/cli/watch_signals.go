package cli

import (
	"os"
	"os/signal"
	"slices"
)

// listen hears the signals that mean something to a watch, until stop. The
// first one that ends it wakes the source; the next one kills.
func (w *watcher) listen() (stop func()) {
	c := make(chan os.Signal, 8)
	signal.Notify(c, slices.Concat(endSignals(), reportSignals(), reopenSignals())...)
	asked := make(chan os.Signal, 8)
	w.signals = asked
	quit := make(chan struct{})
	go func() {
		for {
			select {
			case <-quit:
				return
			case s := <-c:
				if slices.Contains(endSignals(), s) {
					signal.Reset(endSignals()...)
					w.src.Stop()
					continue
				}
				select {
				case asked <- s:
				default: // it has been asked for, several times
				}
			}
		}
	}()
	return func() { signal.Stop(c); close(quit) }
}

// signalled does what a signal asks for.
func (w *watcher) signalled(s os.Signal) error {
	if slices.Contains(reopenSignals(), s) {
		if err := w.out.reopen(); err != nil {
			w.complain(err) // better into the old file than nowhere
		}
		return nil
	}
	return w.print(w.report(w.interim()))
}
