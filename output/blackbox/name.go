package blackbox

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"hangup/assembler"
	"hangup/classify"
)

// A saved file is named
//
//	20261123T151004.123456Z-reset-abortive-close-10.0.0.5.40122-10.0.0.9.443.pcapng
//
// the time (UTC) of the connection's last packet, class, cause, client and
// server. That sorts by time, and no character of it is special to a shell or
// forbidden by a file system: the colons of IPv6 become underscores.
const (
	timeLayout = "20060102T150405.000000Z"
	extension  = ".pcapng"
	unfinished = ".part"
)

// ours recognises the scheme. Nothing else is ever deleted.
var ours = regexp.MustCompile(`^\d{8}T\d{6}\.\d{6}Z-[a-z0-9-]+-[0-9a-f_.]+\.\d{1,5}-[0-9a-f_.]+\.\d{1,5}\.pcapng(\.part)?$`)

func fileName(c *assembler.Conn, v *classify.Verdict) string {
	return fmt.Sprintf("%s-%s-%s-%s-%s%s", time.Unix(0, c.Last.Time).UTC().Format(timeLayout), v.Class, v.Cause,
		endName(c.End(assembler.Client).AddrPort()), endName(c.End(assembler.Server).AddrPort()), extension)
}

func endName(a netip.AddrPort) string {
	return fmt.Sprintf("%s.%d", strings.ReplaceAll(a.Addr().String(), ":", "_"), a.Port())
}
