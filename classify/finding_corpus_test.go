package classify_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// corpusFindings are what captures of other projects show; those not named
// here show nothing. The findings of severity warning and above were compared
// with what tshark shows of the same packets; of the others only that what
// they say is plausible. That nothing was missed is not known: where tshark
// counts fewer than five retransmissions and three resets nobody looked.
var corpusFindings = map[string][]string{
	// A router refuses DNS over TCP twelve times, in two volleys 20 s apart.
	"ICS-Security-Tools__pcaps__C37.118__C37118__c37118_1100_unclean.pcap": {"server-down+reconnects warning"},
	// Composed from pieces: in two connections what was acknowledged comes a
	// second later, if at all.
	"PcapFlowLab__examples__showcase__pcap_flow_lab_showcase.pcap": {"untrusted-capture warning"},
	// The second packet is 46 years older than the first.
	"PcapPlusPlus__pcapng-example.pcapng":                {"untrusted-capture warning"},
	"derived__zeek__modbus-and-non-modbus-p502.pcap.lz4": {"heartbeats info"},
	"zeek__modbus__modbus-and-non-modbus-p502.pcap":      {"heartbeats info"},
	"nDPI__synscan.pcap":                                 {"scan warning"},
	"packet-headers__testdata__v6.pcap":                  {"untrusted-capture warning"}, // breaks off
	"tcptrace__pcap_v2.2.dmp.gz":                         {"untrusted-capture info"},    // copies
	"zeek__cisco-fabric-path.pcap":                       {"untrusted-capture info"},
	"zeek__http__m57-long-49600-80.pcap":                 {"untrusted-capture info"},
	"zeek-long-connections__long_connection.pcap":        {"heartbeats info"}, // 30 s
}

// TestFindingsCorpus holds findings to real captures.
func TestFindingsCorpus(t *testing.T) {
	dir := os.Getenv("HANGUP_CORPUS")
	if dir == "" {
		t.Skip("HANGUP_CORPUS is not set: no real captures to look at")
	}
	names, err := filepath.Glob(filepath.Join(dir, "pcaps", "*"))
	if err != nil || len(names) == 0 {
		t.Fatal("no captures", err)
	}
	for _, name := range names {
		a, in := gatherFiles(t, name)
		packets := 0
		for i := range in {
			packets += int(in[i].Packets)
		}
		var got []string
		for _, f := range a.Findings(in...) {
			got = append(got, strings.Join(append([]string{f.Kind}, f.Also...), "+")+" "+f.Severity.String())
			whole(t, a, packets, &f)
		}
		want := slices.Clone(corpusFindings[filepath.Base(name)])
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: found %q, want %q", filepath.Base(name), got, want)
		}
	}
}
