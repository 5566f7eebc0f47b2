// Hangup answers from packets alone: who hung up, how, why, and what did
// each side's Go program see.
//
//	hangup [flags] [FILE...]
//
// It reads pcap and pcapng files, plain or within gzip, zstd or lz4, whatever
// their names; several in the order of their packets, as one capture, so that
// rotated files can be named in any order. DIR/... is every capture below a
// directory. - is standard input, and so is a pipe when no file is named.
//
//	hangup trace.pcap
//	hangup 'trace-*.pcap.gz'
//	tcpdump -i eth0 -w - tcp | hangup
//
// # The report
//
// First comes what was read, and what was wrong with it: packets dropped or
// cut by the capture, a file that broke off. Then the findings, F1 the most
// harmful: what many connections together say about the system, such as
// sockets that are never closed, ports that run out, idle connections cut by
// a middlebox, a server that was down. Each says what it means, names examples
// and packets, and what to do. Then a table of how many connections ended how.
// Then every way to end badly is spelled out by one example: who hung up, the
// packets that prove it, what the Go programs at both ends saw, which other
// reading the packets leave open, and what to do. Ends that are alike (same
// server, same cause, same party) make one group, the most harmful first.
//
//	hangup --all trace.pcap
//	hangup -v --limit 3 trace.pcap
//	hangup -q trace.pcap
//
// --all lists every connection, -v tells findings in full and adds error texts
// and marks, -q keeps to header, titles of findings and table. --no-findings
// needs the least memory: no connection is kept but the examples. A line of outcomes such as
//
//	client  Read or Write → ECONNRESET once · then Read → EOF · Write → EPIPE
//
// says what successive calls return after the end. Packets have the numbers
// that Wireshark gives them, behind the number of their file if there are
// several. All times are UTC. Names are never resolved.
//
// # One connection
//
//	hangup --conn 17 trace.pcap
//	hangup --conn 192.0.2.1:56732 trace.pcap
//
// draws the packets of one connection as a ladder: time, the states of both
// ends, relative sequence numbers, what each packet is, and where each
// program learned of the end. Long runs are folded, unless --all is given.
//
// # Sockets
//
//	hangup --ss-at 03:04:05 trace.pcap
//	hangup --ss-at 12.5 --host 192.0.2.1 trace.pcap
//	hangup --states trace.pcap
//
// --ss-at lists what `ss -tan` would have shown at a moment, on one host or on
// all, with the connection's number; ? stands where no packet tells. --states
// plots the number of sockets by state, host by host. Both have a JSON form.
//
// # Live
//
//	hangup -i eth0 tcp port 443
//	hangup -i any --all
//	hangup -i any -q --save-abnormal saved --metrics 9317
//
// watches interfaces (Linux; root, or setcap cap_net_raw+ep on the binary)
// and prints a line for each connection that ended badly, or with --all for
// each, as soon as it has, and findings when they arise or become worse; on a
// pipe or in a file as NDJSON. Ctrl-C or SIGTERM ends with the report, SIGUSR1
// prints it meanwhile, SIGHUP opens the file of -o anew. Selections choose
// which connections are told; the report is about all. What no packet of a
// connection can tell any more, the clock does: a dial unanswered for three
// minutes has failed. The programs behind local sockets are named where they
// can be found in time. Memory is bounded (--max-conns, --max-memory), and
// what had to be let go is said, as are packets that the kernel dropped, with
// the connections that they may have been of.
//
// --save-abnormal keeps the last packets of all connections in a ring, and
// writes those of each that ended badly to a small pcapng file, with the
// verdict as comment; of a storm of alike ones a few examples. -w writes all
// packets. Both work on files, too.
//
// # Filters
//
//	hangup -f 'tcp port 443 and host 192.0.2.1' trace.pcap
//	hangup -r trace.pcap tcp port 443
//	hangup -d tcp port 443
//
// The language is tcpdump's (pcap-filter(7)), compiled by hangup itself; on an
// interface the kernel runs it. A filter that hides one direction, or the ends
// of connections, is warned of.
//
// # Selection
//
//	hangup --class reset,half-open --host 192.0.2.0/24 trace.pcap
//	hangup --cause abortive-close --by server --port 8000-8999 trace.pcap
//	hangup --since 03:04:05 --until 03:05:00 trace.pcap
//
// --since and --until take RFC 3339, a time of day in UTC, or seconds from
// the start of the capture; they keep connections of which any part lies
// between. Verdicts always rest on all packets read.
//
//	hangup --causes
//	hangup --explain close-wait-leak
//
// # For programs
//
//	hangup --format json -o report.json trace.pcap
//	hangup --format ndjson trace.pcap
//	hangup --format csv trace.pcap
//	hangup --fail-on reset,close-wait-leak,finding:never-closed trace.pcap
//
// The fields are described by output/report.schema.json. The exit status is
// 0 when the input was analysed, whatever was found; 1 when there was trouble
// with the input or the run, and what was analysed is reported all the same;
// 2 for wrong usage; 3 when a connection is of a class or cause that --fail-on
// names, or a finding of that kind was made. The report goes to standard output, messages to standard
// error.
package main

import (
	"io"
	"os"

	"hangup/internal/cli"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run does what the arguments ask for, and returns the exit status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return cli.Run(args, stdin, stdout, stderr)
}
