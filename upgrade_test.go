package gateway_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
	"example.com/gateway/usageplan"
)

// newGateway calls gateway.New for a test that has its own server.
func newGateway(tb testing.TB, opts ...gateway.Option) *gateway.Gateway {
	tb.Helper()
	gw, err := gateway.New(opts...)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, gw.Close()) })
	return gw
}

// textFrame is a client's text message.
func textFrame(text string) string { return string(wiretest.Frame(wiretest.Text, text)) }

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
			r := wiretest.Dial(t, srv.HTTPClient()).MustAsk(wiretest.Upgrade("/test"))
			require.Equal(t, "HTTP/1.1 101 Switching Protocols", r.Line)
			require.ElementsMatch(t, []string{
				"Connection: upgrade", "Upgrade: websocket", "Sec-Websocket-Accept: " + wiretest.SampleAccept,
				"Date: Sat, 01 Jan 2000 00:00:00 GMT",
			}, r.Fields)
		})
	})
	t.Run("and what an outer middleware has set", func(t *testing.T) {
		t.Parallel()
		gw := newGateway(t)
		w := wiretest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("X-Frame-Options", "deny")
			h.Add("Set-Cookie", "a=1")
			h.Add("Set-Cookie", "b=2")
			h.Set("Sec-WebSocket-Extensions", "permessage-deflate") // would change the frames that follow
			h.Set("Content-Length", "7")
			gw.Handler().ServeHTTP(w, r)
		}))
		r := w.MustAsk(wiretest.Upgrade("/test"))
		require.Equal(t, 101, r.Status)
		require.Equal(t, "deny", r.Get("X-Frame-Options"))
		require.Contains(t, r.Fields, "Set-Cookie: a=1")
		require.Contains(t, r.Fields, "Set-Cookie: b=2")
		require.Len(t, r.Fields, 4+3)
	})
	t.Run("no extension is negotiated", func(t *testing.T) {
		t.Parallel()
		r := wiretest.Dial(t, gatewaytest.New(t).HTTPClient()).MustAsk(wiretest.Upgrade("/test", "Sec-WebSocket-Extensions: permessage-deflate"))
		require.Equal(t, 101, r.Status)
		require.Empty(t, r.Values("Sec-WebSocket-Extensions"))
	})
	t.Run("any path, any query, tokens in any case", func(t *testing.T) {
		t.Parallel()
		for _, first := range []string{"GET / HTTP/1.1", "GET /a/b?c=%00 HTTP/1.1", "GET //x HTTP/1.1"} {
			r := wiretest.Serve(t, newGateway(t).Handler()).MustAsk(wiretest.Request(first, "Host: x", "Connection: keep-alive, uPgrade",
				"Upgrade: WebSocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: "+wiretest.SampleKey))
			require.Equal(t, 101, r.Status, first)
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
			w := wiretest.Dial(t, srv.HTTPClient())
			w.MustWriteString(wiretest.Upgrade("/test"))
			err := w.Peek()
			require.NoError(t, err)
			require.Equal(t, 20*time.Second, time.Since(start), "until then not one byte")
			require.Equal(t, 101, w.MustReadAnswer().Status)
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
			w := wiretest.Dial(t, srv.HTTPClient())
			w.MustWriteString(wiretest.Upgrade("/test") + textFrame("one") + textFrame("two"))
			go func() { _, _ = io.WriteString(w, textFrame("three")) }() // sent while $connect runs
			require.Equal(t, 101, w.MustReadAnswer().Status)
			for _, want := range []string{"got one", "got two", "got three"} {
				require.Equal(t, want, w.Receive())
			}
		})
	})
	t.Run("also more of them than a buffer holds, over TCP", func(t *testing.T) {
		t.Parallel()
		gw := newGateway(t)
		gw.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
			return &gateway.Response{Body: []byte(strconv.Itoa(len(req.Body)))}, nil
		}, gateway.WithRouteResponse())
		w := wiretest.Serve(t, gw.Handler())
		w.MustWriteString(wiretest.Upgrade("/test") + textFrame(strings.Repeat("x", 20_000)) + textFrame("12345"))
		require.Equal(t, 101, w.MustReadAnswer().Status)
		require.Equal(t, "20000", w.Receive())
		require.Equal(t, "5", w.Receive())
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
			w := wiretest.Dial(t, srv.HTTPClient())
			var lines []string
			if tc.offered != "" {
				lines = append(lines, "Sec-WebSocket-Protocol: "+tc.offered)
			}
			r := w.MustAsk(wiretest.Upgrade("/test", lines...))
			require.Equal(t, 101, r.Status, "%v", r)
			want := []string{"Connection", "Upgrade", "Sec-Websocket-Accept", "Date"}
			if tc.protocol != "" {
				want = append(want, "Sec-Websocket-Protocol")
			}
			require.ElementsMatch(t, want, r.Names(), "no other header of the integration's reaches the client")
			require.Equal(t, tc.protocol, r.Get("Sec-Websocket-Protocol"))
			w.MustSend(wiretest.Text, "x")
			require.Equal(t, "on", w.Receive(), "the stream goes on with frames")
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
	r := wiretest.Dial(t, srv.HTTPClient()).MustAsk(strings.Replace(wiretest.Upgrade("/test", "Sec-WebSocket-Protocol: a,  b"), "gateway.test", "Chat.example.com:8443", 1))
	require.Equal(t, "a,  b", r.Get("Sec-Websocket-Protocol"), "the offer arrives as it was sent")
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
		w := wiretest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			gw.Handler().ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), valueKey{}, "user-1")))
		}))
		require.Equal(t, 101, w.MustAsk(wiretest.Upgrade("/test")).Status)
		w.MustSend(wiretest.Text, "x")
		require.Equal(t, "user-1", <-values)
		require.Equal(t, "user-1", <-values)
		require.NoError(t, w.Close())
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
			w := wiretest.Dial(t, srv.HTTPClient())
			w.MustWriteString(wiretest.Upgrade("/test"))
			synctest.Wait()
			require.NoError(t, w.Close())
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
			w := wiretest.Dial(t, srv.HTTPClient())
			posted := make(chan error, 1)
			go func() { posted <- srv.PostToConnection(context.Background(), <-opened, []byte("second")) }()
			r := w.MustAsk(wiretest.Upgrade("/test"))
			require.Equal(t, 101, r.Status)
			require.Equal(t, "first", w.Receive())
			require.Equal(t, "second", w.Receive())
			require.NoError(t, <-posted)
			require.NoError(t, own)
		}
	})
}

// An upgrade that is wrong in every way is refused for the first mistake. When a
// mistake is corrected, the next one shows. The same holds for messages.
func TestUpgrade_StepsInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		plans, err := usageplan.New(usageplan.Plan{
			ID: "p", APIKeys: map[string]string{"ann": annsKey, "bob": bobsKey},
			Quota: usageplan.Quota{Limit: 2, Period: usageplan.Day},
		})
		require.NoError(t, err)
		srv := gatewaytest.New(t,
			gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: 0.001, BurstLimit: 8}, ConnectionsPerSourceIP: 1}),
			gateway.WithUsageStore(plans))
		blocker := srv.Dial(t, gatewaytest.SourceIP("192.0.2.1")) // takes one of eight
		authorized := gateway.ErrUnauthorized
		deploy := func(throttle gateway.Throttle) {
			require.NoError(t, srv.Deploy(gateway.Deployment{Routes: []gateway.Route{{
				RouteKey: gateway.RouteKeyConnect, APIKeyRequired: true, Throttle: throttle,
				Authorizer: gateway.AuthorizerFunc(func(context.Context, *gateway.Request) (*gateway.Authorization, error) {
					return &gateway.Authorization{}, authorized
				}),
				RequestParameters: map[string]bool{"route.request.querystring.room": true},
				Integration:       &gateway.MockIntegration{StatusCode: http.StatusTeapot},
			}}}))
		}
		deploy(gateway.Throttle{RateLimit: 0.001, BurstLimit: 1})

		from := gatewaytest.SourceIP("192.0.2.1")
		long := gatewaytest.Header("X-Long", strings.Repeat("x", 20_000))
		foreign := gatewaytest.Header("Origin", "https://evil.example")
		key, room := apiKey(annsKey), gatewaytest.Query("room", "42")
		requireRefused(t, srv, 431, `"Request Header Fields Too Large"`, from, long, foreign)
		requireRefused(t, srv, 403, `"Forbidden"`, from, foreign)
		requireRefused(t, srv, 429, `"Too Many Requests"`, from) // too many connections of the source
		blocker.Close(1000, "")
		synctest.Wait()
		requireRefused(t, srv, 401, `"Unauthorized"`, from)
		authorized = nil
		requireRefused(t, srv, 403, `"Forbidden"`, from)                                        // no key
		requireRefused(t, srv, 400, `"Missing required request parameters: [room]"`, from, key) // it has taken the only token of the route
		requireRefused(t, srv, 429, `"Too Many Requests"`, from, key, room)                     // does not count against the quota
		deploy(gateway.Throttle{})                                                              // no throttle
		_, refused := srv.TryDial(t, from, key, room)                                           // takes the quota's last request
		require.Equal(t, http.StatusTeapot, refused.StatusCode, "the integration is asked at the end")
		requireRefused(t, srv, 429, `"Limit Exceeded"`, from, key)                      // before the parameters are checked
		requireRefused(t, srv, 429, `"Too Many Requests"`, from, apiKey(bobsKey), room) // the ninth new connection
		require.Len(t, srv.Events(), 1)
	})
}

// The timeouts of the http.Server end with the upgrade: neither reading nor writing stops
// after them.
func TestUpgrade_TimeoutsOfTheServer(t *testing.T) {
	t.Parallel()
	const short = 50 * time.Millisecond
	gw := newGateway(t)
	gw.HandleFunc("$default", func(context.Context, *gateway.Request) (*gateway.Response, error) {
		<-time.After(4 * short)
		return &gateway.Response{Body: []byte("served")}, nil
	}, gateway.WithRouteResponse())
	for name, config := range map[string]*http.Server{
		"ReadTimeout":  {ReadTimeout: short},
		"WriteTimeout": {WriteTimeout: short},
		"all":          {ReadTimeout: short, WriteTimeout: short, IdleTimeout: short, ReadHeaderTimeout: short},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewUnstartedServer(nil)
			srv.Config = config
			srv.Config.Handler = gw.Handler()
			srv.Start()
			t.Cleanup(srv.Close)
			c, status := dial(srv.URL)
			require.Equal(t, http.StatusSwitchingProtocols, status)
			for range 2 {
				c.send("x")
				require.Equal(t, "served", c.receive())
			}
			c.close(1000, "")
		})
	}
}

// Behind a proxy a middleware sets the address of the client.
func TestUpgrade_SourceIPBehindAProxy(t *testing.T) {
	t.Parallel()
	gw := newGateway(t, gateway.WithQuotas(gateway.Quotas{ConnectionsPerSourceIP: 1}))
	srv := gatewaytest.ServeHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = r.Header.Get("X-Real-Ip")
		gw.Handler().ServeHTTP(w, r)
	}))
	for _, ip := range []string{"192.0.2.1", "192.0.2.2"} {
		c := srv.Dial(t, gatewaytest.Header("X-Real-Ip", ip))
		connection, err := gw.GetConnection(t.Context(), c.ConnectionID())
		require.NoError(t, err)
		require.Equal(t, ip, connection.Identity.SourceIP)
		_, refused := srv.TryDial(t, gatewaytest.Header("X-Real-Ip", ip))
		require.Equal(t, http.StatusTooManyRequests, refused.StatusCode, "the quota counts this address")
	}
}
