package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// A scrape is one short request a few times a minute, from one or two
// servers. Whatever needs more is something else.
const (
	maxConns       = 32
	maxScrapes     = 4       // at the same time
	maxHeader      = 8 << 10 // bytes
	headerTimeout  = 5 * time.Second
	requestTimeout = 10 * time.Second
	answerTimeout  = 30 * time.Second
	idleTimeout    = 75 * time.Second // above the common interval of scrapes, a minute
	closeTimeout   = 2 * time.Second
)

// Server serves the page until it is closed.
type Server struct {
	listener net.Listener
	http     *http.Server
	warning  string
	done     chan error

	// busy is held for reading by each request that is being answered, so
	// that Close can wait for them.
	busy   sync.RWMutex
	closed bool
}

// Serve serves GET /metrics and /healthz at addr: HOST:PORT, a port alone or
// with only a colon before it (then on 127.0.0.1), or unix:PATH. It listens
// when it returns; an error says what to type instead.
//
// There is no authentication. Nothing is served but numbers, and by default
// to this machine alone; [Server.Warning] says when it is otherwise.
func (m *Metrics) Serve(addr string) (*Server, error) {
	a, err := parseAddress(addr)
	if err != nil {
		return nil, err
	}
	l, err := a.listen()
	if err != nil {
		return nil, err
	}
	answered, warning := hosts{name: strings.ToLower(strings.TrimSuffix(a.host, "."))}, ""
	if _, unix := l.Addr().(*net.UnixAddr); unix {
		answered.all = true // a browser cannot be led there
	} else if !private(l) {
		answered.all = true
		warning = fmt.Sprintf("--metrics %s: everybody who reaches %s can read the metrics; "+
			"a firewall, or 127.0.0.1 behind a proxy that asks for a password, keeps strangers out", addr, l.Addr())
	}
	s := m.server(l, answered)
	s.warning = warning
	s.start()
	return s, nil
}

// server answers on l once it is started.
func (m *Metrics) server(l net.Listener, answered hosts) *Server {
	s := &Server{listener: l, done: make(chan error, 1)}
	s.http = &http.Server{
		Handler:                      s.track(guard(answered, m.pages())),
		ReadHeaderTimeout:            headerTimeout,
		ReadTimeout:                  requestTimeout,
		WriteTimeout:                 answerTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeader,
		DisableGeneralOptionsHandler: true,
		// It would tell the terminal of each stranger's TLS handshake.
		ErrorLog:  log.New(io.Discard, "", 0),
		ConnState: atMost(maxConns),
	}
	return s
}

func (s *Server) start() {
	go func() { s.done <- s.http.Serve(s.listener) }()
}

// Addr is where the server listens, as in "127.0.0.1:9317".
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Warning is what the user should be told about who can reach the server, ""
// if nothing.
func (s *Server) Warning() string { return s.warning }

// Close ends the server and waits for requests that are being answered. The
// error is what made it stop serving before, if anything did.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		s.http.Close() // a reader that does not read
	}
	s.busy.Lock()
	s.closed = true
	s.busy.Unlock()
	err := <-s.done
	s.done <- err // for whoever closes twice
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("--metrics: %w", err)
}

// atMost closes connections beyond n at once. A listener that wraps them to
// count would hide CloseWrite from net/http, whose answers to bad requests
// are then lost to a RST.
func atMost(n int64) func(net.Conn, http.ConnState) {
	open := new(atomic.Int64)
	return func(c net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			if open.Add(1) > n {
				c.Close()
			}
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
	}
}

// track lets Close wait for h.
func (s *Server) track(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.busy.RLock()
		defer s.busy.RUnlock()
		if !s.closed {
			h.ServeHTTP(w, r)
		}
	})
}

// guard answers only what a scraper asks.
func guard(answered hosts, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		switch {
		case !answered.allow(r.Host):
			http.Error(w, "not under this name: ask for an IP address or localhost", http.StatusMisdirectedRequest)
		case r.URL.Path != "/metrics" && r.URL.Path != "/healthz":
			http.Error(w, "hangup serves /metrics and /healthz", http.StatusNotFound)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// pages are what there is to read.
func (m *Metrics) pages() http.Handler {
	page := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		// Without /proc the process's own numbers fail; ours are still good.
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
		Timeout:             requestTimeout,
	})
	mux := http.NewServeMux()
	mux.Handle("/metrics", page)
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if err := m.state.health(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ok\n")
	})
	return mux
}
