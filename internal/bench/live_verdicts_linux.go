package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"hangup/capture"
	"hangup/internal/generate"
)

// known writes a capture of about as many packets as are sent in the time, of
// connections whose ends hang on no timer: it is sent faster than it was
// lived. Truth is then how many ended how.
func (p *livePlan) known(dir string, rate int) error {
	const packets = 11 // of a connection, on average
	m := generate.Mix{
		Name: "live", Connections: int(float64(rate)*p.seconds) / packets / p.rounds, Concurrent: 2000, Exchanges: 1, Request: 60, Response: 60,
		Snaplen: 262144, Think: 1, IPv6: 0.1, Seed: 5,
		Endings: []generate.Share{
			{Ending: generate.CloseByClient, Weight: 60}, {Ending: generate.CloseByServer, Weight: 30},
			{Ending: generate.AbortByClient, Weight: 4}, {Ending: generate.AbortByServer, Weight: 4}, {Ending: generate.Refused, Weight: 2},
		},
	}
	p.file = filepath.Join(dir, "live.pcap")
	w, err := os.Create(p.file)
	if err != nil {
		return err
	}
	defer w.Close()
	var truth bytes.Buffer
	if _, err := generate.Write(w, &truth, m); err != nil {
		return err
	}
	p.truth = make(map[string]int)
	for line := range strings.Lines(truth.String()) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 6 && f[0] != "id" {
			p.truth[f[4]] += p.rounds
		}
	}
	return nil
}

// fileMessages are the frames of a capture.
func fileMessages(name string) (messages []mmsghdr, err error) {
	src, err := capture.Open([]string{name}, capture.OpenConfig{Tap: func(f *capture.Frame, _ *capture.Packet) {
		messages = append(messages, message(bytes.Clone(f.Data)))
	}})
	if err != nil {
		return nil, err
	}
	defer src.Close()
	var b capture.Batch
	for err = src.Next(&b); err == nil; err = src.Next(&b) {
	}
	if err != io.EOF {
		return nil, err
	}
	return messages, nil
}

// relocate gives all frames the addresses of a round: both ends of each move
// by the same bits, so that they remain one connection.
func relocate(messages []mmsghdr, round byte) {
	flip := round ^ (round - 1)
	for i := range messages {
		iov := messages[i].header.Iov
		frame := unsafe.Slice(iov.Base, iov.Len)
		if frame[12] == 0x08 { // IPv4
			frame[14+13] ^= flip
			frame[14+17] ^= flip
			continue
		}
		frame[14+8+7] ^= flip
		frame[14+24+7] ^= flip
	}
}

// watchMemory watches what a process has resident, until it is asked.
func watchMemory(pid int) (asked func() (early, late float64)) {
	quit := make(chan struct{})
	var all []float64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			all = append(all, resident(pid))
			select {
			case <-quit:
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	return func() (early, late float64) {
		close(quit)
		<-done
		return all[len(all)/3], all[len(all)-1]
	}
}

// resident is what a process has in memory (MB), 0 if it is gone.
func resident(pid int) float64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		var kB float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kB); err == nil {
			return kB / 1000
		}
	}
	return 0
}

// memory is what the table says of it.
func memory(m []trial) string {
	return fmt.Sprintf("%.0f, %.0f", middle(m, func(t trial) float64 { return t.early }), middle(m, func(t trial) float64 { return t.late }))
}

// lastLine is what hangup says in the end.
type lastLine struct {
	Input   []struct{ Packets, Drops float64 }
	Summary struct {
		ByClass map[string]int `json:"by_class"`
	}
}

// told reads what hangup has written.
func (r *reader) told() (captured, dropped float64, err error) {
	defer r.out.Close()
	if err := r.cmd.Wait(); err != nil {
		return 0, 0, err
	}
	if _, err := r.out.Seek(0, io.SeekStart); err != nil {
		return 0, 0, err
	}
	in := bufio.NewReaderSize(r.out, 1<<20)
	var line []byte
	for {
		next, err := in.ReadBytes('\n')
		if err != nil {
			break
		}
		line = next
	}
	if err := json.Unmarshal(line, &r.last); err != nil || len(r.last.Input) != 1 {
		return 0, 0, fmt.Errorf("its last line is no summary: %v", err)
	}
	return r.last.Input[0].Packets, r.last.Input[0].Drops, nil
}

// wrong is how many connections are of another class than the true one.
func (r *reader) wrong(truth map[string]int) float64 {
	n := 0
	for class, got := range r.last.Summary.ByClass {
		n += max(0, got-truth[class])
	}
	for class, want := range truth {
		n += max(0, want-r.last.Summary.ByClass[class])
	}
	return float64(n) / 2
}

// wrong is what the table says of a program.
func (p *livePlan) wrong(name string, m []trial) string {
	if name != "hangup" {
		return "-"
	}
	all := 0
	for _, n := range p.truth {
		all += n
	}
	return fmt.Sprintf("%.0f of %d", middle(m, func(t trial) float64 { return t.wrong }), all)
}
