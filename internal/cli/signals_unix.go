//go:build unix

package cli

import (
	"os"
	"syscall"
)

// What the signals ask for.
func endSignals() []os.Signal    { return []os.Signal{os.Interrupt, syscall.SIGTERM} }
func reportSignals() []os.Signal { return []os.Signal{syscall.SIGUSR1} }
func reopenSignals() []os.Signal { return []os.Signal{syscall.SIGHUP} }
