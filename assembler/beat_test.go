package assembler_test

import (
	"testing"
	"time"
)

// TestBeat tells rhythms from traffic that merely repeats.
func TestBeat(t *testing.T) {
	tests := []struct {
		name, packets string
		period        time.Duration
		count         uint32
	}{
		{"every 20 s", "handshake\nexchange 100 100\n+20x6 > P. len=46", 20 * time.Second, 6},
		{"with requests in between", "handshake\n+20x6 > P. len=46\n+3 > P. len=900\n+20 > P. len=46", 20 * time.Second, 5},
		{"four times is chance", "handshake\n+20x5 > P. len=46", 0, 0},
		{"ever longer", "handshake\n+2,+4,+8,+16,+32,+64 > P. len=46", 0, 0},
		{"too much for a beat", "handshake\n+20x8 > P. len=1000", 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := follow(t, tt.packets)[0]
			b := c.Ends[client].Beat
			if d := time.Duration(b.Period) - tt.period; d.Abs() > 50*time.Millisecond || b.Count != tt.count {
				t.Errorf("period %v, %d intervals; want %v, %d", time.Duration(b.Period), b.Count, tt.period, tt.count)
			}
		})
	}
}
