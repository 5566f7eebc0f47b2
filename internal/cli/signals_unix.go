//go:build unix

package cli

import (
	"os"
	"syscall"
)

// What the signals ask for.
var (
	endSignals    = []os.Signal{os.Interrupt, syscall.SIGTERM}
	reportSignals = []os.Signal{syscall.SIGUSR1}
	reopenSignals = []os.Signal{syscall.SIGHUP}
)
