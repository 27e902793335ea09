package gatewaytest_test

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// newChat is the service under test: pages, a login, and a gateway behind it, in one
// handler. What it returns is what its main func gives to an http.Server.
func newChat(logger *slog.Logger) http.Handler {
	gw, err := gateway.New(gateway.WithStage("prod", nil), gateway.WithLogger(logger), gateway.WithoutManagementAuth())
	if err != nil {
		panic(err)
	}
	gw.HandleFunc("echo", echo, gateway.WithRouteResponse())
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "of " + r.FormValue("user")})
	})
	mux.Handle("/ws", loggedIn(gw.Handler()))
	mux.Handle("/prod/@connections/", gw.ManagementHandler())
	return mux
}

// A whole service, with its own mux, middleware and login. The gateway inside need not
// be handed over: its events are there, and it is closed when the test ends.
func ExampleServeHandler() {
	_ = func(t *testing.T) { // func TestChat(t *testing.T)
		testChat(t)
	}
}

func testChat(t *testing.T) {
	srv := gatewaytest.ServeHandler(t, newChat(gatewaytest.Logger(t, slog.LevelWarn)))
	login, err := srv.HTTPClient().PostForm(srv.HTTPURL()+"/login", url.Values{"user": {"ann"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = login.Body.Close()

	c := srv.Dial(t, gatewaytest.Path("/ws?room=1"), gatewaytest.Cookies(login.Cookies()...))
	c.Send(`{"action":"echo"}`)
	if got := c.Receive(); got != `{"action":"echo"}` {
		t.Errorf("got %q", got)
	}

	post := srv.HTTPURL() + "/prod/@connections/" + url.PathEscape(c.ConnectionID())
	resp, err := srv.HTTPClient().Post(post, "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := c.Receive(); got != "hello" {
		t.Errorf("got %q", got)
	}
	if e := srv.Events()[0]; e.RouteKey != "echo" {
		t.Errorf("the first event was for route %q", e.RouteKey)
	}
}

// A Gateway that other code has made, with settings of its own.
func ExampleServe() {
	_ = func(t *testing.T) { // func TestGateway(t *testing.T)
		testGateway(t)
	}
}

func testGateway(t *testing.T) {
	gw, err := gateway.New(gateway.WithQuotas(gateway.Quotas{MessageBytes: 100})) // newGateway(), say
	if err != nil {
		t.Fatal(err)
	}
	srv := gatewaytest.Serve(t, gw)
	c := srv.Dial(t)
	c.Send(strings.Repeat("x", 101))
	if code, _ := c.ReceiveClose(); code != 1009 {
		t.Errorf("closed with %d", code)
	}
	if e := srv.WaitDisconnect(c.ConnectionID()); e.DisconnectStatusCode != 1009 { // there is no $disconnect route
		t.Errorf("$disconnect would say %d", e.DisconnectStatusCode)
	}
}

// An upgrade that is refused: by middleware, by the mux or by the gateway.
func ExampleService_TryDial() {
	_ = func(t *testing.T) { // func TestLogin(t *testing.T)
		testLogin(t)
	}
}

func testLogin(t *testing.T) {
	srv := gatewaytest.ServeHandler(t, newChat(gatewaytest.Logger(t, slog.LevelWarn)))
	_, refused := srv.TryDial(t, gatewaytest.Path("/ws"))
	if refused == nil || refused.StatusCode != http.StatusUnauthorized {
		t.Fatalf("got %+v without a login", refused)
	}
	srv.Dial(t, gatewaytest.Path("/ws"), gatewaytest.Cookie("session", "of ann"))
}

// A message that no integration gets is among the events, too.
func ExampleEvent_rejected() {
	_ = func(t *testing.T) { // func TestUnknownAction(t *testing.T)
		testUnknownAction(t)
	}
}

func testUnknownAction(t *testing.T) {
	srv := gatewaytest.New(t)
	c := srv.Dial(t)
	c.Send(`{"action":"unknown"}`)
	e := srv.WaitEvent(func(e gatewaytest.Event) bool { return e.Rejected != 0 })
	if e.Rejected != http.StatusForbidden || string(e.Body) != `{"action":"unknown"}` {
		t.Errorf("%s got %d: %v", e.Body, e.Rejected, e.Err)
	}
}

// The examples above, run.
func TestExamples(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"a whole service": testChat, "a gateway": testGateway, "a login": testLogin, "a rejected message": testUnknownAction,
	} {
		t.Run(name, test)
	}
}
