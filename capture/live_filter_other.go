//go:build !linux

package capture

// LiveLink fails: live capture is for Linux.
func LiveLink(name string) (link uint16, err error) { return 0, errNotLinux("live capture") }
