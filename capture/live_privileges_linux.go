package capture

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// DropPrivileges gives up, in all threads and for good, every capability but
// those to keep (unix.CAP_ constants), and the hope to get others by executing
// programs. An open Live needs none. Who keeps none, even as root, writes only
// files that root owns or anybody may write: opening others takes
// unix.CAP_DAC_OVERRIDE.
func DropPrivileges(keep ...uintptr) error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData // bits 0 to 31, and 32 to 63
	if err := unix.Capget(&head, &have[0]); err != nil {
		return fmt.Errorf("privileges are kept: capget: %w", err)
	}
	var want [2]unix.CapUserData
	for _, c := range keep {
		if c >= 64 {
			return fmt.Errorf("privileges are kept: there is no capability %d", c)
		}
		bit := uint32(1) << (c % 32)
		w, h := &want[c/32], &have[c/32]
		w.Permitted |= bit & h.Permitted
		w.Effective |= bit & h.Effective
	}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
	if errno == 0 {
		// Inheritable is empty now, and with it the ambient set (capabilities(7)).
		_, _, errno = syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&want[0])), 0)
	}
	switch errno {
	case 0:
		return nil
	case syscall.ENOTSUP:
		return errors.New("privileges are kept: this binary was built with cgo, which owns the threads: build it with CGO_ENABLED=0")
	}
	return fmt.Errorf("privileges are kept: %w", errno)
}
