package assembler_test

const (
	showcase = "PcapFlowLab__examples__showcase__pcap_flow_lab_showcase.pcap"
	seqTest  = "arkime__tcpseq_synthetic.pcap"
	modbus   = "zeek__modbus__modbus-and-non-modbus-p502.pcap"
	modbusZ  = "derived__zeek__modbus-and-non-modbus-p502.pcap.lz4"
	pcap22   = "tcptrace__pcap_v2.2.dmp.gz"
)

const (
	closedBefore = "The client's RST ends the connection, and 15 s later come a segment of 109 bytes with the old numbers and its RST. " +
		"Zeek forgets a closed connection after 5 s, so that these two make a connection of their own there."
	twiceSeen = "The capture holds each packet of the server twice, 2.5 ms apart, before and behind a router (TTL 255 and 254, same IP ID). " +
		"tcptrace takes the second for a retransmission."
)

// differences are what remains between us and the oracles, each with the
// reason.
var differences = []difference{
	{showcase, -1, "bad packets", "[packet 1433: link header cut short packet 1437: tunnel header cut short]",
		"Frame 1433 holds 10 of an Ethernet header's 14 bytes, frame 1437 ends before its MPLS stack does; tshark calls them truncated and malformed."},
	{showcase, -1, "connections in no stream", "[1327: 192.0.2.50:49180 198.51.100.50:443]",
		"An Ethernet pseudowire over MPLS without control word, whose inner destination MAC begins with a zero nibble: tshark reads four bytes of it as the control word."},
	{"PcapPlusPlus__pcapng-example.pcapng", -1, "tshark back", "2",
		"The second interface's times lie in the year 586524. They are negative 64-bit numbers to us, so that the first of them goes back, too."},
	{seqTest, 0, "unique bytes a>b", "8",
		"Two frames of random bytes make up this stream, the second one 250 million numbers beyond the first and no answer to anything."},
	{seqTest, 0, "arkime databytes", "8 0", "The same two frames: arkime counts the payload of neither."},
	{"tcpdump__bigtcp-ipv4-vxlan-ipv4.pcap", -1, "connections in no stream", "[1: 192.168.1.2:36875 192.168.1.1:36449]",
		"An IPv4 BIG TCP packet, total length 0 inside and outside of VXLAN. This tshark finds no TCP in it."},
	{modbus, 4, "zeek packets", "3 2", closedBefore},
	{modbus, 4, "zeek bytes", "109 0", closedBefore},
	{modbus, 4, "zeek entry without a connection", "Dr", closedBefore},
	{modbusZ, 4, "zeek packets", "3 2", closedBefore},
	{modbusZ, 4, "zeek bytes", "109 0", closedBefore},
	{modbusZ, 4, "zeek entry without a connection", "Dr", closedBefore},
	{pcap22, 0, "tcptrace b>a", "18 1 0 0 0", twiceSeen},
	{pcap22, 1, "tcptrace b>a", "2 1 0 0 0", twiceSeen},
}
