//go:build linux

package main

import (
	"net/netip"
	"slices"
	"time"

	"hangup/capture/host"
	"hangup/internal/lab/record"
)

// startDoubt is how far the clock of a trace may be off (NTP slews it).
const startDoubt = time.Millisecond

// writeKernel writes what the kernel said of a scenario's connections from
// the time began until now. Scenarios run at the same time on the same
// addresses, in namespaces that a trace does not tell apart, so what it holds
// of other scenarios cannot be kept out, other than by their ports.
func writeKernel(events *host.Events, rec record.Recording, began time.Time, dir string) error {
	if events == nil {
		return nil
	}
	ours := map[string]bool{}
	for _, a := range slices.Concat(rec.Client.Addrs, rec.Server.Addrs) {
		ours[a] = true
	}
	k := record.Kernel{From: began.Add(-startDoubt).UnixNano(), To: time.Now().UnixNano(), Said: events.Said, Ends: []record.KernelEnd{}}
	events.All(k.From, k.To, func(local, remote netip.AddrPort, w host.Word) bool {
		lo := local.Addr().IsLoopback() && rec.Client.Link == "lo"
		if lo || ours[local.Addr().String()] || ours[remote.Addr().String()] {
			k.Ends = append(k.Ends, record.KernelEnd{Local: local.String(), Remote: remote.String(), Word: w})
		}
		return true
	})
	k.Lost = events.Stats().Lost
	return k.Write(dir)
}
