package output

// Usage is the short help: every flag, by purpose, on pages of 80 columns.
const Usage = `hangup tells from packets who hung up, how, why, and what each side's Go
program saw.

  hangup trace.pcap                    the report
  tcpdump -w - tcp | hangup            the same from a pipe
  hangup --conn 17 trace.pcap          one connection, packet by packet
  hangup --ss-at 12.5 trace.pcap       what ss would have shown at a moment
  hangup --explain close-wait-leak     what a cause means, and what to do
  hangup -i eth0 tcp port 443          live, until Ctrl-C

Input
  FILE..., -r, --read FILE   pcap or pcapng, plain, gzip, zstd or lz4; - is
                             standard input; several make one capture
  -i, --interface IFACE      packets of this interface, or of any; several by
                             commas; -D, --list-interfaces lists them
  -f, --filter EXPR          only packets that tcpdump would choose by EXPR;
                             with -i or -r, EXPR may stand behind the flags
  --bpf-file FILE            the same, as tcpdump -ddd has compiled it
  -d, --dump-filter          print the filter's program and end
  -c, --count N              stop after N packets

Live
  --duration TIME            stop after this long, such as 90s or 12h
  -s, --snapshot-length N    bytes kept of each packet (512)
  -B, --buffer-size KIB      ring between kernel and hangup (32768)
  -p, --no-promiscuous-mode  see only what is meant for this host
  --no-processes             do not look for the programs behind sockets
  --kernel-events            set the kernel's own errors beside the verdicts
                             (root, tracefs)
  --metrics ADDR             serve Prometheus metrics, on loopback if only a
                             port is given
  --metrics-hosts N          tell servers apart in them, N at the most (0)

Black box
  -w, --write FILE           write all packets to FILE
  --write-bytes SIZE         begin another file when one has this size,
  --write-files N            of N that are written in turn
  --save-abnormal DIR        write the last packets of each connection that
                             ended badly to a file of its own in DIR
  --save-files N             keep at most N of them (1000)
  --save-bytes SIZE          and no more than SIZE (1G), the latest

Report
  --format FORMAT            text, json, ndjson or csv
  -o, --output FILE          write to FILE, which appears when it is complete
  -a, --all                  list every connection, fold nothing
  --limit N                  spell out N findings, groups or ladders (10),
                             0 for all
  -v, --verbose              findings in full, error texts, marks, handshakes
  -q, --quiet                header, titles and table only, no progress bar
  --no-findings              counts and examples only, in the least memory
  --width COLUMNS            instead of the terminal's, or 80
  --color WHEN               auto, always or never
  --fail-on CLASS[,CAUSE]    exit 3 if a connection is of one of these, or,
                             as finding:KIND, if such a finding was made
  --os SYSTEM                of all hosts, for TIME_WAIT and ports: linux,
                             darwin or windows; auto guesses it for each
  --ss-at TIME               instead: sockets as ss -tan would have listed them
  --states                   instead: number of sockets by state over time

Bounds
  --max-conns N              follow at most N connections at once, 0 for any
                             number; live 1000000
  --max-memory SIZE          and in no more memory than SIZE (2G, live 512M);
                             beyond either the longest idle ones are told early

Selection, several by commas
  --class CLASS              reset, timed-out, half-open, open, graceful
  --cause CAUSE              see --causes
  --by WHO                   client, server, both, middlebox, network, unknown
  --host ADDR[/BITS]         of either end
  --port N[-M]               of either end
  --since, --until TIME      RFC 3339, HH:MM:SS (UTC), or seconds from the start
  --conn ID, ADDR:PORT       draw the packets of these connections; both ends
                             as the report prints them do, too

Help
  --explain CAUSE            what it means, what proves it, what to do
  --causes                   list all causes
  -n, --numeric              accepted from habit: names are never resolved
  -V, --version              print the version
  -h, --help                 print this
`
