package wsconn_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/origin"
	"example.com/gateway/internal/wsconn"
)

// The key and its answer are taken from RFC 6455, section 1.3.
const (
	sampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// upgrade is an upgrade request. Each change replaces the line that begins with the
// same word, or adds a new line. "-Word" removes a line.
func upgrade(changes ...string) string {
	lines := []string{
		"GET /path HTTP/1.1", "Host: api.example.com", "Connection: keep-alive, Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + sampleKey,
	}
	word := func(line string) string { w, _, _ := strings.Cut(line, " "); return w }
next:
	for _, change := range changes {
		remove, isRemoval := strings.CutPrefix(change, "-")
		for i, line := range lines {
			switch {
			case isRemoval && word(line) == remove:
				lines = append(lines[:i:i], lines[i+1:]...)
				continue next
			case word(line) == word(change), i == 0 && strings.Contains(change, " HTTP/1."):
				lines[i] = change
				continue next
			}
		}
		lines = append(lines, change)
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

func TestCheckHandshake(t *testing.T) {
	t.Parallel()
	upgradeTo := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}
	withVersion := upgradeTo.Clone()
	withVersion.Set("Sec-WebSocket-Version", "13")
	none := http.Header{}
	for _, tc := range []struct {
		name     string
		request  string
		patterns []string
		status   int // of the refusal; 0: accepted
		header   http.Header
	}{
		{"a good request", upgrade(), nil, 0, nil},
		{"words in any case", upgrade("Connection: UPGRADE", "Upgrade: WebSocket"), nil, 0, nil},
		{"extensions and subprotocols are no reason to refuse", upgrade("Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Protocol: a, b"), nil, 0, nil},
		{"an announced empty body", upgrade("Content-Length: 0"), nil, 0, nil},
		{"no Upgrade", upgrade("-Upgrade:"), nil, 426, upgradeTo},
		{"another Upgrade", upgrade("Upgrade: h2c"), nil, 426, upgradeTo},
		{"no Connection", upgrade("-Connection:"), nil, 426, upgradeTo},
		{"another Connection", upgrade("Connection: keep-alive"), nil, 426, upgradeTo},
		{"version 8", upgrade("Sec-WebSocket-Version: 8"), nil, 426, withVersion},
		{"no version", upgrade("-Sec-WebSocket-Version:"), nil, 426, withVersion},
		{"HTTP/1.0", upgrade("GET /path HTTP/1.0"), nil, 426, http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade, close"}}},
		{"no key", upgrade("-Sec-WebSocket-Key:"), nil, 400, none},
		{"a key that is not base64", upgrade("Sec-WebSocket-Key: !"), nil, 400, none},
		{"a key of 15 bytes", upgrade("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA"), nil, 400, none},
		{"two keys", upgrade("Sec-Websocket-Key: " + sampleKey), nil, 400, none},
		{"POST", upgrade("POST /path HTTP/1.1"), nil, 405, http.Header{"Allow": {"GET"}}},
		{"a body", upgrade("Content-Length: 3") + "abc", nil, 400, none},
		{"a body without an upgrade", upgrade("POST /path HTTP/1.1", "-Upgrade:", "Content-Length: 3") + "abc", nil, 426, upgradeTo},
		{"a body of a POST", upgrade("POST /path HTTP/1.1", "Content-Length: 3") + "abc", nil, 405, http.Header{"Allow": {"GET"}}},
		{"a chunked body", upgrade("Transfer-Encoding: chunked") + "0\r\n\r\n", nil, 400, none},

		{"the same origin", upgrade("Origin: https://api.example.com"), nil, 0, nil},
		{"the same origin in another case", upgrade("Origin: https://API.Example.com"), nil, 0, nil},
		{"a foreign origin", upgrade("Origin: https://evil.example"), nil, 403, none},
		{"another port", upgrade("Origin: https://api.example.com:8443"), nil, 403, none},
		{"a foreign origin that begins alike", upgrade("Origin: https://api.example.com.evil.example"), nil, 403, none},
		{"a foreign origin that names us as its user", upgrade("Origin: https://api.example.com@evil.example"), nil, 403, none},
		{"an origin of a pattern", upgrade("Origin: https://app.example.org"), []string{"x", "*.example.org"}, 0, nil},
		{"a pattern in any case", upgrade("Origin: https://APP.example.org"), []string{"App.EXAMPLE.org"}, 0, nil},
		{"a pattern matches the whole host", upgrade("Origin: https://example.org.evil.example"), []string{"*.org", "example.org"}, 403, none},
		{"every origin", upgrade("Origin: https://any.example"), []string{"*"}, 0, nil},
		{"an opaque origin", upgrade("Origin: null"), []string{"*.example.org"}, 403, none},
		{"a foreign origin without an upgrade", upgrade("-Upgrade:", "Origin: https://evil.example"), nil, 426, upgradeTo},
		{"an origin that is no URL", upgrade("Origin: https://%zz"), []string{"*"}, 403, none},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(tc.request)))
			require.NoError(t, err)
			h, refusal := wsconn.CheckHandshake(r, parse(t, tc.patterns))
			if tc.status == 0 {
				require.Nil(t, refusal)
				require.NotNil(t, h)
				return
			}
			require.Nil(t, h)
			require.Equal(t, tc.status, refusal.StatusCode, "%v", refusal.Err)
			require.Equal(t, tc.header, refusal.Header)
			require.Error(t, refusal.Err)
		})
	}
}

func TestCheckHandshake_overHTTP2(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "https://api.example.com/path", nil)
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
	_, refusal := wsconn.CheckHandshake(r, nil)
	require.Equal(t, http.StatusUpgradeRequired, refusal.StatusCode)
	require.Empty(t, refusal.Header, "RFC 9113, 8.2.2: HTTP/2 has no Upgrade")
}

// parse parses the texts of patterns.
func parse(t *testing.T, texts []string) (patterns origin.Patterns) {
	t.Helper()
	for _, text := range texts {
		p, err := origin.Parse(text)
		require.NoError(t, err)
		patterns = append(patterns, p)
	}
	return patterns
}

// handshake checks a sample request.
func handshake(t *testing.T) *wsconn.Handshake {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(upgrade())))
	require.NoError(t, err)
	h, refusal := wsconn.CheckHandshake(r, nil)
	require.Nil(t, refusal)
	return h
}

func TestConn_WriteHandshake(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name        string
		header      http.Header
		subprotocol string
		want        http.Header // besides those of every 101
	}{
		{"nothing more than needed", nil, "", nil},
		{"a subprotocol", nil, "chat", http.Header{"Sec-Websocket-Protocol": {"chat"}}},
		{"fields of the caller", http.Header{"X-A": {"1", "2"}}, "", http.Header{"X-A": {"1", "2"}}},
		{
			"not those of the handshake or of a body, however written",
			http.Header{
				"sec-websocket-accept": {"x"}, "Sec-WebSocket-Protocol": {"y"}, "Sec-WebSocket-Extensions": {"permessage-deflate"},
				"connection": {"close"}, "UPGRADE": {"h2c"}, "Content-Length": {"5"}, "Transfer-Encoding": {"chunked"}, "date": {"never"},
			},
			"", nil,
		},
		{"line breaks in a subprotocol", nil, "chat\r\nX-Evil: 1\n\nbody", http.Header{"Sec-Websocket-Protocol": {"chat  X-Evil: 1  body"}}},
		{"line breaks in a value", http.Header{"X-A": {"1\r\nX-Evil: 1"}}, "", http.Header{"X-A": {"1  X-Evil: 1"}}},
		{"line breaks in a name", http.Header{"X-A: 1\r\nX-Evil": {"1"}}, "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h, before := handshake(t), tc.header.Clone()
			overTransports(t, wsconn.Limits{}, func(t *testing.T, c *wsconn.Conn, peer net.Conn) {
				failed := make(chan error, 1)
				background(t, func() {
					failed <- c.WriteHandshake(h, tc.header, tc.subprotocol, patience)
					_ = c.Write([]byte("next"), within(patience))
					c.Close()
				})
				all := bufio.NewReader(peer)
				resp, err := http.ReadResponse(all, nil)
				require.NoError(t, err)
				require.NoError(t, <-failed)
				require.Equal(t, "HTTP/1.1 101 Switching Protocols", resp.Proto+" "+resp.Status)
				date, err := http.ParseTime(resp.Header.Get("Date"))
				require.NoError(t, err)
				require.WithinDuration(t, time.Now(), date, time.Minute)
				resp.Header.Del("Date")
				want := tc.want.Clone()
				if want == nil {
					want = http.Header{}
				}
				want.Set("Connection", "upgrade")
				want.Set("Upgrade", "websocket")
				want.Set("Sec-WebSocket-Accept", sampleAccept)
				require.Equal(t, want, resp.Header)
				rest, err := io.ReadAll(all)
				require.NoError(t, err)
				require.Equal(t, "next", string(rest))
				require.Equal(t, before, tc.header)
			})
		})
	}
}

// acceptor is a server that passes its connections to the test.
func acceptor(t *testing.T, limits wsconn.Limits, secure bool) (srv *httptest.Server, conns <-chan *wsconn.Conn) {
	t.Helper()
	ch := make(chan *wsconn.Conn, 1)
	srv = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, refusal := wsconn.CheckHandshake(r, nil)
		if refusal != nil {
			http.Error(w, refusal.Err.Error(), refusal.StatusCode)
			return
		}
		if limits.Deflate != nil {
			h.Deflate(r)
		}
		c, err := h.Hijack(w, &limits)
		if err == nil {
			err = c.WriteHandshake(h, w.Header(), "", patience)
		}
		if err != nil {
			panic(fmt.Sprint("handshake: ", err))
		}
		ch <- c
	}))
	srv.Config.ReadTimeout = patience // Hijack has to clear this deadline
	if secure {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return srv, ch
}

// unbuffered is a writer whose Hijack returns a connection but no buffer.
type unbuffered struct {
	http.ResponseWriter
	nc net.Conn
}

func (u unbuffered) Hijack() (net.Conn, *bufio.ReadWriter, error) { return u.nc, nil, nil }

func TestHandshake_Hijack(t *testing.T) {
	t.Parallel()
	x := strings.Repeat("x", 20_000)
	for _, secure := range []bool{false, true} {
		for _, tc := range []struct {
			name     string
			early    []byte
			rest     []byte // after the 101
			messages []string
		}{
			{"nothing", nil, text("late"), []string{"late"}},
			{"a frame", text("early"), nil, []string{"early"}},
			{"a first byte", text("early")[:1], text("early")[1:], []string{"early"}},
			{"frames and a half", join(text("early"), text("bird"), text("x")[:6]), text("x")[6:], []string{"early", "bird", "x"}},
			{"more than net/http buffers", join(text("early"), text(x), text("bird")), nil, []string{"early", x, "bird"}},
		} {
			t.Run(fmt.Sprintf("early %s with TLS %v", tc.name, secure), func(t *testing.T) {
				t.Parallel()
				srv, conns := acceptor(t, wsconn.Limits{}, secure)
				client, err := net.Dial("tcp", srv.Listener.Addr().String())
				require.NoError(t, err)
				if secure {
					client = tls.Client(client, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the server is the test's own
				}
				// RFC 6455 forbids clients to do so; some do it anyway.
				send(t, client, join([]byte(upgrade()), tc.early))
				resp, err := http.ReadResponse(bufio.NewReader(client), nil)
				require.NoError(t, err)
				require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
				c := <-conns
				defer c.Close()
				sendNow(client, tc.rest, 0)
				c.SetReadDeadline(time.Now().Add(patience))
				for _, want := range tc.messages {
					message, _, err := c.Read(&control{})
					require.NoError(t, err)
					require.Equal(t, want, string(message))
				}
			})
		}
	}
	t.Run("a writer of somebody else's that returns no buffers", func(t *testing.T) {
		t.Parallel()
		server, client := memoryPair(t)
		c, err := handshake(t).Hijack(unbuffered{httptest.NewRecorder(), server}, &wsconn.Limits{})
		require.NoError(t, err)
		background(t, func() { _, _ = client.Write(text("hello")) })
		message, _, err := c.Read(&control{})
		require.NoError(t, err)
		require.Equal(t, "hello", string(message))
	})
	t.Run("fails where the writer cannot", func(t *testing.T) {
		t.Parallel()
		_, err := handshake(t).Hijack(httptest.NewRecorder(), &wsconn.Limits{})
		require.ErrorIs(t, err, http.ErrNotSupported)
	})
}
