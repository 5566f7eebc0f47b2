package capture

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

const (
	// headSize is what formats are told apart by. minHead of it is waited
	// for, since a live pipe may give no more for a while.
	headSize = 4096
	minHead  = pcapFileHeader

	// maxZstdWindow is what the zstd command accepts without being asked.
	maxZstdWindow = 128 << 20
	// maxNesting is how many compressions we look through: rotation
	// scripts compress what dumpcap has already compressed.
	maxNesting = 2
)

// stream is the bytes of a capture, decompressed.
type stream struct {
	io.Reader
	compression string // "", "gzip", ... or "zstd in gzip"
	regular     bool   // a regular file: waiting for a full chunk takes no time
	closers     []func()
}

func (s *stream) close() {
	for _, f := range s.closers {
		f()
	}
	s.closers = nil
}

// openStream looks at the first bytes of raw, and through its compression.
// It returns those that it decompressed for that; reading goes on behind.
func openStream(raw io.Reader, regular bool) (s stream, head []byte, err error) {
	s = stream{Reader: raw, regular: regular}
	head, err = readHead(raw)
	for depth := 0; err == nil && depth < maxNesting; depth++ {
		kind := sniffCompression(head)
		if kind == "" {
			return s, head, nil
		}
		if s.compression != "" {
			s.compression = kind + " in " + s.compression
		} else {
			s.compression = kind
		}
		// The decompressors read in small pieces.
		packed := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(head), s.Reader), firstChunk)
		if err = s.decompress(kind, packed); err == nil {
			head, err = readHead(s.Reader)
		}
	}
	if err != nil {
		s.close()
		return s, nil, s.explain(err)
	}
	return s, head, nil
}

// readHead is shorter than minHead only if the stream is.
func readHead(r io.Reader) ([]byte, error) {
	head := make([]byte, headSize)
	n := 0
	for empty := 0; n < minHead; {
		m, err := r.Read(head[n:])
		n += m
		if err == io.EOF {
			break
		}
		if err != nil && n == 0 {
			return nil, err
		}
		if err != nil {
			// The reader will meet it again.
			break
		}
		if m == 0 {
			if empty++; empty == 100 {
				return nil, io.ErrNoProgress
			}
		}
	}
	return head[:n], nil
}

// sniffCompression knows the frames of RFC 1952, RFC 8878 and lz4 by their
// magic numbers. Skippable frames, which zstd and lz4 share, are put in
// front by pzstd.
func sniffCompression(head []byte) string {
	if len(head) < 4 {
		return ""
	}
	switch m := binary.LittleEndian.Uint32(head); {
	case m&0xffffff == 0x088b1f:
		return "gzip"
	case m == 0xfd2fb528, m&^0xf == 0x184d2a50:
		return "zstd"
	case m == 0x184d2204, m == 0x184c2102:
		return "lz4"
	}
	return ""
}

// decompress puts a decompressor in front of the stream. All of them work in
// the caller's goroutine, and in memory that does not grow with the file.
func (s *stream) decompress(kind string, packed io.Reader) error {
	switch kind {
	case "gzip":
		z, err := gzip.NewReader(packed)
		s.Reader = z
		return err
	case "zstd":
		z, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return err
		}
		s.Reader = z
		s.closers = append([]func(){z.Close}, s.closers...)
	case "lz4":
		z := lz4.NewReader(packed)
		s.Reader = z
		return z.Apply(lz4.ConcurrencyOption(1))
	}
	return nil
}

// explain says what an error of the stream means to its owner.
func (s *stream) explain(err error) error {
	switch {
	case s.compression == "":
		return fmt.Errorf("read error: %w", err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the %s data ends too early (copied or compressed only in part?)", s.compression)
	case errors.Is(err, gzip.ErrChecksum):
		return fmt.Errorf("the %s data does not match its checksum, compare it with its original", s.compression)
	case errors.Is(err, gzip.ErrHeader):
		return fmt.Errorf("something that is not gzip follows in the %s data", s.compression)
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return fmt.Errorf("the zstd data needs more than %d MiB of memory, unpack it with: zstd -d --long=31", maxZstdWindow>>20)
	}
	return fmt.Errorf("the %s data is damaged (%w)", s.compression, err)
}
