package capture

import "errors"

// Live is a Source of the packets that cross network interfaces now.
type Live struct{}

// OpenLive starts a capture.
func OpenLive(cfg LiveConfig) (*Live, error) {
	return nil, errors.New("live capture is not available in this build")
}

func (l *Live) Next(b *Batch) error           { return errors.New("not open") }
func (l *Live) Encap(key uint32) string       { return "" }
func (l *Live) Inputs() []Input               { return nil }
func (l *Live) Close() error                  { return nil }
func (l *Live) Stop()                         {}
func (l *Live) Now() int64                    { return 0 }
func (l *Live) DropEvents() []DropEvent       { return nil }
func (l *Live) InterfaceName(n uint16) string { return "" }

// Interfaces lists what OpenLive can capture on.
func Interfaces() ([]Interface, error) { return nil, errors.New("not available in this build") }

// DropPrivileges gives up the privileges that an open capture needs no more.
func DropPrivileges(keep ...uintptr) error { return errors.New("not available in this build") }
