package gateway_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
	"example.com/gateway/managementclient"
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

type valueKey struct{}

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
		var over *managementclient.Error
		require.ErrorAs(t, errs[3], &over)
		require.Equal(t, managementclient.Error{StatusCode: 410, Type: "GoneException"}, *over)
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
			gateway.WithUsageStore(plans), gateway.WithTrustedProxies(netip.MustParsePrefix("192.0.2.0/24")))
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
		one, other := gatewaytest.Header("X-Forwarded-For", "198.51.100.1"), gatewaytest.Header("Forwarded", "for=198.51.100.2")
		key, room := apiKey(annsKey), gatewaytest.Query("room", "42")
		requireRefused(t, srv, 400, `"Bad Request"`, from, one, other, long, foreign)
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

// unwrapping is a ResponseWriter like those that middleware makes.
type unwrapping struct{ http.ResponseWriter }

func (u unwrapping) Unwrap() http.ResponseWriter { return u.ResponseWriter }

func TestUpgrade_Mounted(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		wrap func(http.Handler) http.Handler
	}{
		{"behind http.StripPrefix", func(h http.Handler) http.Handler { return http.StripPrefix("/test", h) }},
		{"behind a mux", func(h http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("GET /test", h)
			return mux
		}},
		{"behind a writer with Unwrap", func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(unwrapping{unwrapping{w}}, r) })
		}},
		{"behind http.MaxBytesHandler", func(h http.Handler) http.Handler { return http.MaxBytesHandler(h, 10) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			gw := newGateway(t)
			gw.HandleFunc("$default", answer("on"), gateway.WithRouteResponse())
			w := wiretest.Serve(t, tc.wrap(gw.Handler()))
			require.Equal(t, 101, w.MustAsk(wiretest.Upgrade("/test")).Status)
			w.MustSend(wiretest.Text, strings.Repeat("x", 100))
			require.Equal(t, "on", w.Receive())
		})
	}
}

func TestUpgrade_WriterThatCannotHijack(t *testing.T) {
	t.Parallel()
	rejected := make(chan int, 1)
	gw := newGateway(t, gateway.WithObserver(&gateway.Observer{
		UpgradeRejected: func(_ context.Context, _ *gateway.Request, status int, _ error) { rejected <- status },
	}))
	w := wiretest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gw.Handler().ServeHTTP(struct{ http.ResponseWriter }{w}, r)
	}))
	r := w.MustAsk(wiretest.Upgrade("/test"))
	require.Equal(t, 500, r.Status)
	require.Regexp(t, `^\{"message": "Internal server error", "connectionId":"[^"]{20}", "requestId":"[^"]{16}"\}$`, r.Body)
	require.Equal(t, 500, <-rejected)
	require.Empty(t, connectionIDs(gw))
}

func TestUpgrade_OverTLS(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"", "http/1.1"} {
		t.Run("ALPN "+protocol, func(t *testing.T) {
			t.Parallel()
			gw := newGateway(t)
			gw.HandleFunc("$connect", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
				if req.Upgrade.TLS == nil {
					return &gateway.Response{StatusCode: 403}, nil
				}
				return nil, nil
			})
			gw.HandleFunc("$default", answer("on"), gateway.WithRouteResponse())
			srv := serveTLS(t, gw.Handler())
			config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "example.com", MinVersion: tls.VersionTLS12}
			config.RootCAs.AddCert(srv.Certificate())
			if protocol != "" {
				config.NextProtos = []string{protocol}
			}
			nc, err := tls.Dial("tcp", srv.Listener.Addr().String(), config)
			require.NoError(t, err)
			w := wiretest.New(t, nc)
			w.MustWriteString(wiretest.Upgrade("/test") + textFrame("early"))
			require.Equal(t, 101, w.MustReadAnswer().Status)
			require.Equal(t, "on", w.Receive())
			w.MustSend(wiretest.Text, "late")
			require.Equal(t, "on", w.Receive())
		})
	}
}

func serveTLS(tb testing.TB, h http.Handler) *httptest.Server {
	tb.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	tb.Cleanup(srv.Close)
	return srv
}

func TestUpgrade_OverHTTP2(t *testing.T) {
	t.Parallel()
	gw := newGateway(t)
	gw.HandleFunc("$connect", answerNothing)
	srv := serveTLS(t, gw.Handler())
	resp, err := srv.Client().Get(srv.URL)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 2, resp.ProtoMajor)
	require.Equal(t, http.StatusUpgradeRequired, resp.StatusCode)
	require.Contains(t, string(body), `{"message": "Upgrade Required", "connectionId":"`)
	require.NotEmpty(t, resp.Header.Get("x-amz-apigw-id"))
	for _, name := range []string{"Connection", "Upgrade", "Keep-Alive", "Transfer-Encoding"} {
		require.Empty(t, resp.Header.Values(name), "RFC 9113, 8.2.2: no %s in HTTP/2; strict clients drop the response", name)
	}
}
