package blackbox

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"hangup/capture"
)

const rawIP = 101

// ip4 is one fragment of a datagram from 192.0.2.1 to 192.0.2.2.
func ip4(id uint16, protocol byte, offset int, more bool, payload []byte) []byte {
	h := make([]byte, 20, 20+len(payload))
	h[0], h[8], h[9] = 0x45, 64, protocol
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(payload)))
	binary.BigEndian.PutUint16(h[4:], id)
	place := uint16(offset / 8)
	if more {
		place |= 0x2000
	}
	binary.BigEndian.PutUint16(h[6:], place)
	copy(h[12:], []byte{192, 0, 2, 1, 192, 0, 2, 2})
	return append(h, payload...)
}

func segment(seq uint32, flags capture.Flags, payload int) []byte {
	s := make([]byte, 20+payload)
	binary.BigEndian.PutUint16(s, 40000)
	binary.BigEndian.PutUint16(s[2:], 80)
	binary.BigEndian.PutUint32(s[4:], seq)
	s[12], s[13] = 5<<4, byte(flags)
	return s
}

// fragmented is a capture of a SYN and of data in three fragments, the second
// of which comes last, with so many foreign fragments between.
func fragmented(t *testing.T, foreign int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := capture.NewPcapWriter(&b, rawIP, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	now := int64(1_700_000_000 * second)
	put := func(p []byte) {
		now += 1e6
		if err := w.Write(now, p, len(p)); err != nil {
			t.Fatal(err)
		}
	}
	syn := segment(100, capture.SYN, 0)
	put(ip4(1, 6, 0, true, syn[:8]))
	put(ip4(1, 6, 8, false, syn[8:]))
	data := segment(101, capture.ACK, 100)
	put(ip4(7, 6, 0, true, data[:48]))
	put(ip4(7, 6, 80, false, data[80:]))
	for i := range foreign {
		put(ip4(uint16(1000+i), 17, 0, true, make([]byte, 80)))
	}
	put(ip4(7, 6, 48, true, data[48:80]))
	return b.Bytes()
}

func TestFragmentsComeAlong(t *testing.T) {
	for _, k := range []struct {
		foreign int
		whole   bool
	}{{0, true}, {keptFragments - 2, true}, {keptFragments, false}} {
		pcap := fragmented(t, k.foreign)
		s, err := New(Config{Dir: t.TempDir(), Wait: true})
		if err != nil {
			t.Fatal(err)
		}
		all := tell(t, pcap, s.Record)
		if len(all.conns) != 1 || all.conns[0].Ends[0].Packets != 2 || all.conns[0].Ends[0].Bytes != 100 {
			t.Fatalf("%+v", all.conns)
		}
		path, err := s.Save(&all.conns[0], &all.verdicts[0], all.env)
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		if got, _ := raw(t, path); k.whole && len(got) != 5 || !k.whole && len(got) != 3 {
			t.Errorf("%d foreign fragments: %d packets in the file", k.foreign, len(got))
		}
		if k.whole {
			checkSaved(t, "fragments", path, &all, 0)
		}
		if said := strings.Contains(string(mustRead(t, path)), "only the last fragment is here"); said == k.whole {
			t.Errorf("%d foreign fragments: said %t", k.foreign, said)
		}
	}
}
