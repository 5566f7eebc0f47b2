package capture

import (
	"golang.org/x/sys/unix"

	"hangup/capture/filter"
)

// LiveLink is the link type for which [filter.Expr.CompileLive] compiles what
// OpenLive has the kernel run on an interface. The error says which
// interfaces there are.
func LiveLink(name string) (link uint16, err error) {
	if name == AnyInterface {
		return filter.CookedSocket, nil
	}
	control, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(control)
	_, hardware, err := (&Live{control: control}).indexOf(name)
	if err != nil {
		return 0, err
	}
	link, cooked := linkOf(hardware)
	if cooked {
		link = filter.CookedSocket
	}
	return link, nil
}
