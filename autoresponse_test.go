package gateway_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
	"example.com/gateway/internal/wsconn"
	"example.com/gateway/usageplan"
)

// echo is a $default that answers with the message.
func echo(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
	return &gateway.Response{Body: req.Body}, nil
}

// Only the exact text is answered by the gateway.
func TestAutoResponse(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithAutoResponse("ping", "pong"), gateway.WithAutoResponse("quiet", ""),
		gateway.WithAutoResponse(`{"action":"$connect"}`, "no"), gateway.WithAutoResponse("hi", "old"), gateway.WithAutoResponse("hi", "hello"))
	served := make(chan string, 100)
	srv.HandleFunc(gateway.RouteKeyDefault, func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		served <- string(req.Body)
		return echo(ctx, req)
	}, gateway.WithRouteResponse())
	c := srv.Dial(t)
	for message, want := range map[string]string{
		"ping": "pong", "hi": "hello", `{"action":"$connect"}`: "no",
		"PING": "PING", "ping ": "ping ", " ping": " ping", `"ping"`: `"ping"`, "pin": "pin", "pingping": "pingping",
		strings.Repeat("ping", 1000): strings.Repeat("ping", 1000),
	} {
		c.Send("quiet")
		c.Send(message)
		require.Equal(t, want, c.Receive())
		if want == message {
			require.Equal(t, message, <-served)
		}
	}
	require.Empty(t, served, "no integration has seen the texts")
}

// Of texts that arrive at once, the gateway's answers keep their order, and those of the
// backend theirs. An answer of the gateway may come before those of earlier messages.
func TestAutoResponse_Order(t *testing.T) {
	t.Parallel()
	answers := map[string]string{"ping": "pong", "hi": "hello"}
	srv := gatewaytest.New(t, gateway.WithAutoResponse("ping", "pong"), gateway.WithAutoResponse("hi", "hello"))
	srv.HandleFunc(gateway.RouteKeyDefault, echo, gateway.WithRouteResponse())
	c := srv.Dial(t)
	var own, echoes []string
	for n := range 60 {
		text := []string{"ping", fmt.Sprint(n), "hi", "hi", fmt.Sprint(n)}[n%5]
		c.Send(text)
		if answer, ok := answers[text]; ok {
			own = append(own, answer)
		} else {
			echoes = append(echoes, text)
		}
	}
	for range 60 {
		text := c.Receive()
		rest := &echoes
		if text == "pong" || text == "hello" {
			rest = &own
		}
		require.NotEmpty(t, *rest, text)
		require.Equal(t, (*rest)[0], text)
		*rest = (*rest)[1:]
	}
}

// The answer does not wait for a backend that is slow.
func TestAutoResponse_WhileIntegrationsRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithAutoResponse("ping", "pong"))
		srv.HandleFunc(gateway.RouteKeyDefault, func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
			time.Sleep(20 * time.Second) //nolint:forbidigo // in a synctest bubble
			return echo(ctx, req)
		}, gateway.WithRouteResponse())
		c := srv.Dial(t)
		start := time.Now()
		c.Send("slow")
		for range 10 {
			c.Send("ping")
			require.Equal(t, "pong", c.Receive())
		}
		require.Less(t, time.Since(start), time.Second)
		require.Equal(t, "slow", c.Receive())
		require.Equal(t, 20*time.Second, time.Since(start))
	})
}

// A client cannot get more answers than the throttles allow.
func TestAutoResponse_Throttled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rejected := make(chan int, 10)
		srv := gatewaytest.New(t, gateway.WithAutoResponse("ping", "pong"), gateway.WithAutoResponse("quiet", ""), gateway.WithDefaultThrottle(0.1, 4),
			gateway.WithObserver(&gateway.Observer{MessageRejected: func(_ context.Context, req *gateway.Request, status int, err error) {
				rejected <- status
			}}))
		c := srv.Dial(t) // which takes one token, too
		for range 2 {
			c.Send("ping")
			require.Equal(t, "pong", c.Receive())
		}
		c.Send("quiet")
		c.Send("ping")
		require.Contains(t, c.Receive(), `"Too Many Requests"`)
		require.Equal(t, 429, <-rejected)
		time.Sleep(10 * time.Second) //nolint:forbidigo // in a synctest bubble
		c.Send("ping")
		require.Equal(t, "pong", c.Receive())
	})
}

// The quota of a usage plan does not count what the gateway answers itself.
func TestAutoResponse_QuotaOfAPlan(t *testing.T) {
	t.Parallel()
	plans, err := usageplan.New(usageplan.Plan{
		ID: "p", APIKeys: map[string]string{"ann": annsKey}, Quota: usageplan.Quota{Limit: 2, Period: usageplan.Day},
	})
	require.NoError(t, err)
	srv := gatewaytest.New(t, gateway.WithAutoResponse("ping", "pong"), gateway.WithUsageStore(plans))
	srv.HandleFunc(gateway.RouteKeyConnect, answerNothing, gateway.WithAPIKeyRequired())
	srv.HandleFunc(gateway.RouteKeyDefault, echo, gateway.WithRouteResponse())
	c := srv.Dial(t, apiKey(annsKey)) // the first of two
	ping := func() {
		for range 5 {
			c.Send("ping")
			require.Equal(t, "pong", c.Receive())
		}
	}
	ping()
	c.Send("the second")
	require.Equal(t, "the second", c.Receive())
	c.Send("the third")
	require.Contains(t, c.Receive(), "Limit Exceeded")
	ping()
}

// The error frame goes out, although the messages behind it get no answer.
func TestAutoResponse_ThrottledBeforeMessagesWithoutAnswer(t *testing.T) {
	t.Parallel()
	for name, behind := range map[string][]string{
		"a one-way route":    {`{"action":"oneway"}`},
		"a quiet text":       {"quiet"},
		"a throttled text":   {"ping"},
		"several, and quiet": {"ping", `{"action":"oneway"}`, "quiet"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, dial := range wiretest.Sockets() {
				gw := newGateway(t, gateway.WithAutoResponse("ping", "pong"), gateway.WithAutoResponse("quiet", ""), gateway.WithDefaultThrottle(0.001, 1))
				gw.HandleFunc("oneway", answerNothing, gateway.WithThrottle(1000, 1000))
				c := dial(t, gw.Handler())
				c.MustOpen() // which takes the only token
				batch := wiretest.Frame(wiretest.Text, "ping")
				for _, text := range behind {
					batch = append(batch, wiretest.Frame(wiretest.Text, text)...)
				}
				c.MustWrite(batch)
				require.Contains(t, c.Receive(), "Too Many Requests")
			}
		})
	}
}

func TestAutoResponse_Observed(t *testing.T) {
	t.Parallel()
	sent, done := make(chan int, 10), make(chan string, 10)
	srv := gatewaytest.New(t, gateway.WithAutoResponse("ping", "pong!"), gateway.WithObserver(&gateway.Observer{
		MessageSent: func(_ context.Context, _ string, bytes int) { sent <- bytes },
		IntegrationDone: func(_ context.Context, req *gateway.Request, _ *gateway.Response, _ time.Duration, _ error) {
			done <- req.RouteKey
		},
	}))
	c := srv.Dial(t)
	c.Send("ping")
	require.Equal(t, "pong!", c.Receive())
	require.Equal(t, 5, <-sent)
	require.Empty(t, done)
}

// An observer that ends its goroutine does not stop the connection.
func TestAutoResponse_ObserverEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	srv := gatewaytest.New(t, gateway.WithAutoResponse("ping", "pong"), gateway.WithObserver(&gateway.Observer{
		MessageSent: func(context.Context, string, int) {
			if calls.Add(1)%2 == 1 {
				runtime.Goexit()
			}
		},
	}))
	srv.HandleFunc(gateway.RouteKeyDefault, echo, gateway.WithRouteResponse())
	c := srv.Dial(t)
	for n := range 20 {
		c.Send("ping")
		require.Equal(t, "pong", c.Receive())
		c.Send(fmt.Sprint(n))
		require.Equal(t, fmt.Sprint(n), c.Receive())
	}
}

// A client that sends the text and reads nothing fills no memory: the gateway stops reading,
// and ends the connection.
func TestAutoResponse_ClientReadsNothing(t *testing.T) {
	t.Parallel()
	gw := newGateway(t, gateway.WithAutoResponse("ping", strings.Repeat("x", 1000)), gateway.WithQuotas(gateway.Quotas{SendBufferMessages: 4, WriteTimeout: 300 * time.Millisecond}))
	ended := make(chan int, 1)
	gw.HandleFunc(gateway.RouteKeyDisconnect, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		ended <- req.DisconnectStatusCode
		return nil, nil
	})
	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	ws, _, err := wsconn.Dial(t.Context(), srv.URL, wsconn.DialOptions{}) //nolint:bodyclose // a 101 has no body
	require.NoError(t, err)
	defer ws.CloseNow()
	for err == nil { // until the gateway does not read any more, and then has cut
		err = ws.Write(t.Context(), []byte("ping"), true)
	}
	require.NoError(t, t.Context().Err())
	require.Equal(t, 1006, <-ended)
}

// A connection that closes politely answers what has arrived.
func TestAutoResponse_Shutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithAutoResponse("ping", "pong"))
		c := srv.Dial(t)
		c.Pause()
		for range 3 {
			c.Send("ping")
		}
		synctest.Wait() // they have arrived, and no answer has gone
		down := make(chan error, 1)
		go func() { down <- srv.Shutdown(t.Context()) }()
		synctest.Wait()
		require.Empty(t, down, "it waits for the client")
		c.Resume()
		for range 3 {
			require.Equal(t, "pong", c.Receive())
		}
		code, _ := c.ReceiveClose()
		require.Equal(t, 1001, code)
		require.NoError(t, <-down)
	})
}

func TestAutoResponse_Misuse(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, answer, want string }{
		"no text":            {"", "pong", `the text is empty: write what the clients send`},
		"a long text":        {strings.Repeat("x", 1025), "pong", "the text has 1025 bytes and the answer 4: at most 1024 are allowed"},
		"a long answer":      {"ping", strings.Repeat("x", 1025), "at most 1024 are allowed"},
		"a text not UTF-8":   {"\xff", "pong", "both must be valid UTF-8"},
		"an answer not UTF8": {"ping", "\xff", "both must be valid UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := gateway.New(gateway.WithAutoResponse(tt.text, tt.answer))
			require.ErrorIs(t, err, gateway.ErrInvalidOption)
			require.ErrorContains(t, err, "WithAutoResponse: ")
			require.ErrorContains(t, err, tt.want)
		})
	}
}
