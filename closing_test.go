package gateway_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

func isDisconnect(e gatewaytest.Event) bool { return e.EventType == gateway.EventDisconnect }

// disconnects counts the $disconnect events of a connection.
func disconnects(srv *gatewaytest.Server, connectionID string) int {
	n := 0
	for _, e := range srv.Events() {
		if isDisconnect(e) && e.ConnectionID == connectionID {
			n++
		}
	}
	return n
}

func TestConnection_EveryEndHasItsCodeAndReason(t *testing.T) {
	t.Parallel()
	const goingAway = "Going away"
	none := gateway.Quotas{IdleTimeout: -1, ConnectionDuration: -1}
	for _, tc := range []struct {
		name   string
		quotas gateway.Quotas
		do     func(*gatewaytest.Server, *gatewaytest.Client)
		// the code of the client's Close frame; 0: the client closed, or gets no
		// Close frame
		code   int
		reason string
		// the code that $disconnect gets
		eventCode   int
		eventReason string
		after       time.Duration
	}{
		{
			name: "the client closes with code and reason",
			do:   func(_ *gatewaytest.Server, c *gatewaytest.Client) { c.Close(1000, "probe-complete") },
			// the client package reports the server's answer
			code: 1000, reason: "probe-complete", eventCode: 1000, eventReason: "probe-complete",
		},
		{
			name: "the client closes with a code alone",
			do:   func(_ *gatewaytest.Server, c *gatewaytest.Client) { c.Close(1001, "") },
			code: 1001, eventCode: 1001, eventReason: "",
		},
		{
			name: "the client closes with a code of an application",
			do:   func(_ *gatewaytest.Server, c *gatewaytest.Client) { c.Close(4999, "mine") },
			code: 4999, reason: "mine", eventCode: 4999, eventReason: "mine",
		},
		{
			name: "the client closes without a code",
			do:   func(_ *gatewaytest.Server, c *gatewaytest.Client) { c.Close(1005, "") },
			code: 1005, eventCode: 1005, eventReason: "Client-side close frame status not set",
		},
		{
			name: "the client vanishes",
			do:   func(_ *gatewaytest.Server, c *gatewaytest.Client) { c.Drop() },
			code: 1006, eventCode: 1006, eventReason: "Connection closed abnormally",
		},
		{
			name: "ten idle minutes", do: nothing,
			code: 1001, reason: goingAway, eventCode: 1001, eventReason: goingAway, after: 10 * time.Minute,
		},
		{
			name: "an idle timeout of one's own", quotas: gateway.Quotas{IdleTimeout: time.Second}, do: nothing,
			code: 1001, reason: goingAway, eventCode: 1001, eventReason: goingAway, after: time.Second,
		},
		{
			name: "two hours, however busy", do: func(srv *gatewaytest.Server, c *gatewaytest.Client) {
				for range 13 {
					time.Sleep(9 * time.Minute) //nolint:forbidigo // in a synctest bubble
					c.Send("x")
				}
			},
			code: 1001, reason: goingAway, eventCode: 1001, eventReason: goingAway, after: 2 * time.Hour,
		},
		{
			name: "a duration of one's own", quotas: gateway.Quotas{ConnectionDuration: time.Minute}, do: nothing,
			code: 1001, reason: goingAway, eventCode: 1001, eventReason: goingAway, after: time.Minute,
		},
		{
			name: "a day without these quotas", quotas: none, do: func(srv *gatewaytest.Server, c *gatewaytest.Client) {
				time.Sleep(24 * time.Hour) //nolint:forbidigo // in a synctest bubble
				c.Ping()
				_ = srv.DeleteConnection(context.Background(), c.ConnectionID())
			},
			code: 1000, reason: "Connection Closed Normally", eventCode: 1000, eventReason: "Connection Closed Normally", after: 24 * time.Hour,
		},
		{
			name: "DeleteConnection", do: func(srv *gatewaytest.Server, c *gatewaytest.Client) {
				_ = srv.DeleteConnection(context.Background(), c.ConnectionID())
			},
			code: 1000, reason: "Connection Closed Normally", eventCode: 1000, eventReason: "Connection Closed Normally",
		},
		{
			name: "a binary message", do: func(_ *gatewaytest.Server, c *gatewaytest.Client) { c.SendBinary([]byte("x")) },
			code: 1003, reason: "Binary is not supported", eventCode: 1003, eventReason: "Binary is not supported",
		},
		{
			name: "text that is no UTF-8", do: func(_ *gatewaytest.Server, c *gatewaytest.Client) { c.Send("\xff") },
			code: 1007, reason: "Invalid UTF-8", eventCode: 1007, eventReason: "Invalid UTF-8",
		},
		{
			name: "a frame above 32 KiB", do: func(_ *gatewaytest.Server, c *gatewaytest.Client) { c.Send(strings.Repeat("x", 32<<10+1)) },
			code: 1009, reason: "Message too big", eventCode: 1009, eventReason: "Message too big",
		},
		{
			name: "a message above 128 KiB", do: func(_ *gatewaytest.Server, c *gatewaytest.Client) {
				part := strings.Repeat("x", 32<<10)
				c.SendFragments(part, part, part, part, "x")
			},
			code: 1009, reason: "Message too big", eventCode: 1009, eventReason: "Message too big",
		},
		{
			name: "a frame above a quota of one's own", quotas: gateway.Quotas{FrameBytes: 10},
			do:   func(_ *gatewaytest.Server, c *gatewaytest.Client) { c.Send(strings.Repeat("x", 11)) },
			code: 1009, reason: "Message too big", eventCode: 1009, eventReason: "Message too big",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t, gateway.WithQuotas(tc.quotas))
				srv.HandleFunc("$disconnect", answerNothing)
				srv.HandleFunc("$default", answerNothing)
				c := srv.Dial(t)
				start := time.Now()
				tc.do(srv, c)
				code, reason := c.ReceiveClose()
				require.Equal(t, tc.code, code)
				require.Equal(t, tc.reason, reason)
				require.Equal(t, tc.after, time.Since(start))
				e := srv.WaitDisconnect(c.ConnectionID())
				require.Equal(t, tc.eventCode, e.DisconnectStatusCode)
				require.Equal(t, tc.eventReason, e.DisconnectReason)
				require.Equal(t, gateway.RouteKeyDisconnect, e.RouteKey)
				require.Nil(t, e.Body)
				require.Empty(t, e.MessageID)
				require.Equal(t, tc.after, time.Since(start), "nobody waited")

				require.ErrorIs(t, srv.PostToConnection(t.Context(), c.ConnectionID(), nil), gateway.ErrGone)
				_, err := srv.GetConnection(t.Context(), c.ConnectionID())
				require.ErrorIs(t, err, gateway.ErrGone)
				require.ErrorIs(t, srv.DeleteConnection(t.Context(), c.ConnectionID()), gateway.ErrGone)
				time.Sleep(3 * time.Hour) //nolint:forbidigo // in a synctest bubble
				require.Equal(t, 1, disconnects(srv, c.ConnectionID()))
			})
		})
	}
}

func TestConnection_DisconnectIsLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		srv.HandleFunc("$default", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
			return nil, nil
		})
		srv.HandleFunc("$disconnect", answerNothing)
		c := srv.Dial(t)
		for range 5 {
			c.Send("x")
		}
		c.Close(1000, "")
		srv.WaitDisconnect(c.ConnectionID())
		events := srv.Events()
		require.Len(t, events, 6, "what was received is processed")
		require.True(t, isDisconnect(events[5]))
	})
}

func TestConnection_DisconnectMayFail(t *testing.T) {
	t.Parallel()
	for name, fn := range map[string]gateway.IntegrationFunc{
		"an error": func(context.Context, *gateway.Request) (*gateway.Response, error) { return nil, errors.New("e") },
		"a panic":  func(context.Context, *gateway.Request) (*gateway.Response, error) { panic("p") },
		"a hang": func(context.Context, *gateway.Request) (*gateway.Response, error) {
			time.Sleep(time.Hour) //nolint:forbidigo // in a synctest bubble
			return nil, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t)
				srv.HandleFunc("$disconnect", fn)
				c := srv.Dial(t)
				c.Close(1000, "")
				e := srv.WaitDisconnect(c.ConnectionID())
				require.Equal(t, 1000, e.DisconnectStatusCode)
				require.NoError(t, srv.Shutdown(t.Context()))
				require.Equal(t, 1, disconnects(srv, c.ConnectionID()))
			})
		})
	}
}

func TestConnection_QueuedMessagesGoOutBeforeTheClose(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	c := srv.Dial(t)
	c.Pause()
	want := []string{}
	for n := range 100 {
		want = append(want, strconv.Itoa(n))
		require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte(want[n])))
	}
	require.NoError(t, srv.DeleteConnection(t.Context(), c.ConnectionID()))
	require.ErrorIs(t, srv.PostToConnection(t.Context(), c.ConnectionID(), nil), gateway.ErrGone)
	c.Resume()
	for _, text := range want {
		require.Equal(t, text, c.Receive())
	}
	code, _ := c.ReceiveClose()
	require.Equal(t, 1000, code)
}

// A peer that takes no bytes is cut if the Close frame cannot be written. That
// happens after WriteTimeout, and if the connection is closing, after five seconds at
// most, also without a WriteTimeout. A peer that takes the Close frame and does not
// answer has five seconds: see the raw client in TestConnection_RawPeer.
func TestConnection_PeerThatTakesNothingAtTheEnd(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	deleted := func(srv *gatewaytest.Server, id string) error {
		return srv.DeleteConnection(context.Background(), id)
	}
	nothing := func(*gatewaytest.Server, string) error { return nil }
	deletedLater := func(after time.Duration) func(*gatewaytest.Server, string) error {
		return func(srv *gatewaytest.Server, id string) error {
			if err := srv.PostToConnection(context.Background(), id, []byte("x")); err != nil {
				return err
			}
			time.Sleep(after) //nolint:forbidigo // in a synctest bubble
			return deleted(srv, id)
		}
	}
	for _, tc := range []struct {
		name  string
		quota gateway.Quotas
		end   func(*gatewaytest.Server, string) error
		after time.Duration
	}{
		{"the default", gateway.Quotas{}, deleted, 5 * time.Second},
		{"a short WriteTimeout", gateway.Quotas{WriteTimeout: 2 * time.Second}, deleted, 2 * time.Second},
		{"no WriteTimeout", gateway.Quotas{WriteTimeout: -1}, deleted, 5 * time.Second},
		{"a long WriteTimeout", gateway.Quotas{WriteTimeout: hour}, deleted, 5 * time.Second},
		{"a post waits already", gateway.Quotas{}, deletedLater(3500 * time.Millisecond), 5 * time.Second},
		{"a post has waited for longer than that", gateway.Quotas{}, deletedLater(7300 * time.Millisecond), 7300 * time.Millisecond},
		{"no WriteTimeout, idle", gateway.Quotas{WriteTimeout: -1, IdleTimeout: hour}, nothing, hour + 5*time.Second},
		{"no WriteTimeout, too old", gateway.Quotas{WriteTimeout: -1, IdleTimeout: -1, ConnectionDuration: hour}, nothing, hour + 5*time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t, gateway.WithQuotas(tc.quota))
				srv.HandleFunc("$disconnect", answerNothing)
				c := srv.Dial(t)
				c.Pause()
				start := time.Now()
				require.NoError(t, tc.end(srv, c.ConnectionID()))
				e := srv.WaitDisconnect(c.ConnectionID())
				require.Equal(t, tc.after, time.Since(start))
				require.Equal(t, 1006, e.DisconnectStatusCode, "the client never saw the Close frame")
				require.Equal(t, "Client did not read in time", e.DisconnectReason)
			})
		})
	}
}

func TestConnection_DisconnectRequest(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithStage("prod", map[string]string{"table": "t"}), gateway.WithAPI("a1b2c3d4e5", ""))
	upgrades := make(chan bool, 3)
	record := func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		upgrades <- req.Upgrade != nil
		return nil, nil
	}
	for _, key := range []string{"$connect", "$default", "$disconnect"} {
		srv.HandleFunc(key, record)
	}
	c := srv.Dial(t, gatewaytest.SourceIP("203.0.113.7"), gatewaytest.Header("User-Agent", "test"), gatewaytest.Header("Host", "first.example"))
	c.Send("x")
	c.Close(1000, "")
	e := srv.WaitDisconnect(c.ConnectionID())
	require.Equal(t, []bool{true, false, false}, []bool{<-upgrades, <-upgrades, <-upgrades}, "the upgrade request is for $connect alone")
	events := srv.Events()
	require.Len(t, events, 3)
	require.Equal(t, events[0].ConnectedAt, e.ConnectedAt)
	require.Equal(t, events[0].DomainName, e.DomainName)
	require.Equal(t, events[0].DomainName, events[1].DomainName)
	require.Equal(t, "prod", e.Stage)
	require.Equal(t, "a1b2c3d4e5", e.APIID)
	require.Equal(t, map[string]string{"table": "t"}, e.StageVariables)
	require.Equal(t, gateway.Identity{SourceIP: "203.0.113.7", UserAgent: "test"}, e.Identity)
	require.Regexp(t, `^[A-Za-z0-9_-]{15}=$`, e.RequestID)
	require.NotContains(t, []string{events[0].RequestID, events[1].RequestID}, e.RequestID)
}

// $disconnect uses the deployment at the time when it runs, not the one at the time
// of the upgrade.
func TestConnection_DisconnectUsesTheCurrentDeployment(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	c := srv.Dial(t)
	require.NoError(t, srv.Deploy(gateway.Deployment{
		StageVariables: map[string]string{"v": "2"},
		Routes:         []gateway.Route{{RouteKey: "$disconnect", Integration: &gateway.MockIntegration{}}},
	}))
	c.Close(1000, "")
	require.Equal(t, "2", srv.WaitDisconnect(c.ConnectionID()).StageVariables["v"])
}

// A reply to a connection that has closed in the meantime is dropped, and the
// observer sees that.
func TestConnection_ReplyAfterTheClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		refused := make(chan error, 1)
		srv := gatewaytest.New(t, gateway.WithObserver(&gateway.Observer{
			PostFailed: func(_ context.Context, _ string, _ int, err error) { refused <- err },
		}))
		invoked := 0
		srv.HandleFunc("$default", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			invoked++
			time.Sleep(time.Minute / 3) //nolint:forbidigo // in a synctest bubble
			return nil, errors.New("too late")
		})
		srv.HandleFunc("$disconnect", answerNothing)
		c := srv.Dial(t)
		c.Send("x")
		synctest.Wait()
		c.Close(1000, "")
		srv.WaitDisconnect(c.ConnectionID())
		require.ErrorIs(t, <-refused, gateway.ErrGone)
		require.Equal(t, 1, invoked, "a failed integration is not tried again")
	})
}

// Before the gateway closes a connection without being forced to, it waits for
// running integrations, five seconds at most. Until then it still serves the
// connection.
func TestConnection_PoliteClose(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		quotas gateway.Quotas
		end    func(*gatewaytest.Server)
	}{
		{"shutdown", gateway.Quotas{}, func(srv *gatewaytest.Server) { go srv.Shutdown(context.Background()) }}, //nolint:errcheck // the cleanup checks it
		{"idle timeout", gateway.Quotas{IdleTimeout: time.Second}, func(*gatewaytest.Server) {}},
		{"connection duration", gateway.Quotas{ConnectionDuration: time.Second}, func(*gatewaytest.Server) {}},
	} {
		for _, running := range []time.Duration{3 * time.Second, 20 * time.Second} {
			t.Run(tc.name+", "+running.String(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					srv := gatewaytest.New(t, gateway.WithQuotas(tc.quotas))
					srv.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
						if string(req.Body) == "slow" {
							time.Sleep(running) //nolint:forbidigo // in a synctest bubble
						}
						return &gateway.Response{Body: req.Body}, nil
					}, gateway.WithRouteResponse())
					c := srv.Dial(t)
					c.Send("slow")
					time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
					start := time.Now()
					tc.end(srv)
					synctest.Wait()
					c.Send("sent meanwhile")
					require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte("posted meanwhile")))
					_, err := srv.GetConnection(t.Context(), c.ConnectionID())
					require.NoError(t, err)
					require.Equal(t, "posted meanwhile", c.Receive())
					if running < 5*time.Second {
						require.Equal(t, "slow", c.Receive())
						require.Equal(t, "sent meanwhile", c.Receive())
					}
					code, reason := c.ReceiveClose()
					require.Equal(t, 1001, code)
					require.Equal(t, "Going away", reason)
					took := min(running-time.Second, 5*time.Second)
					require.Equal(t, took, time.Since(start))
					require.ErrorIs(t, srv.PostToConnection(t.Context(), c.ConnectionID(), nil), gateway.ErrGone)
					require.ErrorIs(t, srv.DeleteConnection(t.Context(), c.ConnectionID()), gateway.ErrGone)
					time.Sleep(running) //nolint:forbidigo // in a synctest bubble
				})
			})
		}
	}
}

// A connection that waits for its replies while it closes can still be deleted: then it is
// gone at once, what is queued is still sent, and the code is that of the first cause.
func TestConnection_DeletedWhileItCloses(t *testing.T) {
	t.Parallel()
	for _, running := range []time.Duration{2 * time.Second, time.Minute} {
		t.Run(running.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t)
				srv.HandleFunc("$default", func(context.Context, *gateway.Request) (*gateway.Response, error) {
					time.Sleep(running) //nolint:forbidigo // in a synctest bubble
					return &gateway.Response{Body: []byte("too late")}, nil
				}, gateway.WithRouteResponse())
				srv.HandleFunc("$disconnect", answerNothing)
				c := srv.Dial(t)
				id := c.ConnectionID()
				c.Send("slow")
				time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
				start := time.Now()
				go func() { _ = srv.Shutdown(context.Background()) }() // ends with the integration
				synctest.Wait()
				require.NoError(t, srv.PostToConnection(t.Context(), id, []byte("posted before")))
				require.NoError(t, srv.DeleteConnection(t.Context(), id))
				require.ErrorIs(t, srv.PostToConnection(t.Context(), id, nil), gateway.ErrGone)
				_, err := srv.GetConnection(t.Context(), id)
				require.ErrorIs(t, err, gateway.ErrGone)
				require.ErrorIs(t, srv.DeleteConnection(t.Context(), id), gateway.ErrGone)
				require.Equal(t, "posted before", c.Receive())
				code, reason := c.ReceiveClose()
				require.Equal(t, 1001, code)
				require.Equal(t, "Going away", reason)
				require.Zero(t, time.Since(start), "nobody waits for the reply")
				require.Equal(t, 1001, srv.WaitDisconnect(id).DisconnectStatusCode)
				require.Equal(t, min(running, 29*time.Second)-time.Second, time.Since(start), "$disconnect is the last event")
				time.Sleep(running) //nolint:forbidigo // in a synctest bubble: until the integration has returned
			})
		})
	}
}

// Before it closes a connection, the gateway waits for running integrations. If an
// integration waits until its client takes a reply, that does not double the client's
// time.
func TestConnection_PeerThatDoesNotTakeItsReplyAtTheEnd(t *testing.T) {
	t.Parallel()
	for name, quotas := range map[string]gateway.Quotas{
		"the default":     {SendBufferMessages: 1},
		"no WriteTimeout": {SendBufferMessages: 1, WriteTimeout: -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t, gateway.WithQuotas(quotas))
				srv.HandleFunc("$default", serve, gateway.WithRouteResponse())
				srv.HandleFunc("$disconnect", answerNothing)
				c := srv.Dial(t)
				c.Pause()
				for range 2 { // the reader waits for room with the second reply, and reads no third message
					c.Send("x")
				}
				synctest.Wait()
				start := time.Now()
				require.NoError(t, srv.Shutdown(t.Context()))
				require.Equal(t, 5*time.Second, time.Since(start))
				e := srv.WaitDisconnect(c.ConnectionID())
				require.Equal(t, 1006, e.DisconnectStatusCode)
				require.Equal(t, "Client did not read in time", e.DisconnectReason)
			})
		})
	}
}
