//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	"hangup/internal/lab/record"
)

// eachSegment calls f with every TCP segment of a capture as tcpdump writes
// it for us (nanoseconds, little endian, Ethernet), and its time in
// nanoseconds, until f says false.
func eachSegment(file string, f func(s Seg, at int64) bool) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if len(b) < 24 || binary.LittleEndian.Uint32(b) != 0xa1b23c4d || binary.LittleEndian.Uint32(b[20:]) != 1 {
		return fmt.Errorf("%s: not a nanosecond Ethernet capture", file)
	}
	for b = b[24:]; len(b) >= 16; {
		n := int(binary.LittleEndian.Uint32(b[8:]))
		if n > len(b)-16 {
			return fmt.Errorf("%s: cut", file)
		}
		at := int64(binary.LittleEndian.Uint32(b))*1e9 + int64(binary.LittleEndian.Uint32(b[4:]))
		s, ok := parseFrame(b[16 : 16+n])
		b = b[16+n:]
		if ok && !f(s, at) {
			return nil
		}
	}
	return nil
}

// sender is the side whose segment it is, in scenarios with the usual port.
func sender(s Seg) string {
	if s.Src.Port() == serverPort {
		return record.Server
	}
	return record.Client
}

// either is a FirstEnd that is a matter of scheduling, and to be settled.
const either = "either"

// settleFINs completes the truth of a close whose order is a matter of
// scheduling: each FIN's departure and arrival, on the two wires, which have
// one clock, say who was first, or that they crossed.
func settleFINs(dir string, c *record.Conn) error {
	c.FirstEnd = ""
	seen := map[string]map[string]int64{} // on whose wire, whose FIN
	for _, wire := range []string{record.Client, record.Server} {
		seen[wire] = map[string]int64{}
		err := eachSegment(filepath.Join(dir, wire+".pcap"), func(s Seg, at int64) bool {
			if from := sender(s); hasFIN(s) && seen[wire][from] == 0 {
				seen[wire][from] = at
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	client, server := seen[record.Client][record.Client], seen[record.Server][record.Server]
	asked := c.By // above TCP, which may be readable
	switch {
	case client == 0 || server == 0:
		return nil // somebody reset instead: the alternatives say so
	case client < seen[record.Client][record.Server] && server < seen[record.Server][record.Client]:
		c.Cause, c.By = "simultaneous-close", record.Both
	case client < server:
		c.By, c.FirstEnd, c.Flag = record.Client, record.Client, "FIN"
	default:
		c.By, c.FirstEnd, c.Flag = record.Server, record.Server, "FIN"
	}
	if c.By != asked {
		c.AlsoBy, c.Also = append(c.AlsoBy, asked), append(c.Also, "orderly-close")
	}
	return nil
}
