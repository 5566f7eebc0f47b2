package classify

import (
	"net"
	"os"
	"syscall"
	"testing"
)

// TestErrnoWords holds the table against package syscall's, which has these
// numbers and words only here.
func TestErrnoWords(t *testing.T) {
	for tok, errno := range map[Token]syscall.Errno{
		eACCES: syscall.EACCES, ePIPE: syscall.EPIPE, eNONET: syscall.ENONET, ePROTO: syscall.EPROTO,
		eNOPROTOOPT: syscall.ENOPROTOOPT, eOPNOTSUPP: syscall.EOPNOTSUPP, eNETUNREACH: syscall.ENETUNREACH,
		eCONNABORTED: syscall.ECONNABORTED, eCONNRESET: syscall.ECONNRESET, eNOTCONN: syscall.ENOTCONN,
		eTIMEDOUT: syscall.ETIMEDOUT, eCONNREFUSED: syscall.ECONNREFUSED, eHOSTDOWN: syscall.EHOSTDOWN,
		eHOSTUNREACH: syscall.EHOSTUNREACH,
	} {
		if got := linuxErrno(tok).Error(); got != errno.Error() {
			t.Errorf("%s is %q, syscall says %q", tok, got, errno.Error())
		}
		w := wording{}
		want := &net.OpError{Op: "read", Net: "tcp", Addr: &net.TCPAddr{}, Err: os.NewSyscallError("read", errno)}
		if got := w.call("read", "read", w.local, w.remote, tok).Text; got != want.Error() {
			t.Errorf("%s: %q, want %q", tok, got, want)
		}
	}
}

// TestRefusedAndReset compares with the kernel and package net together.
func TestRefusedAndReset(t *testing.T) {
	client, server, w := pair(t)
	if err := server.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	server.Close()
	_, err := client.Read(make([]byte, 1))
	if got := w.read(eCONNRESET).Text; err == nil || got != err.Error() {
		t.Errorf("read: %q, net says %v", got, err)
	}
	_, err = client.Write([]byte("x"))
	if got := w.write(ePIPE).Text; err == nil || got != err.Error() {
		t.Errorf("write: %q, net says %v", got, err)
	}
	_, err = net.Dial("tcp", w.remote.String())
	if got := w.dial(eCONNREFUSED).Text; err == nil || got != err.Error() {
		t.Errorf("dial: %q, net says %v", got, err)
	}
}
