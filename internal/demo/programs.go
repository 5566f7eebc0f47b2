package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Ports of the server, one for each habit.
const (
	healthy   = 8080 // a proper net/http server
	aborting  = 8081 // answers half, then SetLinger(0) and Close
	unread    = 8082 // closes without reading the request's body
	closing   = 8083 // closes at once and expects the client to do the same
	silent    = 8084 // a connection on which the path goes dark under a request
	idle      = 8085 // ... or while both sides are silent
	nobody    = 9090 // no listener
	rejected  = 7000 // a firewall answers with ICMP
	blackhole = 6000 // a firewall drops
)

func server() error {
	go http.Serve(listen(healthy), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprintln(w, "order accepted")
	}))
	go each(listen(aborting), func(c *net.TCPConn) {
		bufio.NewReader(c).ReadString('\n')
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nthe first of")
		time.Sleep(50 * time.Millisecond)
		c.SetLinger(0)
		c.Close()
	})
	go each(listen(unread), func(c *net.TCPConn) {
		time.Sleep(100 * time.Millisecond)
		c.Close()
	})
	go each(listen(closing), func(c *net.TCPConn) {
		c.Write([]byte("bye\n"))
		c.Close()
	})
	go each(listen(silent), func(c *net.TCPConn) { io.Copy(io.Discard, c) })
	each(listen(idle), func(c *net.TCPConn) { io.Copy(io.Discard, c) })
	return nil
}

func listen(port int) net.Listener {
	// Plain TCP, so that the recording shows the ends without MPTCP's options.
	lc := net.ListenConfig{KeepAlive: -1}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp4", fmt.Sprintf(":%d", port))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return l
}

func each(l net.Listener, f func(*net.TCPConn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go f(c.(*net.TCPConn))
	}
}

// client runs its troubles side by side.
func client() error {
	var wg sync.WaitGroup
	for _, f := range []func(){orders, race, abort, upload, leak, timeout, keepAlive, refused, firewall, noAnswer} {
		wg.Add(1)
		go func() { defer wg.Done(); f() }()
	}
	wg.Wait()
	fmt.Println("done")
	time.Sleep(10 * time.Second)
	return nil
}

func dial(port int, d net.Dialer) net.Conn {
	c, err := d.Dial("tcp4", net.JoinHostPort(serverIP, strconv.Itoa(port)))
	if err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		return nil
	}
	return c
}

var plain = net.Dialer{KeepAlive: -1}

// orders is what works: a connection per request, closed by the client.
func orders() {
	for i := range 13 {
		hc := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		r, err := hc.Post(fmt.Sprintf("http://%s:%d/orders", serverIP, healthy), "text/plain", strings.NewReader(fmt.Sprint("order ", i)))
		if err == nil {
			io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
		time.Sleep(7 * time.Second)
	}
}

// race reuses a connection that the server has closed meanwhile.
func race() {
	for range 3 {
		if c := dial(closing, plain); c != nil {
			time.Sleep(200 * time.Millisecond)
			fmt.Fprint(c, "POST /orders HTTP/1.1\r\nHost: api\r\nContent-Length: 0\r\n\r\n")
			time.Sleep(100 * time.Millisecond)
			c.Close()
		}
		time.Sleep(9 * time.Second)
	}
}

func abort() {
	for range 2 {
		r, err := http.Get(fmt.Sprintf("http://%s:%d/report", serverIP, aborting))
		if err == nil {
			io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
		time.Sleep(5 * time.Second)
	}
}

// upload sends a body that the server never reads.
func upload() {
	if c := dial(unread, plain); c != nil {
		c.Write(make([]byte, 30_000))
		io.Copy(io.Discard, c)
		c.Close()
	}
}

// leak forgets to close what the server has closed.
func leak() {
	var kept []net.Conn
	for range 4 {
		if c := dial(closing, plain); c != nil {
			io.Copy(io.Discard, c)
			kept = append(kept, c)
		}
		time.Sleep(3 * time.Second)
	}
	time.Sleep(75 * time.Second) // longer than FIN_WAIT2 lasts
	runtime.KeepAlive(kept)      // or finalizers would close what the program did not
}

// timeout writes into a path that has gone dark.
func timeout() {
	c := dial(silent, plain)
	if c == nil {
		return
	}
	c.Write([]byte("first request\n"))
	time.Sleep(time.Second)
	dark(silent)
	c.Write([]byte("second request\n"))
	io.Copy(io.Discard, c)
	c.Close()
}

// keepAlive finds out by itself that its peer cannot be reached any more.
func keepAlive() {
	c := dial(idle, net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 4 * time.Second, Interval: 4 * time.Second, Count: 4}})
	if c == nil {
		return
	}
	c.Write([]byte("subscribe\n"))
	time.Sleep(6 * time.Second)
	dark(idle)
	io.Copy(io.Discard, c)
	c.Close()
}

func refused() {
	for range 5 {
		dial(nobody, plain)
		time.Sleep(2 * time.Second)
	}
}

func firewall() { dial(rejected, plain) }

func noAnswer() { dial(blackhole, net.Dialer{Timeout: 10 * time.Second}) }
