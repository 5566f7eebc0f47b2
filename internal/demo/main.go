// Demo records testdata/demo.pcap: two minutes in the life of a small service,
// in which nearly everything goes wrong once. Two real Go programs talk
// between two network namespaces; nftables plays the firewall that rejects
// and the path that goes dark. It needs root, Linux, iproute2, nftables and
// tcpdump, and was run as
//
//	go run ./internal/demo -o testdata/demo.pcap
//
// Everything stays in namespaces of its own, which are removed at the end.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	clientNS = "hangup-demo-client"
	serverNS = "hangup-demo-server"
	clientIP = "192.0.2.1"
	serverIP = "192.0.2.2"
)

func main() {
	out := flag.String("o", "testdata/demo.pcap", "where the recording goes")
	role := flag.String("role", "", "run as `client` or server, inside the namespaces")
	flag.Parse()
	var err error
	switch *role {
	case "client":
		err = client()
	case "server":
		err = server()
	default:
		err = record(*out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// record builds the network, runs both programs and captures at the client.
func record(out string) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	defer teardown()
	for _, c := range network {
		if err := command(c...); err != nil {
			return err
		}
	}
	dump := inside(clientNS, "tcpdump", "-i", "eth0", "-U", "--immediate-mode", "-B", "8192", "-w", out, "tcp or icmp")
	dump.Stderr = nil
	ready, err := dump.StderrPipe()
	if err != nil {
		return err
	}
	if err := dump.Start(); err != nil {
		return err
	}
	defer dump.Process.Kill()
	if _, err := ready.Read(make([]byte, 80)); err != nil { // "listening on eth0"
		return fmt.Errorf("tcpdump: %w", err)
	}
	srv := inside(serverNS, os.Args[0], "-role", "server")
	if err := srv.Start(); err != nil {
		return err
	}
	defer stop(srv)
	time.Sleep(300 * time.Millisecond)
	cl := inside(clientNS, os.Args[0], "-role", "client")
	done, err := cl.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cl.Start(); err != nil {
		return err
	}
	// The capture ends before the programs do, or their exits would close
	// what they had forgotten to.
	if _, err := done.Read(make([]byte, 1)); err != nil {
		return fmt.Errorf("client: %w", err)
	}
	stop(dump)
	return cl.Process.Kill()
}

var network = [][]string{
	{"ip", "netns", "add", clientNS},
	{"ip", "netns", "add", serverNS},
	{"ip", "link", "add", "eth0", "netns", clientNS, "type", "veth", "peer", "name", "eth0", "netns", serverNS},
	{"ip", "-n", clientNS, "addr", "add", clientIP + "/24", "dev", "eth0"},
	{"ip", "-n", serverNS, "addr", "add", serverIP + "/24", "dev", "eth0"},
	{"ip", "-n", clientNS, "link", "set", "eth0", "up"},
	{"ip", "-n", serverNS, "link", "set", "eth0", "up"},
	// Give up in seconds rather than in a quarter of an hour.
	{"ip", "netns", "exec", clientNS, "sysctl", "-qw", "net.ipv4.tcp_retries2=4"},
	{"ip", "netns", "exec", serverNS, "nft", "add table inet f; add chain inet f in { type filter hook input priority 0; }; " +
		"add rule inet f in tcp dport 7000 reject with icmpx type admin-prohibited; " +
		"add rule inet f in tcp dport 6000 drop"},
}

// dark makes the server's side drop what comes to a port from now on.
func dark(port int) error {
	return command("nsenter", "--net=/run/netns/"+serverNS, "nft", fmt.Sprintf("add rule inet f in tcp dport %d drop", port))
}

func teardown() {
	for _, ns := range []string{clientNS, serverNS} {
		exec.Command("ip", "netns", "delete", ns).Run()
	}
}

func command(args ...string) error {
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", args, err, out)
	}
	return nil
}

func inside(ns string, args ...string) *exec.Cmd {
	cmd := exec.Command("ip", append([]string{"netns", "exec", ns}, args...)...)
	cmd.Stderr = os.Stderr
	return cmd
}

func stop(cmd *exec.Cmd) {
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
}
