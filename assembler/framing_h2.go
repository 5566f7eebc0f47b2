package assembler

// Frame types and flags of HTTP/2 (RFC 9113 6).
const (
	frameData      = 0x0
	frameHeaders   = 0x1
	frameRSTStream = 0x3
	frameSettings  = 0x4
	framePing      = 0x6
	frameGoAway    = 0x7

	frameEndStream = 0x1 // on DATA and HEADERS
)

// HTTP/2's use of Framing.w and Framing.n.
const (
	wMaxStream = iota
	wLastStream
	wGoAwayCode
	wRSTStream
	wRSTCode
	wFrame // stream of the current frame
	wFrameLen
	wEnded // stream of the last END_STREAM
)

const (
	nFrames = iota
	nOpened
	nEnded
	nReset
	nGoAway
	nPing
)

// preface reads what follows PRI * HTTP/2.0 (RFC 9113 3.4).
func (f *Framing) preface(seg []byte) int {
	const rest = "\r\nSM\r\n\r\n"
	for i, b := range seg {
		if b != rest[f.have] {
			f.refuse()
			return i
		}
		if f.have++; int(f.have) == len(rest) {
			f.proto, f.state = AppHTTP2, inFrameHeader
			f.acc, f.have = 0, 0
			f.flags |= h2Client
			f.w, f.n = [8]uint32{}, [6]uint16{}
			return i + 1
		}
	}
	return len(seg)
}

// frameHeader collects the nine bytes of a frame header; the ninth is the
// lowest of the stream's number.
func (f *Framing) frameHeader(seg []byte) int {
	for i, b := range seg {
		if f.have == 8 {
			f.frame(b)
			return i + 1
		}
		f.acc = f.acc<<8 | uint64(b)
		f.have++
	}
	return len(seg)
}

// frame opens the frame whose header is acc and b.
func (f *Framing) frame(b byte) {
	n, kind, flags := f.acc>>40, uint8(f.acc>>32), uint8(f.acc>>24)
	stream := (uint32(f.acc)<<8 | uint32(b)) &^ (1 << 31)
	if f.proto == AppUnknown {
		// A server's first frame: SETTINGS without ACK, on no stream, six
		// bytes a setting (RFC 9113 6.5).
		if kind != frameSettings || flags != 0 || stream != 0 || n%6 != 0 || n >= 1<<14 {
			f.refuse()
			return
		}
		f.proto = AppHTTP2
	}
	f.acc, f.have = 0, 0
	f.kind, f.left = kind, n
	f.w[wFrame], f.w[wFrameLen] = stream, uint32(n)
	f.flags &^= framingLook
	switch kind {
	case frameHeaders:
		// Odd streams are the client's; a server's even ones are pushes.
		if stream > f.w[wMaxStream] && stream&1 == 1 {
			f.w[wMaxStream] = stream
			f.count(nOpened)
		}
		fallthrough
	case frameData:
		if flags&frameEndStream != 0 && stream&1 == 1 {
			f.count(nEnded)
			f.w[wEnded] = stream
		}
	case frameRSTStream, frameGoAway:
		f.flags |= framingLook
	}
	if n == 0 {
		f.endFrame()
	}
}

// lookFrame collects the first eight bytes of a payload.
func (f *Framing) lookFrame(got []byte) {
	for _, b := range got {
		if f.have == 8 {
			return
		}
		f.acc = f.acc<<8 | uint64(b)
		f.have++
	}
}

// endFrame takes note of the frame that has gone by.
func (f *Framing) endFrame() {
	looked := f.flags&framingLook != 0
	f.flags &^= framingLook
	f.count(nFrames)
	switch f.kind {
	case framePing:
		f.count(nPing)
	case frameRSTStream:
		if f.flags&h2Client == 0 && f.w[wFrame] == f.w[wEnded] {
			break
		}
		f.count(nReset)
		if looked && f.have == 4 {
			f.w[wRSTStream], f.w[wRSTCode] = f.w[wFrame], uint32(f.acc)
		}
	case frameGoAway:
		f.count(nGoAway)
		if looked && f.have == 8 {
			f.w[wLastStream], f.w[wGoAwayCode] = uint32(f.acc>>32)&^(1<<31), uint32(f.acc)
			f.flags &^= h2Debug
			if f.w[wFrameLen] > 8 {
				f.flags |= h2Debug
			}
		}
	}
	f.acc, f.have = 0, 0
}

// H2State is what one direction shows of HTTP/2 without TLS.
type H2State struct {
	Preface   bool   // the client's: its connection preface was seen
	Frames    uint16 // complete frames; saturates, as all counts
	MaxStream uint32 // highest odd stream with a HEADERS frame
	Opened    uint16 // odd streams with a HEADERS frame
	Ended     uint16 // frames with END_STREAM on odd streams
	Resets    uint16 // RST_STREAM frames; a server's straight behind its END_STREAM is left out, for it only stops the upload
	RSTStream uint32 // stream of the last one
	RSTCode   uint32 // its error code
	GoAways   uint16 // GOAWAY frames
	GoAway    uint32 // last stream identifier of the last one
	ErrCode   uint32 // its error code
	Debug     bool   // it carries debug data
	Pings     uint16 // PING frames, acknowledgments included
	Header    uint8  // bytes of an incomplete frame header, 0 to 8
	Missing   uint32 // payload bytes missing of an incomplete frame
}

// H2 tells what the direction shows if Protocol is AppHTTP2.
func (f *Framing) H2() H2State {
	h := H2State{
		Preface: f.flags&h2Client != 0, Frames: f.n[nFrames], MaxStream: f.w[wMaxStream],
		Opened: f.n[nOpened], Ended: f.n[nEnded],
		Resets: f.n[nReset], RSTStream: f.w[wRSTStream], RSTCode: f.w[wRSTCode],
		GoAways: f.n[nGoAway], GoAway: f.w[wLastStream], ErrCode: f.w[wGoAwayCode], Debug: f.flags&h2Debug != 0,
		Pings: f.n[nPing], Missing: uint32(f.left),
	}
	if f.left == 0 {
		h.Header = f.have
	}
	return h
}
