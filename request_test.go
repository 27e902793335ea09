package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
)

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

func TestRoute_MessageRequest(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithStage("prod", map[string]string{"table": "t"}), gateway.WithAPI("a1b2c3d4e5", ""))
	srv.HandleFunc("$connect", answerNothing)
	srv.HandleFunc("say", answerNothing, gateway.WithRouteResponse())
	c := srv.Dial(t, gatewaytest.SourceIP("203.0.113.7"), gatewaytest.Header("User-Agent", "test"))
	c.Send(`{"action":"say"}`)
	c.Send(`{"action":"say"}`)
	isMessage := func(e gatewaytest.Event) bool { return e.EventType == gateway.EventMessage }
	srv.WaitEvent(isMessage)
	second := srv.WaitEvent(func(e gatewaytest.Event) bool { return isMessage(e) && e.RequestID != srv.Events()[1].RequestID })
	connect, first := srv.Events()[0], srv.Events()[1]

	require.Equal(t, "say", first.RouteKey)
	require.Equal(t, c.ConnectionID(), first.ConnectionID)
	require.Regexp(t, `^[A-Za-z0-9_-]{15}=$`, first.RequestID)
	require.Regexp(t, `^[A-Za-z0-9_-]{18}==$`, first.MessageID)
	require.NotEqual(t, first.MessageID, second.MessageID)
	require.NotEqual(t, connect.RequestID, first.RequestID)
	require.Equal(t, gateway.Identity{SourceIP: "203.0.113.7", UserAgent: "test"}, first.Identity)
	require.Equal(t, "prod", first.Stage)
	require.Equal(t, "a1b2c3d4e5", first.APIID)
	require.Equal(t, "gateway.test", first.DomainName)
	require.Equal(t, map[string]string{"table": "t"}, first.StageVariables)
	require.Equal(t, connect.ConnectedAt, first.ConnectedAt)
	require.False(t, first.RequestTime.Before(first.ConnectedAt))
	require.Zero(t, first.DisconnectStatusCode)
}

// An integration may keep its request and read all of it after it has returned, while
// the observers and the client get the result. The race detector checks that.
func TestRoute_IntegrationKeepsItsRequest(t *testing.T) {
	t.Parallel()
	var reading sync.WaitGroup
	t.Cleanup(reading.Wait)
	over := make(chan struct{})
	done := make(chan string, 1)
	srv := gatewaytest.New(t, gateway.WithObserver(&gateway.Observer{
		IntegrationDone: func(_ context.Context, req *gateway.Request, _ *gateway.Response, _ time.Duration, _ error) {
			value, _ := req.SelectionValue()
			done <- value
		},
	}))
	srv.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		reading.Go(func() {
			for {
				kept := *req
				if value, ok := kept.SelectionValue(); !ok || value != "foo" || string(kept.Body) != `{"action":"foo"}` {
					panic(value)
				}
				select {
				case <-over:
					return
				default:
					runtime.Gosched()
				}
			}
		})
		return nil, errors.New("it fails")
	})
	c := srv.Dial(t)
	c.Send(`{"action":"foo"}`)
	require.Contains(t, c.Receive(), "Internal server error")
	require.Equal(t, "foo", <-done)
	close(over)
}
