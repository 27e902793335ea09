package handshake_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
	"example.com/gateway/internal/testutil"
)

// script is the server's end of a socket. Its client sends the bytes, ends its
// stream, and reads everything.
type script struct {
	in     *bytes.Reader
	out    testutil.LockedBuffer
	closed chan struct{} // closed by Close
}

func (s *script) Read(p []byte) (int, error)  { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error) { return s.out.Write(p) }
func (s *script) LocalAddr() net.Addr         { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (s *script) RemoteAddr() net.Addr           { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }
func (*script) SetDeadline(time.Time) error      { return nil }
func (*script) SetReadDeadline(time.Time) error  { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }

func (s *script) Close() error {
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	return nil
}

// scripts is a listener that accepts scripts.
type scripts chan *script

func (l scripts) Accept() (net.Conn, error) {
	if s, ok := <-l; ok {
		return s, nil
	}
	return nil, net.ErrClosed
}
func (scripts) Close() error     { return nil }
func (l scripts) Addr() net.Addr { return (*script)(nil).LocalAddr() }

// FuzzUpgrade sends any bytes to the handler of upgrades, behind net/http. Only a
// request that is an upgrade by RFC 6455 gets a 101 and reaches $connect; an
// independent parser of its header decides that. A request that is refused calls no
// integration, and neither do the bytes after it. The handler serves nothing but
// upgrades.
func FuzzUpgrade(f *testing.F) {
	with := func(lines ...string) string { return wiretest.Upgrade("/test", lines...) }
	for _, text := range []string{
		with(), with() + string(wiretest.Frame(wiretest.Text, `{"action":"x"}`)), with("Origin: http://gateway.test"), with("Origin: https://evil.example"), with("Origin: null"), with("Upgrade: h2c"),
		with("Sec-WebSocket-Key: " + wiretest.SampleKey), with("Content-Length: 5") + "hello", with("Transfer-Encoding: chunked") + "0\r\n\r\n", with("Sec-WebSocket-Protocol: a, b", "Expect: 100-continue"),
		strings.Replace(with(), "Version: 13", "Version: 12", 1) + with(), strings.Replace(with(), "/test", "http://evil.example/test", 1), strings.Replace(with(), "1.1", "1.0", 1), strings.Replace(with(), "1.1", "1.2", 1),
		strings.Replace(with(), wiretest.SampleKey, "short", 1), strings.Replace(with(), "GET", "POST", 1) + with(), with("Authorization: a", "Authorization: b"), "GET /@connections/x HTTP/1.1\r\nHost: x\r\n\r\n",
		with("X-Refuse: 1") + string(wiretest.Frame(wiretest.Text, `{"action":"x"}`)), with("X-Refuse: 1") + with(), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "", "\x00",
	} {
		f.Add([]byte(text))
	}
	var connects, messages int // for the current input
	gw, err := gateway.New(gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: -1}, InFlight: 1}))
	require.NoError(f, err)
	f.Cleanup(func() { require.NoError(f, gw.Close()) })
	gw.HandleFunc(gateway.RouteKeyConnect, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		if req.Upgrade.Header.Get("X-Refuse") != "" {
			return &gateway.Response{StatusCode: http.StatusForbidden}, nil
		}
		connects++
		return nil, nil
	})
	ended := make(chan struct{}, 1)
	gw.HandleFunc(gateway.RouteKeyDefault, func(context.Context, *gateway.Request) (*gateway.Response, error) { messages++; return nil, nil })
	gw.HandleFunc(gateway.RouteKeyDisconnect, func(context.Context, *gateway.Request) (*gateway.Response, error) {
		ended <- struct{}{}
		return nil, nil
	})
	l := make(scripts)
	srv := &http.Server{Handler: gw.Handler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }() // ends with the listener; the cleanup waits
	f.Cleanup(func() {
		close(l)
		require.ErrorIs(f, <-served, net.ErrClosed)
	})
	f.Fuzz(func(t *testing.T, sent []byte) {
		connects, messages = 0, 0
		s := &script{in: bytes.NewReader(sent), closed: make(chan struct{})}
		l <- s
		<-s.closed
		if connects > 0 {
			<-ended
		}
		requests, answers := bufio.NewReader(bytes.NewReader(sent)), bufio.NewReader(strings.NewReader(s.out.String()))
		upgraded := false
		for !upgraded {
			resp, err := http.ReadResponse(answers, nil)
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				break
			}
			require.NoError(t, err, "%q", s.out.String())
			_, err = io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			switch upgraded = resp.StatusCode == http.StatusSwitchingProtocols; {
			case upgraded:
				requireUpgrade(t, requests, resp)
			case resp.StatusCode != http.StatusContinue:
				require.GreaterOrEqual(t, resp.StatusCode, 400, "nothing is served but upgrades")
				if r, err := http.ReadRequest(requests); err == nil {
					_, _ = io.Copy(io.Discard, r.Body)
				}
			}
		}
		require.Equal(t, upgraded, connects == 1, "%q", s.out.String())
		require.LessOrEqual(t, connects, 1)
		if !upgraded {
			require.Zero(t, messages, "what is behind a refused upgrade is no message")
		}
	})
}

// requireUpgrade checks that the next one of requests is an upgrade, and that resp
// answers it.
func requireUpgrade(t *testing.T, requests *bufio.Reader, resp *http.Response) {
	t.Helper()
	r, err := http.ReadRequest(requests)
	require.NoError(t, err)
	has := func(name, token string) bool {
		for _, part := range strings.Split(strings.Join(r.Header.Values(name), ","), ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
		return false
	}
	require.Equal(t, "GET", r.Method)
	require.Equal(t, 1, r.ProtoMajor)
	require.GreaterOrEqual(t, r.ProtoMinor, 1) // at least HTTP/1.1 (RFC 6455, section 4.1); a higher minor version is served as 1.1 (RFC 9110, section 2.5)
	require.True(t, has("Connection", "upgrade") && has("Upgrade", "websocket") && has("Sec-WebSocket-Version", "13"), "%v", r.Header)
	require.Zero(t, r.ContentLength)
	require.Empty(t, r.TransferEncoding)
	require.Len(t, r.Header.Values("Sec-WebSocket-Key"), 1)
	key := r.Header.Get("Sec-WebSocket-Key")
	raw, err := base64.StdEncoding.DecodeString(key)
	require.NoError(t, err)
	require.Len(t, raw, 16)
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	require.Equal(t, base64.StdEncoding.EncodeToString(sum[:]), resp.Header.Get("Sec-WebSocket-Accept"))
	require.Empty(t, resp.Header.Values("Sec-WebSocket-Extensions"))
	require.LessOrEqual(t, len(r.Header.Values("Authorization")), 1)
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		require.NoError(t, err)
		require.True(t, strings.EqualFold(u.Host, r.Host), "%q is not %q", origin, r.Host)
	}
}

// FuzzClose sends a Close frame with any payload. The answer and $disconnect must
// have the code and the reason that RFC 6455 requires.
func FuzzClose(f *testing.F) {
	for _, payload := range []string{"", "\x03", "\x03\xe8", "\x03\xe8bye", "\x03\xed", "\x03\xec", "\x0b\xb8\n\x1b", "\x13\x87x", "\x13\x88", "\x03\xe8\xff", "\x03\xe8" + strings.Repeat("x", 123), "\x00\x00"} {
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		payload = payload[:min(len(payload), 125)]
		srv := gatewaytest.New(t)
		srv.Handle(gateway.RouteKeyDisconnect, &gateway.MockIntegration{})
		w := wiretest.Dial(t, srv.HTTPClient())
		w.MustOpen()
		w.MustSend(wiretest.Close, string(payload))
		code, reason := 1002, "Protocol error"
		switch sent := string(payload); {
		case sent == "":
			code, reason = 1005, "Client-side close frame status not set"
		case len(sent) == 1:
		case !validCloseCode(int(sent[0])<<8 | int(sent[1])):
		case !utf8.ValidString(sent[2:]):
			code, reason = 1007, "Invalid UTF-8"
		default:
			code, reason = int(sent[0])<<8|int(sent[1]), sent[2:]
		}
		answered, _ := w.ReceiveClose()
		require.Equal(t, code, answered)
		require.NoError(t, w.Close())
		e := srv.WaitEvent(func(e gatewaytest.Event) bool { return e.EventType == gateway.EventDisconnect })
		require.Equal(t, code, e.DisconnectStatusCode)
		require.Equal(t, reason, e.DisconnectReason)
	})
}

// validCloseCode reports whether a client may send a code: by RFC 6455, section 7.4,
// or by a later registration at IANA.
func validCloseCode(code int) bool {
	return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006 || code >= 3000 && code < 5000
}
