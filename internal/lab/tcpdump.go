//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// capture is one running tcpdump.
type capture struct {
	cmd    *exec.Cmd
	file   string
	stderr *bufio.Reader
	done   bool
}

// captureFilter keeps the neighbour discovery that explains an EHOSTUNREACH,
// and drops the IPv6 chatter that belongs to no scenario (MLD, router
// solicitations). Port 9 (discard) carries the lab's heartbeat.
const captureFilter = "tcp or icmp or arp or udp port 9 or " +
	"(icmp6 and (ip6[40] < 130 or ip6[40] == 135 or ip6[40] == 136))"

// startCapture returns when tcpdump is capturing.
func startCapture(ns, link, filter string, snap int, file string) (*capture, error) {
	if filter == "" {
		filter = captureFilter
	}
	if snap == 0 {
		snap = 65535
	}
	c := &capture{file: file}
	c.cmd = exec.Command("tcpdump", "-i", link, "-n", "--immediate-mode", "-U", "-Z", "root", "-B", "8192",
		"-s", strconv.Itoa(snap), "--time-stamp-precision=nano", "-w", file, filter)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal is ours to pass on
	pipe, err := c.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := inNS(ns, c.cmd.Start); err != nil {
		return nil, err
	}
	c.stderr = bufio.NewReader(pipe)
	for said := ""; ; {
		line, err := c.stderr.ReadString('\n')
		said += line
		if strings.Contains(line, "listening on") {
			return c, nil
		}
		if err != nil {
			return nil, fmt.Errorf("tcpdump in %s: %s %w", ns, said, c.cmd.Wait())
		}
	}
}

var tcpdumpCount = regexp.MustCompile(`(?m)^(\d+) packets? (captured|received by filter|dropped by kernel)`)

// quiet waits until the file has not grown for d.
func (c *capture) quiet(d time.Duration) {
	var size int64 = -1
	for since := time.Now(); time.Since(since) < d; time.Sleep(10 * time.Millisecond) {
		if fi, err := os.Stat(c.file); err == nil && fi.Size() != size {
			size, since = fi.Size(), time.Now()
		}
	}
}

// stop ends the capture, and fails if tcpdump says that it missed a packet.
func (c *capture) stop() error {
	if c.done {
		return nil
	}
	c.done = true
	if err := c.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	said, _ := io.ReadAll(c.stderr)
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("tcpdump: %w: %s", err, said)
	}
	count := map[string]int{}
	for _, m := range tcpdumpCount.FindAllStringSubmatch(string(said), -1) {
		count[m[2]], _ = strconv.Atoi(m[1])
	}
	// Received counts what came while tcpdump was being stopped, too.
	if count["dropped by kernel"] > 0 {
		return fmt.Errorf("capture %s is incomplete: %s", c.file, said)
	}
	return nil
}
