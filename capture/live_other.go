//go:build !linux

package capture

import (
	"fmt"
	"io"
	"runtime"
	"time"
)

// Live is a Source of the packets that cross network interfaces now. There
// is none on this system.
type Live struct{}

// errNotLinux is why none of this works here.
func errNotLinux(what string) error {
	return fmt.Errorf("%s works on Linux only, not on %s: capture with tcpdump or Wireshark there and give hangup the file, or pipe: tcpdump -w - | hangup", what, runtime.GOOS)
}

// OpenLive fails: live capture is for Linux.
func OpenLive(cfg LiveConfig) (*Live, error) { return nil, errNotLinux("live capture") }

// Next returns io.EOF.
func (l *Live) Next(b *Batch) error {
	b.Packets, b.Data, b.Now = b.Packets[:0], b.Data[:0], 0
	return io.EOF
}

// Encap describes no key.
func (l *Live) Encap(key uint32) string { return "" }

// Inputs is empty.
func (l *Live) Inputs() []Input { return nil }

// Close does nothing.
func (l *Live) Close() error { return nil }

// Stop does nothing.
func (l *Live) Stop() {}

// Now is the wall clock, in nanoseconds since the Unix epoch.
func (l *Live) Now() int64 { return time.Now().UnixNano() }

// DropEvents is empty.
func (l *Live) DropEvents() []DropEvent { return nil }

// InterfaceName knows no interface.
func (l *Live) InterfaceName(n uint16) string { return "" }

// Interfaces fails: live capture is for Linux.
func Interfaces() ([]Interface, error) { return nil, errNotLinux("listing interfaces to capture on") }

// DropPrivileges fails: there are no capabilities to give up.
func DropPrivileges(keep ...uintptr) error { return errNotLinux("dropping privileges") }
