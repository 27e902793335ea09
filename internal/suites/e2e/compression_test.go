//go:build unix

package e2e

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
)

// compressing is a gateway that compresses and echoes, with a page that uses it.
type compressing struct {
	*httptest.Server
	in, out atomic.Int64 // bytes of all connections
}

func startCompressing(t *testing.T) *compressing {
	t.Helper()
	gw, err := gateway.New(gateway.WithCompression(gateway.Compression{}))
	require.NoError(t, err)
	gw.HandleFunc(gateway.RouteKeyDefault, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: req.Body}, nil
	}, gateway.WithRouteResponse())
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "testdata/compression.html") })
	mux.Handle("/ws", gw.Handler())
	s := &compressing{Server: httptest.NewUnstartedServer(mux)}
	s.Listener = counting{s.Listener, s}
	s.Start()
	t.Cleanup(func() {
		_ = gw.Close()
		s.Close()
	})
	return s
}

func (s *compressing) ws() string { return "ws" + strings.TrimPrefix(s.URL, "http") + "/ws" }

// counting counts the bytes of the connections that it accepts.
type counting struct {
	net.Listener
	s *compressing
}

func (l counting) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return counted{nc, l.s}, nil
}

type counted struct {
	net.Conn
	s *compressing
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.s.in.Add(int64(n))
	return n, err
}

func (c counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.s.out.Add(int64(n))
	return n, err
}

// exchange is what a client says of texts of 10, 600 and 20,000 characters and their echoes.
type exchange struct {
	Extensions string
	Same       []bool
	Code       int
	Error      string
}

func (s *compressing) require(t *testing.T, report string, in, out int64) {
	t.Helper()
	var got exchange
	require.NoError(t, json.Unmarshal([]byte(report), &got), report)
	got.Extensions, _, _ = strings.Cut(got.Extensions, ";") // Chromium tells the parameters, too
	require.Equal(t, exchange{Extensions: "permessage-deflate", Same: []bool{true, true, true}, Code: 1000}, got)
	require.Less(t, s.in.Load(), in, "bytes from the client")
	require.Less(t, s.out.Load(), out, "bytes to the client")
}

// The client ws of Node.js, with and without limits of the window and context takeover.
func TestCompression_ws(t *testing.T) {
	outside(t)
	node := findTool(t, "install Node.js 20 or newer", "node")
	findModule(t, "ws/package.json")
	for name, tc := range map[string]struct {
		options string
		out     int64
	}{
		"as it comes":         {`true`, 3000},
		"each message":        {`{"threshold":0}`, 3000},
		"a window of 512":     {`{"threshold":0,"serverMaxWindowBits":9,"clientMaxWindowBits":9}`, 30_000}, // longer messages come as they are
		"a window of 32 KiB":  {`{"threshold":0,"serverMaxWindowBits":15}`, 3000},
		"no context takeover": {`{"threshold":0,"serverNoContextTakeover":true,"clientNoContextTakeover":true}`, 3000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startCompressing(t)
			p := start(t, exec.CommandContext(t.Context(), node, "compression.mjs", s.ws(), tc.options, "10", "600", "20000"))
			s.require(t, p.line(t, 0), 3000, tc.out)
		})
	}
}

// The client websockets of Python.
func TestCompression_websockets(t *testing.T) {
	outside(t)
	python := findTool(t, "apt-get install python3", "/usr/bin/python3", "python3")
	if err := exec.CommandContext(t.Context(), python, "-c", "import websockets").Run(); err != nil {
		missing(t, "websockets", "apt-get install python3-websockets")
	}
	s := startCompressing(t)
	p := start(t, exec.CommandContext(t.Context(), python, "compression.py", s.ws(), "10", "600", "20000"))
	s.require(t, p.line(t, 0), 3000, 3000)
}

// Chromium offers compression with each WebSocket.
func TestCompression_browser(t *testing.T) {
	outside(t)
	b := startBrowser(t)
	s := startCompressing(t)
	page := b.open(t, "compression", s.URL+"/", 600, 400, false)
	page.see(t, status, "1000")
	s.require(t, strings.TrimPrefix(page.get(t, "text", status), "Online "), 6000, 6000) // with the requests for the page and its icon
}
