package assembler

// Content types of TLS records (RFC 8446 5.1; 24 is RFC 6520's heartbeat).
const (
	recordCCS       = 20
	recordAlert     = 21
	recordHandshake = 22
	recordData      = 23
	recordHeartbeat = 24
)

// maxRecord is the longest a record may claim to be: 2^14 bytes and 2048 of
// protection (RFC 5246 6.2.3; RFC 8446 5.2 allows only 256).
const maxRecord = 1<<14 + 2048

// sealedAlert is the length of an unpadded alert under TLS 1.3: two bytes,
// the inner content type, and the 16 byte tag of every cipher of RFC 8446 B.4.
const sealedAlert = 2 + 1 + 16

// TLS's use of Framing.w and Framing.n.
const (
	wRecordVersion = iota
	wSelected      // version the ServerHello selects, once all of it was read
	wLegacy        // version field of the ServerHello, superseded by supported_versions
	wRecordLen     // of the record being read, or the last
	wLastLen       // of the last complete record
	wFirstData     // of the first application_data record
	wNeed          // bytes the next item of the ServerHello takes
	wExtensions    // bytes left of its extensions
)

const (
	nRecords = iota
	nHandshake
	nCCS
	nData
	nAlert
	nShortData // application_data records of an alert's length under TLS 1.3
)

// recordHeader collects the five bytes of a record header.
func (f *Framing) recordHeader(seg []byte) int {
	for i, b := range seg {
		f.acc = f.acc<<8 | uint64(b)
		if f.have++; f.have == 5 {
			f.record()
			return i + 1
		}
	}
	return len(seg)
}

// plausibleRecord checks a header of five bytes in the low bits of h.
func plausibleRecord(h uint64) bool {
	kind, major, n := uint8(h>>32), uint8(h>>24), h&0xffff
	// RFC 8446 5.1: only application_data may be empty.
	return kind >= recordCCS && kind <= recordHeartbeat && major == 3 && n <= maxRecord && (n > 0 || kind == recordData)
}

// record opens the record whose header acc holds.
func (f *Framing) record() {
	h := f.acc
	if !plausibleRecord(h) {
		f.refuse()
		return
	}
	f.acc, f.have = 0, 0
	f.kind, f.left = uint8(h>>32), h&0xffff
	f.w[wRecordVersion] = uint32(h >> 16 & 0xffff)
	f.w[wRecordLen] = uint32(f.left)
	if f.proto == AppUnknown {
		f.proto = AppTLS
		f.first = f.kind
	}
	f.flags &^= framingLook
	switch {
	case f.kind == recordAlert && f.left == 2:
		// No cipher leaves an alert at two bytes: this one is in the clear.
		f.flags |= framingLook
	case f.kind == recordHandshake && f.n[nHandshake] == 0:
		f.flags |= framingLook
		f.helloNext(helloHead, 4)
	}
	if f.left == 0 {
		f.endRecord()
	}
}

// endRecord counts the record that has gone by.
func (f *Framing) endRecord() {
	f.flags &^= framingLook
	f.acc, f.have = 0, 0
	f.last = f.kind
	f.w[wLastLen] = f.w[wRecordLen]
	f.count(nRecords)
	switch f.kind {
	case recordHandshake:
		f.count(nHandshake)
		if f.n[nCCS] > 0 {
			f.flags |= tlsFinished
		}
	case recordCCS:
		f.count(nCCS)
	case recordAlert:
		f.count(nAlert)
	case recordData:
		if f.n[nData] == 0 {
			f.w[wFirstData] = f.w[wLastLen]
		}
		f.count(nData)
		if f.w[wLastLen] == sealedAlert {
			f.count(nShortData)
		}
	}
}

// lookTLS reads an alert in the clear, or the first handshake message.
func (f *Framing) lookTLS(got []byte) {
	if f.kind == recordHandshake {
		f.hello(got)
		return
	}
	for _, b := range got {
		f.level, f.code = f.code, b
		if f.have++; f.have == 2 {
			f.flags |= tlsAlerted
		}
	}
}

// Items of a ServerHello (RFC 8446 4.1.3), each a fixed number of bytes; have
// says which one is being read.
const (
	helloHead uint8 = iota + 1
	helloVersion
	helloRandom
	helloSessionLen
	helloSession
	helloExtensions
	helloExtension
	helloIgnored
	helloSupportedVersions
	helloALPN
)

func (f *Framing) helloNext(item uint8, bytes uint32) {
	f.have, f.acc, f.w[wNeed] = item, 0, bytes
}

// hello reads as much of a ServerHello as names the version and the protocol
// it selects. Other messages and a hello that spans records end it.
func (f *Framing) hello(got []byte) {
	for len(got) > 0 && f.flags&framingLook != 0 {
		n := min(int(f.w[wNeed]), len(got))
		for _, b := range got[:n] {
			f.acc = f.acc<<8 | uint64(b)
		}
		got = got[n:]
		f.w[wNeed] -= uint32(n)
		for f.w[wNeed] == 0 && f.flags&framingLook != 0 {
			f.helloItem()
		}
	}
}

// helloItem takes the item that acc now holds and says what comes next.
func (f *Framing) helloItem() {
	v := uint32(f.acc)
	switch f.have {
	case helloHead:
		if v>>24 != 2 {
			f.helloDone()
			return
		}
		f.w[wExtensions] = v & 0xffffff // the whole message, until its parts are known
		f.helloNext(helloVersion, 2)
	case helloVersion:
		f.w[wLegacy] = v
		f.helloNext(helloRandom, 32)
	case helloRandom:
		f.helloNext(helloSessionLen, 1)
	case helloSessionLen:
		session := v&0xff + 3 // the cipher suite and compression method too
		f.w[wExtensions] -= min(f.w[wExtensions], 2+32+1+session)
		f.helloNext(helloSession, session)
	case helloSession:
		if f.w[wExtensions] == 0 {
			f.helloSelects() // no extensions at all
			return
		}
		f.helloNext(helloExtensions, 2)
	case helloExtensions:
		f.w[wExtensions] = v
		f.helloExtension()
	case helloExtension:
		f.helloBody(v>>16, v&0xffff)
	case helloSupportedVersions:
		f.w[wLegacy] = v & 0xffff
		f.helloExtension()
	case helloALPN:
		if f.acc == 0x00_03_02_68_32 { // a list of 3 bytes, a name of 2, "h2"
			f.flags |= tlsALPNH2
		}
		f.helloExtension()
	default:
		f.helloExtension()
	}
}

// helloExtension begins the next extension, if there is one.
func (f *Framing) helloExtension() {
	if f.w[wExtensions] < 4 {
		f.helloSelects()
		return
	}
	f.w[wExtensions] -= 4
	f.helloNext(helloExtension, 4)
}

// helloBody begins the body of an extension of that type and length.
func (f *Framing) helloBody(kind, n uint32) {
	if n > f.w[wExtensions] {
		f.helloDone()
		return
	}
	f.w[wExtensions] -= n
	switch {
	case kind == 43 && n == 2: // RFC 8446 4.2.1
		f.helloNext(helloSupportedVersions, n)
	case kind == 16 && n == 5: // RFC 7301 3.1
		f.helloNext(helloALPN, n)
	case n == 0:
		f.helloExtension()
	default:
		f.helloNext(helloIgnored, n)
	}
}

func (f *Framing) helloSelects() {
	f.w[wSelected] = f.w[wLegacy]
	f.helloDone()
}

func (f *Framing) helloDone() {
	f.flags &^= framingLook
	f.acc, f.have = 0, 0
}

// regainTLS brings a lost TLS stream back into step at a segment that is
// exactly one record long, as a lone alert is: by chance a segment out of the
// middle of a record looks so once in 10^10.
func (f *Framing) regainTLS(seg []byte, wire uint64) bool {
	if f.proto != AppTLS || len(seg) < 5 {
		return false
	}
	h := uint64(seg[0])<<32 | uint64(seg[1])<<24 | uint64(seg[2])<<16 | uint64(seg[3])<<8 | uint64(seg[4])
	if seg[2] > 4 || !plausibleRecord(h) || h&0xffff+5 != wire {
		return false
	}
	f.flags &^= framingLost
	return true
}

// TLSState is what one direction shows of TLS.
type TLSState struct {
	Version    uint16 // of the last record header; TLS 1.3 writes 0x0303 there
	Selected   uint16 // version the ServerHello selects, 0x0304 for TLS 1.3; 0 if none was read to its end
	H2         bool   // ServerHello selects h2 by ALPN; TLS 1.3 hides it
	Records    uint16 // complete records; saturates, as all counts
	Handshakes uint16 // of these, type 22: in TLS 1.3 only what is in the clear
	CCS        uint16 // ... type 20
	Data       uint16 // ... type 23: in TLS 1.3 everything that is encrypted
	Alerts     uint16 // ... type 21: in TLS 1.3 only those in the clear
	ShortData  uint16 // ... type 23 and 19 bytes long, as an alert is in TLS 1.3
	FirstData  uint16 // length of the first record of type 23
	First      uint8  // type of the first record
	Last       uint8  // type of the last complete record
	LastLen    uint16 // its length, without the header
	Finished   bool   // a handshake record behind a ChangeCipherSpec: Finished, in TLS 1.2 and before
	Alerted    bool   // an alert in the clear: the last one is
	Level      uint8  // ... 1 warning, 2 fatal
	Code       uint8  // ... description (RFC 8446 6)
	Header     uint8  // bytes of an incomplete record header, 0 to 4
	Missing    uint32 // bytes missing of an incomplete record
}

// TLS tells what the direction shows if Protocol is AppTLS.
func (f *Framing) TLS() TLSState {
	t := TLSState{
		Version:  uint16(f.w[wRecordVersion]),
		Selected: uint16(f.w[wSelected]), H2: f.flags&tlsALPNH2 != 0,
		Records: f.n[nRecords], Handshakes: f.n[nHandshake], CCS: f.n[nCCS], Data: f.n[nData],
		Alerts: f.n[nAlert], ShortData: f.n[nShortData], FirstData: uint16(f.w[wFirstData]),
		First: f.first, Last: f.last, LastLen: uint16(f.w[wLastLen]),
		Finished: f.flags&tlsFinished != 0, Alerted: f.flags&tlsAlerted != 0, Level: f.level, Code: f.code,
		Missing: uint32(f.left),
	}
	if f.left == 0 {
		t.Header = f.have
	}
	return t
}

// AlertLast reports whether the last complete record is or may be an alert:
// type 21, or where the version is or may be 1.3 type 23 of an alert's
// length, which two bytes of data have too. v13 false excludes the latter.
func (t *TLSState) AlertLast(v13 bool) bool {
	return t.Last == recordAlert || v13 && t.Last == recordData && t.LastLen == sealedAlert
}
