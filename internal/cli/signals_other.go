//go:build !unix

package cli

import "os"

// What the signals ask for.
var (
	endSignals    = []os.Signal{os.Interrupt}
	reportSignals []os.Signal
	reopenSignals []os.Signal
)
