package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"hangup/capture"
)

// sendAtOnce is how many frames one system call takes.
const sendAtOnce = 64

// mmsghdr is struct mmsghdr of sendmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	sent   uint32
}

// send is the child that sends frames at a rate, and says how many in which time.
func (p *livePlan) send(w io.Writer) error {
	link, err := net.InterfaceByName(p.link)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: link.Index}); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
		return err
	}
	messages, err := p.messages()
	if err != nil {
		return err
	}
	start := time.Now()
	sent, all := 0, len(messages)*p.rounds
	for {
		elapsed := time.Since(start)
		if p.file == "" && elapsed.Seconds() >= p.seconds || p.file != "" && sent == all {
			fmt.Fprintln(w, sent, elapsed.Seconds())
			return nil
		}
		due := int(elapsed.Seconds()*float64(p.rate)) - sent
		if p.file != "" {
			due = min(due, all-sent)
		}
		if due <= 0 {
			time.Sleep(100 * time.Microsecond)
			continue
		}
		at := sent % len(messages)
		batch := messages[at:min(len(messages), at+min(due, sendAtOnce))]
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&batch[0])), uintptr(len(batch)), 0, 0, 0)
		if errno != 0 && errno != unix.ENOBUFS && errno != unix.EINTR {
			return fmt.Errorf("sendmmsg: %w", errno)
		}
		if errno == 0 {
			if p.file == "" {
				p.advance(batch[:n])
			}
			sent += int(n)
			if p.file != "" && sent%len(messages) == 0 {
				relocate(messages, byte(sent/len(messages)))
			}
		}
	}
}

// messages are what to send: the frames of the file, or those of all flows in
// turn, a multiple of sendAtOnce.
func (p *livePlan) messages() ([]mmsghdr, error) {
	if p.file != "" {
		return fileMessages(p.file)
	}
	n := (max(p.flows, 1) + sendAtOnce - 1) / sendAtOnce * sendAtOnce
	messages := make([]mmsghdr, n)
	for i := range messages {
		messages[i] = message(liveFrame(i, max(p.size, 54)))
	}
	return messages, nil
}

func message(frame []byte) (m mmsghdr) {
	vector := &unix.Iovec{Base: &frame[0]}
	vector.SetLen(len(frame))
	m.header.Iov = vector
	m.header.SetIovlen(1)
	return m
}

// advance lets each flow go on behind what was sent of it.
func (p *livePlan) advance(sent []mmsghdr) {
	for i := range sent {
		frame := unsafe.Slice(sent[i].header.Iov.Base, 54)
		seq := binary.BigEndian.Uint32(frame[38:])
		binary.BigEndian.PutUint32(frame[38:], seq+uint32(max(p.size, 54)-54))
		binary.BigEndian.PutUint16(frame[18:], binary.BigEndian.Uint16(frame[18:])+1)
	}
}

// liveFrame is a segment of a connection in full swing, size bytes long.
func liveFrame(flow, size int) []byte {
	f := make([]byte, size)
	copy(f, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00")
	ip := f[14:]
	ip[0], ip[6], ip[8], ip[9] = 0x45, 0x40, 64, unix.IPPROTO_TCP
	binary.BigEndian.PutUint16(ip[2:], uint16(size-14))
	copy(ip[12:], []byte{198, 18, byte(flow >> 8), byte(flow), 198, 19, 0, 1})
	tcp := ip[20:]
	binary.BigEndian.PutUint16(tcp, uint16(20000+flow%20000))
	binary.BigEndian.PutUint16(tcp[2:], 443)
	binary.BigEndian.PutUint32(tcp[8:], 1)
	tcp[12], tcp[13] = 5<<4, 0x10
	binary.BigEndian.PutUint16(tcp[14:], 512)
	return f
}

// stopOnInterrupt stops a capture as Ctrl-C does.
func stopOnInterrupt(l *capture.Live) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	<-c
	l.Stop()
}
