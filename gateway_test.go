package gateway_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// wire is the client's end of a connection, without a client: what is tested are
// the bytes.
type wire struct {
	tb testing.TB
	nc net.Conn
	br *bufio.Reader
}

// wireTo connects to srv.
func wireTo(tb testing.TB, srv *gatewaytest.Server) *wire {
	tb.Helper()
	transport, ok := srv.HTTPClient().Transport.(*http.Transport)
	require.True(tb, ok)
	nc, err := transport.DialContext(context.Background(), "tcp", "gateway.test:80")
	require.NoError(tb, err)
	return newWire(tb, nc)
}

// wireToHandler connects to h on a server over TCP.
func wireToHandler(tb testing.TB, h http.Handler) *wire {
	tb.Helper()
	srv := httptest.NewServer(h)
	tb.Cleanup(srv.Close)
	nc, err := net.Dial("tcp", srv.Listener.Addr().String())
	require.NoError(tb, err)
	return newWire(tb, nc)
}

func newWire(tb testing.TB, nc net.Conn) *wire {
	tb.Cleanup(func() { _ = nc.Close() })
	return &wire{tb: tb, nc: nc, br: bufio.NewReader(nc)}
}

// newGateway is gateway.New for a server of the test's own.
func newGateway(tb testing.TB, opts ...gateway.Option) *gateway.Gateway {
	tb.Helper()
	gw, err := gateway.New(opts...)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, gw.Close()) })
	return gw
}

// sampleKey is that of RFC 6455, section 1.3, and sampleAccept its answer.
const (
	sampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// upgradeText is an upgrade request, with more header lines.
func upgradeText(lines ...string) string {
	return httpText("GET /test HTTP/1.1", append([]string{
		"Host: gateway.test", "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + sampleKey,
	}, lines...)...)
}

// httpText is a request without a body.
func httpText(first string, lines ...string) string {
	return first + "\r\n" + strings.Join(append(lines, "", ""), "\r\n")
}

func (w *wire) send(text string) {
	w.tb.Helper()
	_, err := io.WriteString(w.nc, text)
	require.NoError(w.tb, err)
}

// reply is a response as it came.
type reply struct {
	line   string   // the status line
	status int      // of it
	fields []string // the header's lines, sorted by nobody
	body   string
}

func (w *wire) reply() reply {
	w.tb.Helper()
	tp := textproto.NewReader(w.br)
	line, err := tp.ReadLine()
	require.NoError(w.tb, err)
	r := reply{line: line}
	require.Regexp(w.tb, `^HTTP/1\.[01] [1-5]\d\d `, line)
	r.status, _ = strconv.Atoi(line[9:12])
	for {
		field, err := tp.ReadLine()
		require.NoError(w.tb, err)
		if field == "" {
			break
		}
		r.fields = append(r.fields, field)
	}
	switch {
	case r.status == 101 || r.status == 204 || r.status == 304:
	case r.get("Transfer-Encoding") == "chunked":
		r.body = w.readAll(httputil.NewChunkedReader(w.br))
		_, err = tp.ReadLine() // behind the last chunk
		require.NoError(w.tb, err)
	default:
		n, err := strconv.ParseInt(r.get("Content-Length"), 10, 64)
		require.NoError(w.tb, err)
		r.body = w.readAll(io.LimitReader(w.br, n))
	}
	return r
}

func (w *wire) readAll(r io.Reader) string {
	w.tb.Helper()
	b, err := io.ReadAll(r)
	require.NoError(w.tb, err)
	return string(b)
}

// ask sends a request and returns the answer.
func (w *wire) ask(text string) reply {
	w.tb.Helper()
	w.send(text)
	return w.reply()
}

// names returns the names of the fields, spelt as they came.
func (r reply) names() []string {
	names := make([]string, len(r.fields))
	for n, f := range r.fields {
		names[n], _, _ = strings.Cut(f, ":")
	}
	return names
}

// get returns the value of the field that is spelt exactly so, "" if there is
// none.
func (r reply) get(name string) string {
	for _, f := range r.fields {
		if v, ok := strings.CutPrefix(f, name+": "); ok {
			return v
		}
	}
	return ""
}

// count returns how many fields have a name, however it is spelt.
func (r reply) count(name string) (n int) {
	for _, f := range r.names() {
		if strings.EqualFold(f, name) {
			n++
		}
	}
	return n
}

// textFrame is a client's text message of less than 64 KiB, masked with zeros.
func textFrame(text string) string {
	head := []byte{0x81, 0x80}
	if n := len(text); n < 126 {
		head[1] |= byte(n)
	} else {
		head = append(head[:1], 0x80|126, byte(n>>8), byte(n))
	}
	return string(head) + "\x00\x00\x00\x00" + text
}

// frame reads a server's frame of less than 126 bytes.
func (w *wire) frame() (opcode byte, payload string) {
	w.tb.Helper()
	var head [2]byte
	_, err := io.ReadFull(w.br, head[:])
	require.NoError(w.tb, err)
	require.Less(w.tb, head[1], byte(126), "not masked, and short")
	b := make([]byte, head[1])
	_, err = io.ReadFull(w.br, b)
	require.NoError(w.tb, err)
	return head[0] & 0xf, string(b)
}

func (w *wire) receive() string {
	w.tb.Helper()
	opcode, payload := w.frame()
	require.Equal(w.tb, byte(1), opcode, "a text frame")
	return payload
}

// respond returns an integration that always answers resp.
func respond(resp *gateway.Response) gateway.IntegrationFunc {
	return func(context.Context, *gateway.Request) (*gateway.Response, error) { return resp, nil }
}

func isConnect(e gatewaytest.Event) bool { return e.EventType == gateway.EventConnect }

func TestUpgrade_SwitchingProtocols(t *testing.T) {
	t.Parallel()
	t.Run("the 101 has the fields of the handshake and a date, nothing else", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			srv := gatewaytest.New(t)
			r := wireTo(t, srv).ask(upgradeText())
			require.Equal(t, "HTTP/1.1 101 Switching Protocols", r.line)
			require.ElementsMatch(t, []string{
				"Connection: upgrade", "Upgrade: websocket", "Sec-Websocket-Accept: " + sampleAccept,
				"Date: Sat, 01 Jan 2000 00:00:00 GMT",
			}, r.fields)
		})
	})
	t.Run("and what an outer middleware has set", func(t *testing.T) {
		t.Parallel()
		gw := newGateway(t)
		w := wireToHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("X-Frame-Options", "deny")
			h.Add("Set-Cookie", "a=1")
			h.Add("Set-Cookie", "b=2")
			h.Set("Sec-WebSocket-Extensions", "permessage-deflate") // would change what follows
			h.Set("Content-Length", "7")
			gw.Handler().ServeHTTP(w, r)
		}))
		r := w.ask(upgradeText())
		require.Equal(t, 101, r.status)
		require.Equal(t, "deny", r.get("X-Frame-Options"))
		require.Contains(t, r.fields, "Set-Cookie: a=1")
		require.Contains(t, r.fields, "Set-Cookie: b=2")
		require.Len(t, r.fields, 4+3)
	})
	t.Run("no extension is negotiated", func(t *testing.T) {
		t.Parallel()
		r := wireTo(t, gatewaytest.New(t)).ask(upgradeText("Sec-WebSocket-Extensions: permessage-deflate"))
		require.Equal(t, 101, r.status)
		require.Zero(t, r.count("Sec-WebSocket-Extensions"))
	})
	t.Run("any path, any query, tokens in any case", func(t *testing.T) {
		t.Parallel()
		for _, first := range []string{"GET / HTTP/1.1", "GET /a/b?c=%00 HTTP/1.1", "GET //x HTTP/1.1"} {
			r := wireToHandler(t, newGateway(t).Handler()).ask(httpText(first, "Host: x", "Connection: keep-alive, uPgrade",
				"Upgrade: WebSocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: "+sampleKey))
			require.Equal(t, 101, r.status, first)
		}
	})
}

func TestUpgrade_WaitsForConnect(t *testing.T) {
	t.Parallel()
	t.Run("the 101 is withheld until $connect has returned", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			srv := gatewaytest.New(t)
			srv.HandleFunc("$connect", func(context.Context, *gateway.Request) (*gateway.Response, error) {
				time.Sleep(20 * time.Second) //nolint:forbidigo // in a synctest bubble
				return nil, nil
			})
			start := time.Now()
			w := wireTo(t, srv)
			w.send(upgradeText())
			_, err := w.br.Peek(1)
			require.NoError(t, err)
			require.Equal(t, 20*time.Second, time.Since(start), "until then not one byte")
			require.Equal(t, 101, w.reply().status)
		})
	})
	t.Run("without a $connect route a connection is accepted without a call", func(t *testing.T) {
		t.Parallel()
		called := make(chan string, 1)
		srv := gatewaytest.New(t, gateway.WithObserver(&gateway.Observer{
			IntegrationDone: func(_ context.Context, req *gateway.Request, _ *gateway.Response, _ time.Duration, _ error) {
				called <- req.RouteKey
			},
		}))
		srv.HandleFunc("$default", answer("hello"), gateway.WithRouteResponse())
		c := srv.Dial(t)
		require.Empty(t, called)
		c.Send("x")
		require.Equal(t, "hello", c.Receive())
		require.Equal(t, "$default", <-called)
	})
	t.Run("messages sent before the 101 are processed, in order", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			srv := gatewaytest.New(t)
			srv.HandleFunc("$connect", func(context.Context, *gateway.Request) (*gateway.Response, error) {
				time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
				return nil, nil
			})
			srv.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
				return &gateway.Response{Body: append([]byte("got "), req.Body...)}, nil
			}, gateway.WithRouteResponse())
			w := wireTo(t, srv)
			w.send(upgradeText() + textFrame("one") + textFrame("two"))
			go func() { _, _ = io.WriteString(w.nc, textFrame("three")) }() // $connect runs
			require.Equal(t, 101, w.reply().status)
			for _, want := range []string{"got one", "got two", "got three"} {
				require.Equal(t, want, w.receive())
			}
		})
	})
	t.Run("also more of them than a buffer holds, over TCP", func(t *testing.T) {
		t.Parallel()
		gw := newGateway(t)
		gw.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
			return &gateway.Response{Body: []byte(strconv.Itoa(len(req.Body)))}, nil
		}, gateway.WithRouteResponse())
		w := wireToHandler(t, gw.Handler())
		w.send(upgradeText() + textFrame(strings.Repeat("x", 20_000)) + textFrame("12345"))
		require.Equal(t, 101, w.reply().status)
		require.Equal(t, "20000", w.receive())
		require.Equal(t, "5", w.receive())
	})
}

func TestUpgrade_ConnectAccepts(t *testing.T) {
	t.Parallel()
	header := func(name, value string) http.Header { return http.Header{name: {value}} }
	for _, tc := range []struct {
		name     string
		resp     *gateway.Response
		offered  string
		protocol string
	}{
		{"no response", nil, "", ""},
		{"the zero response", &gateway.Response{}, "", ""},
		{"200", &gateway.Response{StatusCode: 200}, "", ""},
		{"299", &gateway.Response{StatusCode: 299}, "", ""},
		{"204, whose body and headers are dropped", &gateway.Response{
			StatusCode: 204, Body: []byte("dropped"), Header: http.Header{"X-Dropped": {"1"}, "Set-Cookie": {"a=1"}, "Content-Type": {"text/x"}},
		}, "", ""},
		{"a subprotocol that was offered", &gateway.Response{Header: header("Sec-Websocket-Protocol", "b")}, "a, b", "b"},
		{"one that was not offered", &gateway.Response{Header: header("Sec-Websocket-Protocol", "c")}, "a, b", "c"},
		{"one, where none was offered", &gateway.Response{Header: header("Sec-Websocket-Protocol", "c")}, "", "c"},
		{"none returned, though some were offered", &gateway.Response{}, "a, b", ""},
		{"an empty one", &gateway.Response{Header: header("Sec-Websocket-Protocol", "")}, "a", ""},
		{"its header in lower case", &gateway.Response{Header: header("sec-websocket-protocol", "a")}, "a", "a"},
		{"its header as the RFC writes it", &gateway.Response{Header: header("Sec-WebSocket-Protocol", "a")}, "a", "a"},
		{"a line break in it splits nothing", &gateway.Response{
			Header: header("Sec-Websocket-Protocol", "a\r\nX-Evil: 1\r\n\r\nbody"),
		}, "a", "a  X-Evil: 1    body"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t)
			srv.Handle("$connect", respond(tc.resp))
			srv.HandleFunc("$default", answer("on"), gateway.WithRouteResponse())
			w := wireTo(t, srv)
			var lines []string
			if tc.offered != "" {
				lines = append(lines, "Sec-WebSocket-Protocol: "+tc.offered)
			}
			r := w.ask(upgradeText(lines...))
			require.Equal(t, 101, r.status, "%v", r)
			want := []string{"Connection", "Upgrade", "Sec-Websocket-Accept", "Date"}
			if tc.protocol != "" {
				want = append(want, "Sec-Websocket-Protocol")
			}
			require.ElementsMatch(t, want, r.names(), "no other header of the integration's reaches the client")
			require.Equal(t, tc.protocol, r.get("Sec-Websocket-Protocol"))
			w.send(textFrame("x"))
			require.Equal(t, "on", w.receive(), "the stream goes on with frames")
		})
	}
}

func TestUpgrade_ConnectRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var header http.Header
		var query url.Values
		var deadline time.Time
		connect := func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
			deadline, _ = ctx.Deadline()
			header, query = req.Upgrade.Header.Clone(), req.Upgrade.URL.Query()
			return nil, nil
		}
		srv := gatewaytest.New(t, gateway.WithStage("prod", map[string]string{"table": "t"}), gateway.WithAPI("a1b2c3d4e5", "api.example.com"))
		srv.HandleFunc("$connect", connect)
		time.Sleep(1234567 * time.Microsecond) //nolint:forbidigo // in a synctest bubble
		now := time.Now()
		c := srv.Dial(t, gatewaytest.SourceIP("2001:db8::7"), gatewaytest.Header("User-Agent", "agent/1"),
			gatewaytest.Header("X-Two", "a"), gatewaytest.Header("X-Two", "b"), gatewaytest.Header("Cookie", "session=s"),
			gatewaytest.Header("X-Forwarded-For", "198.51.100.1"), gatewaytest.Query("token", "a b&c"), gatewaytest.Query("token", "d"))
		e := srv.WaitEvent(isConnect)
		require.Equal(t, "$connect", e.RouteKey)
		require.Equal(t, gateway.EventConnect, e.EventType)
		require.Equal(t, c.ConnectionID(), e.ConnectionID)
		require.Regexp(t, `^[A-Za-z0-9_-]{18}==$`, e.ConnectionID)
		require.Regexp(t, `^[A-Za-z0-9_-]{15}=$`, e.RequestID)
		require.Empty(t, e.MessageID)
		require.Nil(t, e.Body)
		require.Equal(t, gateway.Identity{SourceIP: "2001:db8::7", UserAgent: "agent/1"}, e.Identity,
			"the peer of the socket, whatever X-Forwarded-For says")
		require.Equal(t, "a1b2c3d4e5", e.APIID)
		require.Equal(t, "prod", e.Stage)
		require.Equal(t, "api.example.com", e.DomainName)
		require.Equal(t, map[string]string{"table": "t"}, e.StageVariables)
		require.Equal(t, now, e.ConnectedAt)
		require.Equal(t, now, e.RequestTime)
		require.Zero(t, e.DisconnectStatusCode)
		require.Empty(t, e.DisconnectReason)
		require.Equal(t, []string{"a", "b"}, header["X-Two"])
		require.Equal(t, "session=s", header.Get("Cookie"))
		require.Equal(t, "13", header.Get("Sec-WebSocket-Version"))
		require.Equal(t, "198.51.100.1", header.Get("X-Forwarded-For"))
		require.Equal(t, url.Values{"token": {"a b&c", "d"}}, query)
		require.Equal(t, now.Add(29*time.Second), deadline)
		got, err := srv.GetConnection(t.Context(), c.ConnectionID())
		require.NoError(t, err)
		require.Equal(t, e.ConnectedAt, got.ConnectedAt)
		require.Equal(t, e.Identity, got.Identity)
	})
}

func TestUpgrade_ConnectRequestDefaults(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	srv.HandleFunc("$connect", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Header: http.Header{"Sec-Websocket-Protocol": {req.Upgrade.Header.Get("Sec-WebSocket-Protocol")}}}, nil
	})
	r := wireTo(t, srv).ask(strings.Replace(upgradeText("Sec-WebSocket-Protocol: a,  b"), "gateway.test", "Chat.example.com:8443", 1))
	require.Equal(t, "a,  b", r.get("Sec-Websocket-Protocol"), "the offer arrives as it was sent")
	e := srv.WaitEvent(isConnect)
	require.Equal(t, "local", e.APIID)
	require.Equal(t, "local", e.Stage)
	require.Equal(t, "Chat.example.com:8443", e.DomainName, "the Host of the request")
	require.Empty(t, e.StageVariables)
	require.Equal(t, gateway.Identity{SourceIP: "127.0.0.1"}, e.Identity, "no User-Agent was sent")
	other := srv.Dial(t)
	require.NotEqual(t, e.ConnectionID, other.ConnectionID())
	require.NotEqual(t, e.RequestID, srv.Events()[1].RequestID)
}

type valueKey struct{}

func TestUpgrade_IntegrationContext(t *testing.T) {
	t.Parallel()
	t.Run("it carries the values of the upgrade request, for every event", func(t *testing.T) {
		t.Parallel()
		gw := newGateway(t)
		values := make(chan any, 3)
		for _, key := range []string{"$connect", "$default", "$disconnect"} {
			gw.HandleFunc(key, func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
				values <- ctx.Value(valueKey{})
				return nil, nil
			})
		}
		w := wireToHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			gw.Handler().ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), valueKey{}, "user-1")))
		}))
		require.Equal(t, 101, w.ask(upgradeText()).status)
		w.send(textFrame("x"))
		require.Equal(t, "user-1", <-values)
		require.Equal(t, "user-1", <-values)
		require.NoError(t, w.nc.Close())
		require.Equal(t, "user-1", <-values)
	})
	t.Run("a client that leaves during $connect does not cancel it", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			srv := gatewaytest.New(t)
			var after error
			srv.HandleFunc("$connect", func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
				time.Sleep(10 * time.Second) //nolint:forbidigo // in a synctest bubble
				after = ctx.Err()
				return nil, nil
			})
			srv.HandleFunc("$disconnect", answerNothing)
			w := wireTo(t, srv)
			w.send(upgradeText())
			synctest.Wait()
			require.NoError(t, w.nc.Close())
			e := srv.WaitEvent(isDisconnect)
			require.NoError(t, after)
			require.Equal(t, 1006, e.DisconnectStatusCode, "$connect accepted it, so $disconnect tells of its end")
			require.Empty(t, connectionIDs(srv.Gateway))
		})
	})
}

func connectionIDs(gw *gateway.Gateway) (ids []string) {
	for c := range gw.Connections() {
		ids = append(ids, c.ID)
	}
	return ids
}

func TestUpgrade_WhenItCanBePostedTo(t *testing.T) {
	t.Parallel()
	t.Run("not during $connect: it is gone", func(t *testing.T) {
		t.Parallel()
		srv := gatewaytest.New(t)
		var errs []error
		srv.HandleFunc("$connect", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
			for _, api := range []gateway.ConnectionsAPI{srv.Gateway, srv.Management()} {
				_, err := api.GetConnection(ctx, req.ConnectionID)
				errs = append(errs, api.PostToConnection(ctx, req.ConnectionID, []byte("x")), err, api.DeleteConnection(ctx, req.ConnectionID))
			}
			for c := range srv.Connections() {
				errs = append(errs, gateway.ErrForbidden, &gateway.IntegrationError{RouteKey: c.ID})
			}
			return nil, nil
		})
		c := srv.Dial(t)
		require.Len(t, errs, 6)
		for _, err := range errs {
			require.ErrorIs(t, err, gateway.ErrGone)
		}
		var over *gatewaytest.ManagementError
		require.ErrorAs(t, errs[3], &over)
		require.Equal(t, gatewaytest.ManagementError{StatusCode: 410, Type: "GoneException"}, *over)
		require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte("now")))
		require.Equal(t, "now", c.Receive(), "nothing else was queued")
	})
	t.Run("from ConnectionOpened on, behind the 101", func(t *testing.T) {
		t.Parallel()
		opened := make(chan string, 1)
		var srv *gatewaytest.Server
		var own error
		srv = gatewaytest.New(t, gateway.WithObserver(&gateway.Observer{
			ConnectionOpened: func(ctx context.Context, c gateway.Connection) {
				own = srv.PostToConnection(ctx, c.ID, []byte("first"))
				opened <- c.ID
			},
		}))
		for range 50 {
			w := wireTo(t, srv)
			posted := make(chan error, 1)
			go func() { posted <- srv.PostToConnection(context.Background(), <-opened, []byte("second")) }()
			r := w.ask(upgradeText())
			require.Equal(t, 101, r.status)
			require.Equal(t, "first", w.receive())
			require.Equal(t, "second", w.receive())
			require.NoError(t, <-posted)
			require.NoError(t, own)
		}
	})
}
