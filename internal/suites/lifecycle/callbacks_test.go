package lifecycle_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// ways are the ways in which a callback can misbehave.
func ways() map[string]func() {
	return map[string]func(){
		"panics":               func() { panic("boom") },
		"panics with an error": func() { panic(errors.New("boom")) },
		"ends its goroutine":   runtime.Goexit,
	}
}

// misbehaving makes one callback of the API fail whenever armed says so.
type misbehaving struct {
	callback string
	way      func()

	mu    sync.Mutex
	armed bool
	calls int
}

// at is called in every callback.
func (m *misbehaving) at(callback string) {
	m.mu.Lock()
	bad := m.armed && m.callback == callback
	if bad {
		m.calls++
	}
	m.mu.Unlock()
	if bad {
		m.way()
	}
}

func (m *misbehaving) arm(armed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.armed = armed
}

func (m *misbehaving) wasCalled() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls > 0
}

// Validate implements gateway.Model.
func (m *misbehaving) Validate([]byte) error { m.at("Model"); return nil }

// FindAPIKey implements gateway.UsageStore.
func (m *misbehaving) FindAPIKey(context.Context, string) (gateway.APIKey, error) {
	m.at("FindAPIKey")
	return gateway.APIKey{ID: "key", UsagePlanID: "plan", CountRequest: m.countRequest}, nil
}

func (m *misbehaving) countRequest(context.Context, time.Time) (bool, error) {
	m.at("CountRequest")
	return true, nil
}

// AuthorizeManagement implements gateway.ManagementAuth.
func (m *misbehaving) AuthorizeManagement(context.Context, *gateway.ManagementCall) error {
	m.at("ManagementAuth")
	return nil
}

// Enabled implements slog.Handler.
func (m *misbehaving) Enabled(context.Context, slog.Level) bool { m.at("Logger.Enabled"); return true }

// Handle implements slog.Handler.
func (m *misbehaving) Handle(context.Context, slog.Record) error { m.at("Logger.Handle"); return nil }

// WithAttrs implements slog.Handler.
func (m *misbehaving) WithAttrs([]slog.Attr) slog.Handler { return m }

// WithGroup implements slog.Handler.
func (m *misbehaving) WithGroup(string) slog.Handler { return m }

// badError is an error of the embedding program whose methods misbehave.
type badError struct{ m *misbehaving }

func (e badError) Error() string { return "bad" }

// Is is called by errors.Is.
func (e badError) Is(error) bool { e.m.at("error.Is"); return false }

// As is called by errors.As.
func (e badError) As(any) bool { e.m.at("error.As"); return false }

// StackTrace is called by the gateway when it logs the error.
func (e badError) StackTrace() []byte { e.m.at("error.StackTrace"); return nil }

// PublicError implements gateway.PublicError.
func (e badError) PublicError() (code, message string) {
	e.m.at("PublicError")
	return "Code", "message"
}

func (m *misbehaving) options() []gateway.Option {
	observer := &gateway.Observer{
		UpgradeRejected:  func(context.Context, *gateway.Request, int, error) { m.at("UpgradeRejected") },
		ConnectionOpened: func(context.Context, gateway.Connection) { m.at("ConnectionOpened") },
		ConnectionClosed: func(context.Context, gateway.Connection, int, string) { m.at("ConnectionClosed") },
		IntegrationDone: func(context.Context, *gateway.Request, *gateway.Response, time.Duration, error) {
			m.at("IntegrationDone")
		},
		MessageRejected: func(context.Context, *gateway.Request, int, error) { m.at("MessageRejected") },
		MessageSent:     func(context.Context, string, int) { m.at("MessageSent") },
		PostFailed:      func(context.Context, string, int, error) { m.at("PostFailed") },
	}
	return []gateway.Option{
		gateway.WithObserver(observer), gateway.WithUsageStore(m), gateway.WithManagementAuth(m), gateway.WithLogger(slog.New(m)),
		gateway.WithMiddleware(func(next gateway.Integration) gateway.Integration {
			return gateway.IntegrationFunc(func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
				m.at("Middleware")
				return next.Invoke(ctx, req)
			})
		}),
	}
}

func (m *misbehaving) handle(srv *gatewaytest.Server) {
	integration := gateway.IntegrationFunc(func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		m.at("Integration " + string(req.EventType))
		if string(req.Body) == `{"action":"fail"}` {
			return nil, badError{m}
		}
		return &gateway.Response{Body: []byte("answer")}, nil
	})
	authorizer := gateway.AuthorizerFunc(func(_ context.Context, req *gateway.Request) (*gateway.Authorization, error) {
		m.at("Authorizer")
		if req.Upgrade.Header.Get("Refuse") != "" {
			return nil, badError{m}
		}
		return &gateway.Authorization{}, nil
	})
	srv.Handle("$connect", integration, gateway.WithAuthorizer(authorizer), gateway.WithAPIKeyRequired())
	srv.Handle("$disconnect", integration)
	srv.Handle("echo", integration, gateway.WithRouteResponse(), gateway.WithRequestModel(m))
	srv.Handle("fail", integration, gateway.WithRouteResponse())
}

const keyOfTest = "0123456789-0123456789"

// everything makes the gateway call every callback once: with upgrades that are
// accepted and refused, messages that are answered, fail and match no route, posts,
// and lookups. It does not check any result.
func everything(t *testing.T, srv *gatewaytest.Server) {
	t.Helper()
	if c, _ := srv.TryDial(t, gatewaytest.Header("x-api-key", keyOfTest), gatewaytest.Header("Refuse", "1")); c != nil {
		c.Drop()
	}
	c, _ := srv.TryDial(t, gatewaytest.Header("x-api-key", keyOfTest))
	if c == nil {
		return
	}
	for _, message := range []string{`{"action":"echo"}`, `{"action":"fail"}`, `{"action":"nothing"}`, `{"action":"echo"}`} {
		c.Send(message)
		c.ReceiveWithin(time.Minute)
	}
	for _, api := range []gateway.ConnectionsAPI{srv.Gateway, srv.Management()} {
		contained(func() { _ = api.PostToConnection(t.Context(), c.ConnectionID(), []byte("post")) })
		contained(func() { _ = api.PostToConnection(t.Context(), c.ConnectionID(), make([]byte, 1<<20)) })
	}
	c.Close(1000, "")
}

// contained runs f on its own goroutine, because a callback may end it.
func contained(f func()) {
	var wg sync.WaitGroup
	wg.Go(f)
	wg.Wait()
}

// Whichever callback of the embedding program panics or ends its goroutine, and
// however often: other clients are served, every connection that was accepted gets
// its $disconnect, and nothing remains.
func TestCallbacks_misbehave(t *testing.T) {
	t.Parallel()
	for _, callback := range []string{
		"UpgradeRejected", "ConnectionOpened", "ConnectionClosed", "IntegrationDone", "MessageRejected", "MessageSent", "PostFailed",
		"Model", "FindAPIKey", "CountRequest", "ManagementAuth", "Authorizer", "Middleware",
		"Integration CONNECT", "Integration MESSAGE", "Integration DISCONNECT",
		"Logger.Enabled", "Logger.Handle", "error.Is", "error.As", "error.StackTrace", "PublicError",
	} {
		for name, way := range ways() {
			t.Run(callback+" "+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					defer time.Sleep(time.Minute) //nolint:forbidigo // in a bubble: net/http takes its time to close a connection
					m := &misbehaving{callback: callback, way: way, armed: true}
					srv := gatewaytest.New(t, m.options()...)
					m.handle(srv)
					for range 3 {
						everything(t, srv)
					}
					synctest.Wait() // until the last $disconnect runs
					require.True(t, m.wasCalled())
					m.arm(false)
					other := srv.Dial(t, gatewaytest.Header("x-api-key", keyOfTest))
					other.Send(`{"action":"echo"}`)
					require.Equal(t, "answer", other.Receive())
					m.arm(true)
					start := time.Now()
					require.NoError(t, srv.Shutdown(t.Context()))
					require.Less(t, time.Since(start), time.Minute)
					require.Empty(t, slices.Collect(srv.Connections()))
					disconnected := map[string]int{}
					for _, e := range srv.Events() {
						if e.EventType == gateway.EventDisconnect {
							disconnected[e.ConnectionID]++
						}
					}
					for _, e := range srv.Events() {
						if e.EventType == gateway.EventConnect && e.Err == nil && callback != "Middleware" && !strings.HasPrefix(callback, "Integration") {
							require.Equal(t, 1, disconnected[e.ConnectionID], "whoever saw $connect sees $disconnect")
						}
					}
				})
			})
		}
	}
}

// Whatever an observer does, a message to many reaches all of them, and each observer is told
// of each.
func TestCallbacks_MessagesToMany(t *testing.T) {
	t.Parallel()
	const clients = 5
	for name, way := range ways() {
		for call, post := range map[string]func(t *testing.T, srv *gatewaytest.Server, first *gatewaytest.Client){
			"PostTo": func(t *testing.T, srv *gatewaytest.Server, _ *gatewaytest.Client) {
				t.Helper()
				contained(func() { _, _ = srv.PostTo(t.Context(), gateway.Everyone(), []byte("news")) })
			},
			"PostToConnections": func(t *testing.T, srv *gatewaytest.Server, _ *gatewaytest.Client) {
				t.Helper()
				var ids []string
				for c := range srv.Connections() {
					ids = append(ids, c.ID)
				}
				contained(func() { srv.PostToConnections(t.Context(), ids, []byte("news")) })
			},
			"an answer": func(t *testing.T, _ *gatewaytest.Server, first *gatewaytest.Client) {
				t.Helper()
				first.Send(`{"action":"tell"}`)
			},
			"a batch": func(t *testing.T, srv *gatewaytest.Server, _ *gatewaytest.Client) {
				t.Helper()
				lines := ""
				for c := range srv.Connections() {
					lines += `{"to":{"id":"` + c.ID + `"},"data":"news"}` + "\n"
				}
				r := httptest.NewRequest(http.MethodPost, "/prod/@connections", strings.NewReader(lines))
				r.Header.Set("Content-Type", "application/x-ndjson")
				w := httptest.NewRecorder()
				contained(func() { srv.ManagementHandler().ServeHTTP(w, r) })
				require.Equal(t, clients, strings.Count(w.Body.String(), `"accepted":1`), "the caller is told of each line")
			},
		} {
			t.Run(call+", one that "+name, func(t *testing.T) {
				t.Parallel()
				told := make(chan string, 2*clients)
				srv := gatewaytest.New(t, gateway.WithAnswerCommands(), gateway.WithManagementExtensions(), gateway.WithLogger(slog.New(slog.DiscardHandler)),
					gateway.WithObserver(&gateway.Observer{MessageSent: func(context.Context, string, int) { way() }}),
					gateway.WithObserver(&gateway.Observer{MessageSent: func(_ context.Context, id string, _ int) { told <- id }}))
				srv.HandleFunc("tell", func(context.Context, *gateway.Request) (*gateway.Response, error) {
					return &gateway.Response{Header: http.Header{"Gateway-Post": {"everyone"}}, Body: []byte("news")}, nil
				})
				all := make([]*gatewaytest.Client, clients)
				for n := range all {
					all[n] = srv.Dial(t)
				}
				post(t, srv, all[0])
				ids := map[string]bool{}
				for _, c := range all {
					require.Equal(t, "news", c.Receive())
					ids[<-told] = true
				}
				require.Len(t, ids, clients)
				require.Empty(t, told)
			})
		}
	}
}

// leavingLog is a log handler that ends the goroutine of each warning and each error.
type leavingLog struct{ slog.Handler }

// Enabled implements slog.Handler.
func (leavingLog) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (leavingLog) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		runtime.Goexit()
	}
	return nil
}

// Whatever the log handler and an observer do, each other observer is told of everything.
func TestCallbacks_EveryObserverIsTold(t *testing.T) {
	t.Parallel()
	observed := func(told chan<- string, then func()) gateway.Option {
		tell := func(callback string) {
			told <- callback
			then()
		}
		return gateway.WithObserver(&gateway.Observer{
			UpgradeRejected:  func(context.Context, *gateway.Request, int, error) { tell("UpgradeRejected") },
			ConnectionClosed: func(context.Context, gateway.Connection, int, string) { tell("ConnectionClosed") },
			IntegrationDone: func(context.Context, *gateway.Request, *gateway.Response, time.Duration, error) {
				tell("IntegrationDone")
			},
			MessageRejected: func(context.Context, *gateway.Request, int, error) { tell("MessageRejected") },
			PostFailed:      func(context.Context, string, int, error) { tell("PostFailed") },
		})
	}
	for callback, provoke := range map[string]func(t *testing.T, srv *gatewaytest.Server){
		"UpgradeRejected": func(t *testing.T, srv *gatewaytest.Server) {
			t.Helper()
			_, refused := srv.TryDial(t, gatewaytest.Header("Origin", "https://evil.example"))
			require.NotNil(t, refused)
		},
		"ConnectionClosed": func(t *testing.T, srv *gatewaytest.Server) {
			t.Helper()
			srv.Dial(t).SendBinary(nil) // a broken rule is logged
		},
		"IntegrationDone": func(t *testing.T, srv *gatewaytest.Server) { t.Helper(); srv.Dial(t).Send(`{"action":"fail"}`) },
		"MessageRejected": func(t *testing.T, srv *gatewaytest.Server) { t.Helper(); srv.Dial(t).Send("no route") },
		"PostFailed": func(t *testing.T, srv *gatewaytest.Server) {
			t.Helper()
			c := srv.Dial(t)
			c.Send(`{"action":"large"}`)
			require.Contains(t, c.Receive(), "Internal server error")
		},
	} {
		for name, way := range ways() {
			t.Run(callback+", one that "+name, func(t *testing.T) {
				t.Parallel()
				first, last := make(chan string, 10), make(chan string, 10)
				srv := gatewaytest.New(t, observed(first, way), observed(last, func() {}), gateway.WithLogger(slog.New(leavingLog{slog.DiscardHandler})))
				srv.HandleFunc("fail", func(context.Context, *gateway.Request) (*gateway.Response, error) { return nil, errors.New("no") })
				srv.HandleFunc("large", func(context.Context, *gateway.Request) (*gateway.Response, error) {
					return &gateway.Response{Body: make([]byte, 1<<20)}, nil
				}, gateway.WithRouteResponse())
				provoke(t, srv)
				for _, told := range []chan string{first, last} {
					for got := ""; got != callback; {
						select {
						case got = <-told:
						case <-time.After(10 * time.Second):
							require.FailNow(t, "this was not called", callback)
						}
					}
				}
			})
		}
	}
}
