package lifecycle_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/testutil"
)

// An integration that outlives its timeout may change its request in any way. The
// client, the observers and the log get the gateway's own values.
func TestTimeout_requestBelongsToTheIntegration(t *testing.T) {
	t.Parallel()
	for _, event := range []gateway.EventType{gateway.EventConnect, gateway.EventMessage, gateway.EventDisconnect} {
		t.Run(string(event), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var told []gateway.Request
				lines := &testutil.LockedBuffer{}
				srv := gatewaytest.New(t,
					gateway.WithQuotas(gateway.Quotas{IntegrationTimeout: time.Second}),
					gateway.WithLogger(slog.New(slog.NewJSONHandler(lines, nil))),
					gateway.WithObserver(&gateway.Observer{
						IntegrationDone: func(_ context.Context, req *gateway.Request, _ *gateway.Response, _ time.Duration, err error) {
							mu.Lock()
							defer mu.Unlock()
							if err != nil {
								told = append(told, *req)
							}
						},
					}))
				var got gateway.Request
				stubborn := func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
					if req.EventType != event {
						return nil, nil
					}
					mu.Lock()
					got = *req
					mu.Unlock()
					for ctx.Err() == nil || time.Since(req.RequestTime) < 2*time.Second { // goes on after its time is over
						req.RequestID, req.RouteKey, req.ConnectionID, req.MessageID = "mine", "mine", "mine", "mine"
						req.Stage, req.StageVariables = "mine", nil
						for n := range req.Body {
							req.Body[n] = 'x'
						}
						if req.Upgrade != nil {
							req.Upgrade.Header.Set("User-Agent", "mine")
						}
						time.Sleep(100 * time.Millisecond) //nolint:forbidigo // in a bubble
					}
					return nil, nil
				}
				for _, key := range []string{"$connect", "$disconnect", "$default"} {
					srv.HandleFunc(key, stubborn)
				}
				defer time.Sleep(10 * time.Second) //nolint:forbidigo // in a bubble: the integration ends by then
				c, refused := srv.TryDial(t)
				var answer struct{ ConnectionID, RequestID string }
				switch event {
				case gateway.EventConnect:
					require.NotNil(t, refused)
					require.Equal(t, http.StatusGatewayTimeout, refused.StatusCode)
					require.NoError(t, json.Unmarshal([]byte(refused.Body), &answer))
				case gateway.EventMessage:
					c.Send("hello")
					c.ReceiveJSON(&answer)
				case gateway.EventDisconnect:
					c.Close(1000, "")
					time.Sleep(time.Second) //nolint:forbidigo // in a bubble
					synctest.Wait()
				case gateway.EventJoin, gateway.EventLeave: // TestPresence has them
				}
				mu.Lock()
				defer mu.Unlock()
				if event != gateway.EventDisconnect { // after a $disconnect the client is gone
					require.Equal(t, got.RequestID, answer.RequestID)
					require.Equal(t, got.ConnectionID, answer.ConnectionID)
				}
				require.Len(t, told, 1)
				require.Equal(t, got.RequestID, told[0].RequestID)
				require.Equal(t, got.MessageID, told[0].MessageID)
				require.Equal(t, got.RouteKey, told[0].RouteKey)
				require.Equal(t, got.Identity, told[0].Identity)
				require.Nil(t, told[0].Body, "the integration still has it")
				require.Nil(t, told[0].Upgrade, "likewise")
				require.Contains(t, lines.String(), fmt.Sprintf(`"request_id":%q`, got.RequestID))
				require.NotContains(t, lines.String(), "mine")
			})
		})
	}
}

// A panic after the timeout is logged with its stack, because it explains the
// timeout. Other results that come too late leave no trace.
func TestTimeout_latePanicIsLogged(t *testing.T) {
	t.Parallel()
	for _, event := range []gateway.EventType{gateway.EventConnect, gateway.EventMessage, gateway.EventDisconnect, "AUTHORIZER"} {
		for name, end := range map[string]func() error{
			"panics":  func() error { panic("what hung") },
			"fails":   func() error { return errors.New("what hung") },
			"returns": func() error { return nil },
		} {
			t.Run(string(event)+" "+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					lines := &testutil.LockedBuffer{}
					srv := gatewaytest.New(t,
						gateway.WithQuotas(gateway.Quotas{IntegrationTimeout: time.Second}),
						gateway.WithLogger(slog.New(slog.NewJSONHandler(lines, nil))))
					late := func(at gateway.EventType) error {
						if at != event {
							return nil
						}
						time.Sleep(5 * time.Second) //nolint:forbidigo // in a bubble
						return end()
					}
					integration := func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
						return nil, late(req.EventType)
					}
					authorizer := gateway.AuthorizerFunc(func(context.Context, *gateway.Request) (*gateway.Authorization, error) {
						return &gateway.Authorization{}, late("AUTHORIZER")
					})
					srv.HandleFunc("$connect", integration, gateway.WithAuthorizer(authorizer))
					srv.HandleFunc("$disconnect", integration)
					srv.HandleFunc("$default", integration)
					if c, _ := srv.TryDial(t); c != nil {
						c.Send("hello")
						time.Sleep(10 * time.Second) //nolint:forbidigo // in a bubble
						c.Close(1000, "")
					}
					time.Sleep(10 * time.Second) //nolint:forbidigo // in a bubble
					synctest.Wait()
					if name == "panics" {
						require.Contains(t, lines.String(), "what hung")
						require.Contains(t, lines.String(), "gaveup_test.go", "the stack")
					} else {
						require.NotContains(t, lines.String(), "what hung")
					}
				})
			})
		}
	}
}

// slowStore takes as long to count messages as they have time. It counts $connect at
// once.
type slowStore struct {
	misbehaving
	takes   time.Duration
	counted map[string]bool // by key
	mu      sync.Mutex
}

// FindAPIKey implements gateway.UsageStore.
func (s *slowStore) FindAPIKey(ctx context.Context, value string) (gateway.APIKey, error) {
	key, err := s.misbehaving.FindAPIKey(ctx, value)
	key.ID = value
	key.CountRequest = func(context.Context, time.Time) (bool, error) {
		s.mu.Lock()
		counted := s.counted[value]
		s.counted[value] = true
		s.mu.Unlock()
		if counted {
			time.Sleep(s.takes) //nolint:forbidigo // in a bubble
		}
		return true, nil
	}
	return key, err
}

// If the time of a message is over before its integration begins, the client gets the
// same answer as for any other timeout, and the integration does not begin.
func TestTimeout_beforeTheIntegrationBegins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &slowStore{takes: time.Second, counted: map[string]bool{}}
		srv := gatewaytest.New(t, gateway.WithUsageStore(store), gateway.WithQuotas(gateway.Quotas{IntegrationTimeout: store.takes}))
		srv.HandleFunc("$connect", answerNothing, gateway.WithAPIKeyRequired())
		invoked := 0
		srv.HandleFunc("$default", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			invoked++
			return &gateway.Response{Body: []byte("answer")}, nil
		}, gateway.WithRouteResponse())
		for n := range 50 { // the timeout and the store end at the same moment: either may be first
			c := srv.Dial(t, gatewaytest.Header("x-api-key", fmt.Sprintf("key of the client number %3d", n)))
			c.Send("hello")
			got, ok := c.ReceiveWithin(time.Minute)
			require.True(t, ok, "it is answered")
			require.Contains(t, got, "Endpoint request timed out")
		}
		require.Zero(t, invoked)
	})
}
