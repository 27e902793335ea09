package controlplane

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/gatewaytest"
)

// newServer returns a Server for tests that look into its store.
func newServer(t *testing.T, cfg Config) *Server {
	t.Helper()
	s, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Shutdown(context.Background())) })
	return s
}

const apiBody = `{"name":"n","protocolType":"WEBSOCKET","routeSelectionExpression":"$request.body.action"}`

// A client cannot make as many APIs, domain names and bytes as it wants.
func TestRoom_APIsAndDomainNames(t *testing.T) {
	t.Parallel()
	store := newMemory()
	s := newServer(t, Config{Store: store})
	for range mostAPIs {
		status, text := serve(t, s, "POST", "/apis", apiBody)
		require.Equal(t, 201, status, text)
	}
	_, text := serve(t, s, "POST", "/apis", apiBody)
	require.Contains(t, text, "Maximum number of Apis for this account has been reached")
	again := newServer(t, Config{Store: store})
	_, text = serve(t, again, "POST", "/apis", apiBody)
	require.Contains(t, text, "Maximum number of Apis", "after a restart, too")
	status, _ := serve(t, newServer(t, Config{Store: store, NoQuotas: true}), "POST", "/apis", apiBody)
	require.Equal(t, 201, status)

	s = newServer(t, Config{})
	for n := range 120 {
		status, text := serve(t, s, "POST", "/domainnames", fmt.Sprintf(`{"domainName":"d%d.example.com"}`, n))
		require.Equal(t, 201, status, text)
	}
	_, text = serve(t, s, "POST", "/domainnames", `{"domainName":"more.example.com"}`)
	require.Contains(t, text, "Maximum number of DomainNames for this account has been reached")
}

// The deployments of an API count: each is a copy. Deleting some makes room.
func TestRoom_Bytes(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	_, text := serve(t, s, "POST", "/apis", apiBody)
	api := "/apis/" + textOf(parse[document](t, text), "apiId")
	templates := `{"integrationType":"MOCK","requestTemplates":{`
	for n := range 28 {
		templates += fmt.Sprintf(`"%d":"%s",`, n, strings.Repeat("x", 32_000))
	}
	templates += `"$default":""}}`
	for range 10 {
		status, text := serve(t, s, "POST", api+"/integrations", templates)
		require.Equal(t, 201, status, text)
	}
	serve(t, s, "POST", api+"/routes", `{"routeKey":"a"}`)
	made := 0
	for ; ; made++ {
		status, text := serve(t, s, "POST", api+"/deployments", "{}")
		if status != 201 {
			require.Equal(t, 400, status)
			require.Contains(t, text, "Maximum size of this API has been reached")
			break
		}
		require.Less(t, made, 20)
	}
	require.Equal(t, 10, made)
	stored := 0
	require.NoError(t, s.store.View(func(r Reader) error {
		return eachBelow(r, "", func(key string, value []byte) { stored += len(key) + len(value) })
	}))
	require.Equal(t, stored, s.stored)
	require.LessOrEqual(t, stored, mostOfAPI)
	status, _ := serve(t, s, "PATCH", api, `{"description":""}`)
	require.Equal(t, 200, status)
	_, text = serve(t, s, "GET", api+"/deployments?maxResults=1", "")
	oldest := textOf(parse[document](t, text)["items"].([]any)[0].(document), "deploymentId")
	status, _ = serve(t, s, "DELETE", api+"/deployments/"+oldest, "")
	require.Equal(t, 204, status)
	status, text = serve(t, s, "POST", api+"/deployments", "{}")
	require.Equal(t, 201, status, text)

	s.stored = mostOfAll
	_, text = serve(t, s, "POST", "/domainnames", `{"domainName":"d.example.com"}`)
	require.Contains(t, text, "Maximum size of all APIs has been reached")
	s.stored = stored
	status, _ = serve(t, s, "DELETE", api, "")
	require.Equal(t, 204, status)
	require.Empty(t, s.rooms)
}

// An API has a limit of resources.
func TestRoom_Resources(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	require.NoError(t, s.Apply(t.Context(), []Call{{Path: "/v2/apis/chat", Body: parse[document](t, apiBody)}}))
	s.rooms["chat"] = room{documents: mostResources - 1}
	status, text := serve(t, s, "POST", "/apis/chat/models", `{"name":"a","schema":"{}"}`)
	require.Equal(t, 201, status, text)
	_, text = serve(t, s, "POST", "/apis/chat/models", `{"name":"b","schema":"{}"}`)
	require.Contains(t, text, "Maximum number of resources for this API has been reached: 10000")
	status, _ = serve(t, s, "PATCH", "/apis/chat", `{"description":"x"}`)
	require.Equal(t, 200, status)
}

// A client cannot start any number of asynchronous functions: it gets the error frame, as
// when the function is throttled.
func TestBackground_Most(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running atomic.Int64
		end := make(chan struct{})
		l := newLab(t, &Config{Functions: Functions{"slow": invokerFunc(func(context.Context, []byte) ([]byte, error) {
			running.Add(1)
			<-end
			return nil, nil
		})}})
		path := l.serve(twoWay(t, `"integrationType":"AWS","integrationUri":"slow","requestParameters":{"integration.request.header.X-Amz-Invocation-Type":"'Event'"}`,
			`{"integrationResponseKey":"$default","responseTemplates":{"$default":"accepted"}}`))
		c := l.Dial(t, gatewaytest.Path(path))
		for range mostAsync {
			c.Send("x")
			require.Equal(t, "accepted", c.Receive())
		}
		c.Send("x")
		require.Equal(t, internalServerError, frame(t, c.Receive()))
		synctest.Wait()
		require.EqualValues(t, mostAsync, running.Load())
		close(end)
		synctest.Wait()
		c.Send("x")
		require.Equal(t, "accepted", c.Receive(), "there is room again")
	})
}

// A function that panics in the background does not end the program.
func TestBackground_Panic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, &Config{})
		require.True(t, l.background(t.Context(), func(context.Context) error { panic("sorry") }))
		synctest.Wait()
		require.Contains(t, l.log.String(), "sorry")
	})
}

// Shutdown says so if a function that was invoked asynchronously is cut off, and not if all
// have ended.
func TestShutdown_Asynchronous(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]bool{"cut off": true, "ended": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, err := New(Config{})
				require.NoError(t, err)
				s.plane.background(t.Context(), func(ctx context.Context) error {
					select {
					case <-ctx.Done():
						return ctx.Err()
					case <-time.After(time.Second):
						return errors.New("no")
					}
				})
				timeout := time.Minute
				if cut {
					timeout = time.Millisecond
				}
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				err = s.Shutdown(ctx)
				require.Equal(t, cut, errors.Is(err, context.DeadlineExceeded), "%v", err)
			})
		})
	}
}
