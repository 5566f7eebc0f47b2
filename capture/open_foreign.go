package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Remedies; IN and OUT stand for the file and one to be made of it.
const (
	byEditcap   = "convert it with: editcap -F pcapng IN OUT"
	byWriting   = "record packets instead of text: tcpdump -w FILE"
	notACapture = "give a file that tcpdump -w, tshark -w or Wireshark wrote"
)

// foreigners are files mistaken for captures, and captures that we leave to
// Wireshark to convert, by what they start with.
var foreigners = []struct{ magic, what, remedy string }{
	{"snoop\x00\x00\x00", "a Solaris snoop capture", byEditcap},
	{"btsnoop\x00", "a Bluetooth btsnoop capture", "it holds no TCP"},
	{"TRSNIFF data    \x1a", "a Sniffer capture", byEditcap},
	{"XCP\x00", "a NetXRay or Sniffer capture", byEditcap},
	{"GMBU", "a Microsoft Network Monitor capture", byEditcap},
	{"RTSS", "a Microsoft Network Monitor 1 capture", byEditcap},
	{"iptrace ", "an AIX iptrace capture", byEditcap},
	{"\x05VNF", "a Visual Networks capture", byEditcap},
	{"\x7fver", "an OmniPeek capture", byEditcap},
	{"ObserverPktBuffe", "a Network Instruments Observer capture", byEditcap},
	{"\xaa\xaa\xaa\xaa", "a 5View capture", byEditcap},
	{"\xad\xa0\xc0\x05", "an old Ixia or Novell capture", byEditcap},
	{"\x1c\x00\x01\xac", "an IxVeriWave capture", byEditcap},
	{"\xac\x01\x00\x1c", "an Ixia lcap capture", byEditcap},
	{"\xab\x01\x00\x1c", "an Ixia lcap capture", byEditcap},
	{"\xfd7zXZ\x00", "xz data", "unpack it first: xz -dc FILE | hangup -"},
	{"BZh", "bzip2 data", "unpack it first: bzip2 -dc FILE | hangup -"},
	{"PK\x03\x04", "a zip archive", "unpack it first: unzip -p FILE | hangup -"},
	{"PK\x05\x06", "an empty zip archive", notACapture},
	{"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first: 7z x -so FILE | hangup -"},
	{"Rar!\x1a\x07", "a RAR archive", "unpack it first: unrar p -inul FILE | hangup -"},
	{"\x1f\x9d", "compress (.Z) data", "unpack it first: gzip -dc FILE | hangup -"},
	{"\x1f\x8b", "gzip data of a kind nobody uses", "compress it again with gzip"},
	{"LZIP", "lzip data", "unpack it first: lzip -dc FILE | hangup -"},
	{"\x5d\x00\x00", "lzma data", "unpack it first: xz -dc --format=lzma FILE | hangup -"},
	{"\x7fELF", "an ELF program or core dump", notACapture},
	{"MZ", "a Windows program", notACapture},
	{"\xcf\xfa\xed\xfe", "a macOS program", notACapture},
	{"%PDF-", "a PDF document", notACapture},
	{"\x89PNG", "a picture", notACapture},
	{"\xff\xd8\xff", "a picture", notACapture},
	{"SQLite format 3\x00", "an SQLite database", notACapture},
	{"version https://git-lfs", "a Git LFS pointer instead of the file it stands for", "fetch it: git lfs pull"},
}

// foreign says what head, which starts no capture of ours, looks like, and
// what to do.
func foreign(head []byte) string {
	if len(head) == 0 {
		return "is empty, nothing was recorded (was the capture killed before its first write?)"
	}
	for _, f := range foreigners {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return "not a pcap or pcapng capture: looks like " + f.what + ", " + f.remedy
		}
	}
	what, remedy := foreignShape(head)
	return "not a pcap or pcapng capture: " + what + ", " + remedy
}

// foreignShape knows what has no magic number.
func foreignShape(head []byte) (what, remedy string) {
	switch {
	case len(head) < 4:
		return fmt.Sprintf("only %d bytes long", len(head)), "record it again"
	case allZero(head):
		return "starts with zero bytes only (disk full, or lost in a crash?)", "record it again"
	case len(head) > 262 && string(head[257:262]) == "ustar":
		return "looks like a tar archive", "unpack it first: tar -xOf FILE | hangup -"
	case isText(head):
		return foreignText(head)
	case isERF(head):
		return "looks like an Endace ERF capture", byEditcap
	}
	return fmt.Sprintf("starts with % x", head[:min(len(head), 8)]), "see what it is with: file FILE; capinfos FILE"
}

// isText reports whether head is printable, in UTF-8 or UTF-16 with its mark
// (PowerShell's > writes that, and so ruins what tcpdump -w - put out).
func isText(head []byte) bool {
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return true
	}
	for len(head) > 0 {
		r, n := utf8.DecodeRune(head)
		if r == utf8.RuneError && n == 1 && len(head) >= utf8.UTFMax || r < ' ' && !strings.ContainsRune("\t\n\r\f\x1b", r) {
			return false
		}
		head = head[n:]
	}
	return true
}

// texts are told apart by their first lines. They are compiled only when one
// has to be told apart: start-up time is spent on captures.
var texts = []struct {
	re, what, remedy string
}{
	{`^(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d+ (\S+ +(In|Out|P|B|M) +)?(IP6?|ARP|ethertype|[0-9a-f:]{17}) `, "the text that tcpdump prints", byWriting},
	{`^\d{10}\.\d+ IP6? `, "the text that tcpdump prints", byWriting},
	{`^(tcpdump: |reading from |listening on )`, "the messages that tcpdump prints", byWriting},
	{`^ *\d+ +\d+\.\d{6,9} .*(→|->)`, "the text that tshark prints", "record packets instead of text: tshark -w FILE"},
	{`^(Frame \d+: |No\. +Time +Source)`, "the text that tshark or Wireshark prints", "export packets instead of text, or: tshark -w FILE"},
	{`^(\s*0x)?0{4,8}:? +[0-9a-fA-F]{2}`, "a hex dump", "make a capture of it with: text2pcap IN OUT"},
	{`^#separator|^#fields`, "a Zeek log", "give the capture that Zeek read"},
	{`(?i)^\s*<(!doctype )?html`, "a web page (a download that asked to log in?)", "download it again"},
	{`(?s)^\s*<\?xml.*<(pdml|psml)`, "XML of dissected packets", "give the capture itself"},
	{`^\s*<`, "XML", notACapture},
	{`^\s*[{\[]`, "JSON", notACapture},
	{`^#!`, "a script", notACapture},
	{`^[A-Za-z0-9+/]{60,76}\r?\n[A-Za-z0-9+/]`, "base64", "decode it first: base64 -d FILE | hangup -"},
}

func foreignText(head []byte) (what, remedy string) {
	if head[0] == 0xff || head[0] == 0xfe {
		return "looks like UTF-16 text", "PowerShell's > turns captures into text: use tcpdump -w FILE, or cmd"
	}
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	for _, t := range texts {
		if regexp.MustCompile(t.re).Match(head) {
			return "looks like " + t.what, t.remedy
		}
	}
	return "looks like text", notACapture
}

// isERF checks the first record header: a timestamp of this age, a type that
// is known, lengths that go together (Endace's ERF has no magic number).
func isERF(head []byte) bool {
	if len(head) < 16 {
		return false
	}
	sec := binary.LittleEndian.Uint32(head[4:])
	kind := head[8] & 0x7f
	size, wire := binary.BigEndian.Uint16(head[10:]), binary.BigEndian.Uint16(head[14:])
	return sec > 8e8 && sec < 3e9 && kind >= 1 && kind <= 48 && size >= 16 && size < 16384 && wire > 0 && wire < 16384
}
