package metrics

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// DefaultPort is what the documentation and the deployment files use.
const DefaultPort = 9317

// address is where the page is served.
type address struct {
	unix string // path of a socket; if set, nothing else is
	host string // as typed: an IP address or a name
	port uint16
}

// parseAddress reads what --metrics was given: HOST:PORT, a port alone, which
// means loopback, or unix:PATH.
func parseAddress(s string) (address, error) {
	wrong := func(what, remedy string) (address, error) {
		return address{}, fmt.Errorf("--metrics %s: %s; %s", s, what, remedy)
	}
	example := fmt.Sprintf("type --metrics 127.0.0.1:%d, or %d alone", DefaultPort, DefaultPort)
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if path == "" {
			return wrong("no path", "type --metrics unix:/run/hangup/metrics.sock")
		}
		return address{unix: path}, nil
	}
	if !strings.Contains(s, ":") {
		if _, err := strconv.ParseUint(s, 10, 64); err != nil {
			return wrong("neither HOST:PORT nor a port", example)
		}
		s = ":" + s
	}
	host, service, err := net.SplitHostPort(s)
	if err != nil {
		return wrong("not HOST:PORT", example+"; an IPv6 address stands in brackets, as in [::1]:"+strconv.Itoa(DefaultPort))
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return wrong(fmt.Sprintf("%q is no port", service), "ports are 0 (any free one) to 65535; "+example)
	}
	switch host {
	case "":
		host = "127.0.0.1" // who wants strangers in says so
	case "*":
		return wrong("no such address", fmt.Sprintf("type 0.0.0.0:%d to listen on all of them", port))
	}
	return address{host: host, port: uint16(port)}, nil
}

// listen opens a.
func (a address) listen() (net.Listener, error) {
	if a.unix != "" {
		return a.listenUnix()
	}
	l, err := net.Listen("tcp", net.JoinHostPort(a.host, strconv.Itoa(int(a.port))))
	if err == nil {
		return l, nil
	}
	name := "--metrics " + net.JoinHostPort(a.host, strconv.Itoa(int(a.port)))
	var lookup *net.DNSError
	switch {
	case errors.As(err, &lookup):
		return nil, fmt.Errorf("%s: no address of that name: %w; type the address to listen on", name, err)
	case isErrno(err, syscall.EADDRINUSE, 10048):
		return nil, fmt.Errorf("%s: another program listens there; stop it, or choose another port, such as --metrics %s",
			name, net.JoinHostPort(a.host, strconv.Itoa(int(max(a.port, 1024)%65535+1))))
	case isErrno(err, syscall.EADDRNOTAVAIL, 10049):
		return nil, fmt.Errorf("%s: no interface of this machine has that address; `ip address` lists them", name)
	case errors.Is(err, os.ErrPermission) || isErrno(err, syscall.EACCES, 10013):
		return nil, fmt.Errorf("%s: permission denied; ports below 1024 need root, choose one above, such as --metrics %s",
			name, net.JoinHostPort(a.host, strconv.Itoa(DefaultPort)))
	}
	return nil, fmt.Errorf("%s: %w; choose another address, such as 127.0.0.1:%d", name, err, DefaultPort)
}

// isErrno reports whether err is a system's error, which Winsock numbers in
// its own way.
func isErrno(err error, posix, winsock syscall.Errno) bool {
	return errors.Is(err, posix) || errors.Is(err, winsock)
}

// listenUnix opens a socket for the owner and his group. What a killed
// process left behind is replaced: nobody answers there.
func (a address) listenUnix() (net.Listener, error) {
	if info, err := os.Lstat(a.unix); err == nil && info.Mode().Type() == os.ModeSocket {
		if c, err := net.Dial("unix", a.unix); err == nil {
			c.Close()
			return nil, fmt.Errorf("--metrics unix:%s: another program listens there; stop it, or choose another path", a.unix)
		} else if isErrno(err, syscall.ECONNREFUSED, 10061) {
			os.Remove(a.unix)
		}
	}
	l, err := net.Listen("unix", a.unix)
	if isErrno(err, syscall.EADDRINUSE, 10048) {
		return nil, fmt.Errorf("--metrics unix:%s: there is a file of that name; remove it, or choose another path", a.unix)
	}
	if err != nil {
		return nil, fmt.Errorf("--metrics unix:%s: %w; the directory must exist and be writable", a.unix, err)
	}
	if err := os.Chmod(a.unix, 0o660); err != nil {
		l.Close()
		return nil, fmt.Errorf("--metrics unix:%s: %w", a.unix, err)
	}
	return l, nil
}

// private reports whether only this machine can reach l.
func private(l net.Listener) bool {
	tcp, ok := l.Addr().(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}

// hosts are the Host headers that are answered.
//
// A page on the web can have its name resolve to 127.0.0.1 and then read, in
// the browser of somebody on this machine, what listens there: DNS rebinding.
// The page lists ports and may list addresses, so on loopback only such hosts
// are answered as no stranger's name can be: addresses and localhost (RFC
// 6761 6.3), and the name that --metrics was given. Elsewhere whoever
// reaches the port may read the page anyway, under whatever name he knows.
type hosts struct {
	all  bool
	name string
}

func (h hosts) allow(header string) bool {
	if h.all || header == "" { // HTTP/1.0; no browser leaves it out
		return true
	}
	host := header
	if name, _, err := net.SplitHostPort(header); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || host == h.name {
		return true
	}
	_, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	return err == nil
}
