//go:build !linux

package host

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"time"
)

// Processes is the answer of a system on which nobody can be asked.
type Processes struct{}

// NewProcesses fails on this system.
func NewProcesses(Config) (*Processes, error) {
	return nil, fmt.Errorf("which process holds a connection can be told on Linux only, not on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Seen does nothing on this system.
func (*Processes) Seen(_, _ netip.AddrPort) {}

// Of knows nothing on this system.
func (*Processes) Of(_, _ netip.AddrPort) (Process, bool) { return Process{}, false }

// Stats are zero on this system.
func (*Processes) Stats() Stats { return Stats{} }

// Close does nothing on this system.
func (*Processes) Close() {}

type source struct{}

// OpenEvents fails on this system.
func OpenEvents(Config) (*Events, error) {
	return nil, fmt.Errorf("kernel events need Linux's tracepoints, which %s has not: %w", runtime.GOOS, errors.ErrUnsupported)
}

const turn = 0

func (*Events) drain(time.Duration) bool { return false }

// Close does nothing on this system.
func (*Events) Close() error { return nil }

// errnoName has no names here: a trace can only have come from Linux.
func errnoName(n int) string { return "errno " + strconv.Itoa(n) }
