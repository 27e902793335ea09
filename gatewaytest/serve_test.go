package gatewaytest_test

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// newService is a service as a user may have it: its own mux behind its own login, and
// a gateway in it that nobody outside can reach.
func newService(tb testing.TB, opts ...gateway.Option) http.Handler {
	tb.Helper()
	gw, err := gateway.New(append([]gateway.Option{gateway.WithoutManagementAuth(), gateway.WithStage("prod", nil)}, opts...)...)
	require.NoError(tb, err)
	gw.HandleFunc("echo", echo, gateway.WithRouteResponse())
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: r.FormValue("user")})
	})
	mux.Handle("/old", http.RedirectHandler("/ws", http.StatusMovedPermanently))
	mux.Handle("/ws", loggedIn(gw.Handler()))
	mux.Handle("/prod/@connections/", gw.ManagementHandler())
	return mux
}

// loggedIn is middleware: it lets only requests with a cookie through.
func loggedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Cookie("session"); err != nil {
			w.Header().Set("Www-Authenticate", "Cookie")
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func login(t *testing.T, srv *gatewaytest.Service) []*http.Cookie {
	t.Helper()
	resp, err := srv.HTTPClient().PostForm(srv.HTTPURL()+"/login", url.Values{"user": {"ann"}})
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.Cookies()
}

// A whole service is tested through its own handler: log in, connect, talk, be posted
// to over HTTP, and end, with all events.
func TestServeHandler_WholeService(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.ServeHandler(t, newService(t, gateway.WithMiddleware(exclaim)))
	c := srv.Dial(t, gatewaytest.Path("/ws?room=1"), gatewaytest.Query("seat", "2"), gatewaytest.Cookies(login(t, srv)...))
	require.Len(t, c.ConnectionID(), 20)
	c.Send(`{"action":"echo"}`)
	require.Equal(t, `{"action":"echo"}!`, c.Receive())

	post, err := srv.HTTPClient().Post(srv.HTTPURL()+"/prod/@connections/"+url.PathEscape(c.ConnectionID()), "", strings.NewReader("hello"))
	require.NoError(t, err)
	require.NoError(t, post.Body.Close())
	require.Equal(t, http.StatusOK, post.StatusCode)
	require.Equal(t, "hello", c.Receive())
	require.NoError(t, srv.ManagementAt("/prod").PostToConnection(t.Context(), c.ConnectionID(), []byte("again")))
	require.Equal(t, "again", c.Receive())

	c.Send(`{"action":"nothing"}`)
	require.Contains(t, c.Receive(), "Forbidden")
	c.Close(1000, "bye")
	end := srv.WaitDisconnect(c.ConnectionID())
	require.Equal(t, 1000, end.DisconnectStatusCode)
	require.Equal(t, "bye", end.DisconnectReason)

	events := srv.Events()
	require.Len(t, events, 2)
	require.Equal(t, "echo", events[0].RouteKey)
	require.Equal(t, `{"action":"echo"}`, string(events[0].Body))
	require.Equal(t, `{"action":"echo"}!`, string(events[0].Response.Body), "with middleware, as the client got it")
	require.Equal(t, http.StatusForbidden, events[1].Rejected)
}

// exclaim is gateway middleware.
func exclaim(next gateway.Integration) gateway.Integration {
	return gateway.IntegrationFunc(func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		resp, err := next.Invoke(ctx, req)
		if resp != nil && len(resp.Body) > 0 {
			resp.Body = append(append([]byte(nil), resp.Body...), '!')
		}
		return resp, err
	})
}

// $connect sees the request as the whole handler let it through.
func TestDial_PathQueryAndCookies(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		opts []gatewaytest.DialOption
		want string
	}{
		"by default the stage":  {nil, "/test"},
		"a path":                {[]gatewaytest.DialOption{gatewaytest.Path("/a/b")}, "/a/b"},
		"a path with a query":   {[]gatewaytest.DialOption{gatewaytest.Path("/a?x=1")}, "/a?x=1"},
		"a query":               {[]gatewaytest.DialOption{gatewaytest.Query("x", "1")}, "/test?x=1"},
		"more of a query":       {[]gatewaytest.DialOption{gatewaytest.Query("y", "2"), gatewaytest.Path("/a?x=1")}, "/a?x=1&y=2"},
		"a cookie":              {[]gatewaytest.DialOption{gatewaytest.Cookie("a", "1")}, "/test a=1"},
		"cookies in one header": {[]gatewaytest.DialOption{gatewaytest.Cookie("a", "1"), gatewaytest.Cookies(&http.Cookie{Name: "b", Value: "2"})}, "/test a=1; b=2"},
		"a cookie behind headers": {[]gatewaytest.DialOption{
			gatewaytest.Header("Cookie", "a=1"), gatewaytest.Header("Cookie", "b=2"), gatewaytest.Cookie("c", "3"),
		}, "/test a=1; b=2; c=3"},
		"a cookie with a blank": {[]gatewaytest.DialOption{gatewaytest.Cookie("a", "1 2,3")}, `/test a="1 2,3"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := make(chan string, 1)
			srv := gatewaytest.New(t)
			srv.HandleFunc("$connect", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
				got <- strings.TrimSpace(req.Upgrade.RequestURI + " " + strings.Join(req.Upgrade.Header.Values("Cookie"), " | "))
				return nil, nil
			})
			srv.Dial(t, tc.opts...)
			require.Equal(t, tc.want, <-got)
		})
	}
}

// The answer to a refused upgrade is there, whoever gave it.
func TestTryDial_Refused(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.ServeHandler(t, newService(t))
	for name, tc := range map[string]struct {
		opts   []gatewaytest.DialOption
		status int
		header [2]string
		body   string
	}{
		"by the mux":        {[]gatewaytest.DialOption{gatewaytest.Path("/nowhere")}, 404, [2]string{"Content-Type", "text/plain; charset=utf-8"}, "404 page not found\n"},
		"by middleware":     {[]gatewaytest.DialOption{gatewaytest.Path("/ws")}, 401, [2]string{"Www-Authenticate", "Cookie"}, "log in first\n"},
		"with a redirect":   {[]gatewaytest.DialOption{gatewaytest.Path("/old")}, 301, [2]string{"Location", "/ws"}, ""},
		"by the gateway":    {[]gatewaytest.DialOption{gatewaytest.Path("/ws"), gatewaytest.Cookie("session", "ann"), gatewaytest.Header("Origin", "https://evil.example")}, 403, [2]string{"Content-Type", "application/json"}, `{"message": "Forbidden"`},
		"by the root's mux": {nil, 404, [2]string{"X-Content-Type-Options", "nosniff"}, "404 page not found\n"},
	} {
		c, refused := srv.TryDial(t, tc.opts...)
		require.Nil(t, c, name)
		require.Equal(t, tc.status, refused.StatusCode, name)
		require.Equal(t, tc.header[1], refused.Header.Get(tc.header[0]), name)
		require.Contains(t, refused.Body, tc.body, name)
	}
}

func TestDial_Subprotocols(t *testing.T) {
	t.Parallel()
	gw, err := gateway.New()
	require.NoError(t, err)
	gw.HandleFunc("$connect", func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Header: http.Header{"Sec-Websocket-Protocol": {"chat.v1"}}}, nil
	})
	srv := gatewaytest.Serve(t, gw)
	require.Equal(t, "chat.v1", srv.Dial(t, gatewaytest.Subprotocols("chat.v2", "chat.v1")).Subprotocol())
}

// Serve takes a Gateway as it is, and closes it when the test ends.
func TestServe_ExistingGateway(t *testing.T) {
	t.Parallel()
	gw, err := gateway.New()
	require.NoError(t, err)
	gw.HandleFunc("echo", echo, gateway.WithRouteResponse())
	gw.HandleFunc("$disconnect", echo)
	var id string
	var srv *gatewaytest.Server
	t.Run("served", func(t *testing.T) {
		srv = gatewaytest.Serve(t, gw)
		c := srv.Dial(t)
		id = c.ConnectionID()
		c.Send(`{"action":"echo"}`)
		require.Equal(t, `{"action":"echo"}`, c.Receive())
		require.Len(t, srv.Events(), 1)
		require.NoError(t, srv.PostToConnection(t.Context(), id, []byte("hello")))
		require.Equal(t, "hello", c.Receive())
		require.ErrorIs(t, srv.Management().PostToConnection(t.Context(), id, nil), gateway.ErrForbidden, "its own settings hold")
	})
	require.Len(t, srv.Events(), 2, "$disconnect has run when the test has ended")
	require.Equal(t, id, srv.Events()[1].ConnectionID)
	_, refused := gatewaytest.Serve(t, gw).TryDial(t)
	require.Equal(t, http.StatusServiceUnavailable, refused.StatusCode, "it is closed")
	require.NoError(t, gw.Shutdown(t.Context()), "and can be shut down again")
}

// Several Gateways in one handler are all found, and closed.
func TestServeHandler_SeveralGateways(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	var gateways []*gateway.Gateway
	for _, stage := range []string{"blue", "green"} {
		gw, err := gateway.New(gateway.WithStage(stage, nil))
		require.NoError(t, err)
		gw.HandleFunc("$connect", echo)
		mux.Handle("/"+stage, gw.Handler())
		gateways = append(gateways, gw)
	}
	t.Run("served", func(t *testing.T) {
		srv := gatewaytest.ServeHandler(t, mux)
		for n, stage := range []string{"blue", "green"} {
			c := srv.Dial(t, gatewaytest.Path("/"+stage))
			e := srv.Events()[n]
			require.Equal(t, stage, e.Stage)
			require.Equal(t, c.ConnectionID(), e.ConnectionID)
		}
	})
	for _, gw := range gateways {
		_, refused := gatewaytest.Serve(t, gw).TryDial(t)
		require.Equal(t, http.StatusServiceUnavailable, refused.StatusCode)
	}
}

// A Gateway behind a reverse proxy serves the client, but cannot be found.
func TestServeHandler_ReverseProxy(t *testing.T) {
	t.Parallel()
	gw, err := gateway.New()
	require.NoError(t, err)
	gw.HandleFunc("echo", echo, gateway.WithRouteResponse())
	backend := httptest.NewServer(gw.Handler())
	t.Cleanup(func() {
		require.NoError(t, gw.Close())
		backend.Close()
	})
	to, err := url.Parse(backend.URL)
	require.NoError(t, err)
	srv := gatewaytest.ServeHandler(t, httputil.NewSingleHostReverseProxy(to))
	c := srv.Dial(t)
	c.Send(`{"action":"echo"}`)
	require.Equal(t, `{"action":"echo"}`, c.Receive())
	require.Empty(t, c.ConnectionID())
	require.Empty(t, srv.Events())
}

// A handler that accepts upgrades itself can be dialled, without events.
func TestServeHandler_PlainRequestsOnly(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.ServeHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Host+r.URL.Path)
	}))
	resp, err := srv.HTTPClient().Get(srv.HTTPURL() + "/x")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "gateway.test/x", string(body))
	_, refused := srv.TryDial(t)
	require.Equal(t, &gatewaytest.Refused{StatusCode: http.StatusOK, Header: refused.Header, Body: "gateway.test/"}, refused)
}

// The whole service runs on virtual time.
func TestServeHandler_VirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.ServeHandler(t, newService(t))
		c := srv.Dial(t, gatewaytest.Path("/ws"), gatewaytest.Cookies(login(t, srv)...))
		start := time.Now()
		code, reason := c.ReceiveClose()
		require.Equal(t, 1001, code)
		require.Equal(t, "Going away", reason)
		require.Equal(t, 10*time.Minute, time.Since(start))
		require.Equal(t, 1001, srv.WaitDisconnect(c.ConnectionID()).DisconnectStatusCode)
	})
}

// Messages that no integration gets are among the events, in their place.
func TestServer_RejectedMessages(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		message string
		want    int
		route   string
	}{
		"no route":            {`{"action":"nothing"}`, 403, ""},
		"it fits no model":    {`{"action":"strict"}`, 400, "strict"},
		"above the throttle":  {`{"action":"slow"}`, 429, "slow"},
		"accepted, as others": {`{"action":"echo"}`, 0, "echo"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gw, err := gateway.New()
			require.NoError(t, err)
			for _, srv := range []*gatewaytest.Server{gatewaytest.New(t), gatewaytest.Serve(t, gw)} {
				srv.HandleFunc("echo", echo, gateway.WithRouteResponse())
				srv.HandleFunc("strict", echo, gateway.WithRequestModels("$request.body.action", map[string]gateway.Model{"strict": noModel{}}))
				srv.HandleFunc("slow", echo, gateway.WithRouteResponse(), gateway.WithThrottle(0.001, 1))
				c := srv.Dial(t)
				if tc.want == 429 {
					c.Send(tc.message)
					c.Receive()
				}
				c.Send(tc.message)
				c.Receive()
				e := srv.WaitEvent(func(e gatewaytest.Event) bool { return e.Rejected == tc.want })
				require.Equal(t, tc.want, e.Rejected)
				require.Equal(t, tc.route, e.RouteKey)
				require.Equal(t, tc.message, string(e.Body))
				require.Equal(t, c.ConnectionID(), e.ConnectionID)
				require.Equal(t, tc.want != 0, e.Err != nil)
				require.Equal(t, tc.want == 403, e.Err != nil && strings.HasSuffix(e.Err.Error(), `: the value of the route selection expression is "nothing"`), e.Err)
				require.Equal(t, tc.want != 0, e.Response == nil)
			}
		})
	}
}

// noModel is a model that no message fits.
type noModel struct{}

func (noModel) Validate([]byte) error { return io.ErrUnexpectedEOF }

// Without a $disconnect route WaitDisconnect tells how the connection ended.
func TestServer_WaitDisconnectWithoutRoute(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	c := srv.Dial(t, gatewaytest.Header("User-Agent", "x"))
	c.Close(4000, "enough")
	e := srv.WaitDisconnect(c.ConnectionID())
	require.Equal(t, gateway.EventDisconnect, e.EventType)
	require.Equal(t, c.ConnectionID(), e.ConnectionID)
	require.Equal(t, 4000, e.DisconnectStatusCode)
	require.Equal(t, "enough", e.DisconnectReason)
	require.Equal(t, "x", e.Identity.UserAgent)
	require.False(t, e.ConnectedAt.IsZero())
	require.Empty(t, srv.Events(), "no integration has run")
}

// HTTPClient speaks http, so that its Jar keeps a Secure cookie back. Cookies passes it on.
func TestHTTPClient_SecureCookies(t *testing.T) {
	t.Parallel()
	gw, err := gateway.New()
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "ann", Secure: true, HttpOnly: true})
	})
	mux.Handle("/", loggedIn(gw.Handler()))
	srv := gatewaytest.ServeHandler(t, mux)
	client := srv.HTTPClient()
	client.Jar, err = cookiejar.New(nil)
	require.NoError(t, err)
	resp, err := client.Post(srv.HTTPURL()+"/login", "", nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	again, err := client.Get(srv.HTTPURL())
	require.NoError(t, err)
	require.NoError(t, again.Body.Close())
	require.Equal(t, http.StatusUnauthorized, again.StatusCode)
	srv.Dial(t, gatewaytest.Cookies(resp.Cookies()...)).Ping()
}
