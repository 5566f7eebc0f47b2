package assembler

// Beat is the rhythm of an end that sends a little payload at regular times:
// the heartbeat of a protocol above TCP (a WebSocket ping, HTTP/2 PING, MQTT
// PINGREQ), told by its timing alone, so that it shows within TLS as well.
type Beat struct {
	Period int64  // ns between beats of the longest run so far; 0 if no run reached MinBeats
	Count  uint32 // intervals of that run

	// Gap is how long (ns) the end had sent no payload before its latest
	// small one; 0 if that followed within a second, or was not small.
	Gap int64

	base int64 // first interval of the current run
	run  uint32
	len  uint32 // payload since the latest pause, as far as it matters
}

// MinBeats is how many equal intervals in a row make a rhythm. Requests that
// come at random are within beatSlack of the interval before once in ten
// times or so: five in a row once in ten thousand.
const MinBeats = 5

const (
	beatPause = 1e9 // ns: nobody's heartbeat is faster; what follows sooner belongs to the same one
	beatBytes = 256 // bytes: a TLS record with an HTTP/2 PING has 46, a Kafka heartbeat about 150
	beatSlack = 16  // an interval may differ by one sixteenth from the run's first
)

// beat takes note of n payload bytes that the end sends at the given time,
// when its last payload came at e.LastData.
func (e *End) beat(at Stamp, n uint32) { e.Beat.take(e.LastData, at, n) }

// take is [End.beat] for an end whose last payload came at last.
func (b *Beat) take(last, at Stamp, n uint32) {
	if !last.Seen() {
		b.len = min(n, beatBytes+1)
		return
	}
	gap := at.Time - last.Time
	if gap < beatPause {
		if b.len = min(b.len+n, beatBytes+1); b.busy() {
			b.run, b.Gap = 0, 0
		}
		return
	}
	if b.len = min(n, beatBytes+1); b.busy() {
		b.run, b.Gap = 0, 0
		return
	}
	// All are held against the first of the run, lest a drift pass for a rhythm.
	if d := gap - b.base; b.run > 0 && d*beatSlack <= b.base && -d*beatSlack <= b.base {
		b.run++
	} else {
		b.run, b.base = 1, gap
	}
	b.Gap = gap
	if b.run >= MinBeats && b.run > b.Count {
		b.Period, b.Count = gap, b.run
	}
}

// busy reports whether too much came since the latest pause to be a beat, so
// that nothing changes before the next one.
func (b *Beat) busy() bool { return b.len > beatBytes }
