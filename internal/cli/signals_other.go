//go:build !unix

package cli

import "os"

// What the signals ask for.
func endSignals() []os.Signal    { return []os.Signal{os.Interrupt} }
func reportSignals() []os.Signal { return nil }
func reopenSignals() []os.Signal { return nil }
