package controlplane

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/lambda"
)

// A stage without a deployment, or that does not exist, answers 403.
func TestStage_NotDeployed(t *testing.T) {
	t.Parallel()
	l := newLab(t, &Config{})
	s := twoWay(t, `"integrationType":"MOCK"`)
	require.NoError(t, l.deploy(&snapshot{API: s.API}))
	require.NoError(t, l.sync(s.API, document{"stageName": "bare"}, nil))
	for _, path := range []string{"/" + apiID + "/bare", "/" + apiID + "/gone", "/" + apiID, "/" + apiID + "/prod/more", "/0000000000/prod"} {
		_, refused := l.TryDial(t, gatewaytest.Path(path))
		require.NotNil(t, refused, path)
		require.Equal(t, http.StatusForbidden, refused.StatusCode, path)
		require.JSONEq(t, `{"message":"Forbidden"}`, refused.Body, path)
		require.Equal(t, "ForbiddenException", refused.Header.Get("X-Amzn-Errortype"), path)
	}
	l.Dial(t, gatewaytest.Path("/"+apiID+"/prod"))
	l.Dial(t, gatewaytest.Path("/"+apiID+"/prod/"))
}

// An open connection follows a deployment, a change of settings and a rollback, with its
// next message.
func TestStage_OpenConnectionFollows(t *testing.T) {
	t.Parallel()
	l := newLab(t, &Config{Functions: Functions{"one": answering("one %v", "stageVariables.v"), "two": answering("two %v", "stageVariables.v"), "ends": answering("")}})
	one := twoWay(t, `"integrationType":"AWS_PROXY","integrationUri":"one"`)
	two := twoWay(t, `"integrationType":"AWS_PROXY","integrationUri":"two"`)
	two.API["routeSelectionExpression"] = "$request.body.type"
	two.Routes = append(two.Routes, parse[document](t, `{"routeId":"r1","routeKey":"new","target":"integrations/i1"}`))
	c := l.Dial(t, gatewaytest.Path(l.serve(one, `"stageVariables":{"v":"a"}`)))
	say := func(message string) string { c.Send(message); return c.Receive() }
	require.Equal(t, "one a", say("x"))

	l.serve(one, `"stageVariables":{"v":"b"}`) // a variable
	require.Equal(t, "one b", say("x"))
	l.serve(two, `"stageVariables":{"v":"b"}`) // a deployment
	require.Equal(t, "two b", say(`{"type":"new"}`))
	l.serve(two) // a variable that was removed
	require.Equal(t, "two <nil>", say("x"))
	l.serve(one) // a rollback
	require.Equal(t, "one <nil>", say("x"))

	bad := twoWay(t, `"integrationType":"MOCK"`)
	bad.Models = []document{{"name": "M", "schema": "{"}}
	require.Error(t, l.deploy(bad))
	require.Equal(t, "one <nil>", say("x"), "after an error the stage is as it was")
}

// The authorizer's result stays with the connection, whatever is deployed.
func TestStage_AuthorizerResultStays(t *testing.T) {
	t.Parallel()
	l := newLab(t, &Config{Functions: Functions{
		"who": answering("%v", "requestContext.authorizer.principalId"),
		"auth": lambda.NewInvoker(func(req lambda.AuthorizerRequest) (lambda.AuthorizerResponse, error) {
			return lambda.AuthorizerResponse{PrincipalID: "ann", PolicyDocument: lambda.PolicyFor("Allow", req.MethodARN)}, nil
		}),
	}})
	s := guarded(t, `"authorizationType":"CUSTOM","authorizerId":"a1"`, `"authorizers":[{"authorizerId":"a1","authorizerUri":"auth"}]`)
	c := l.Dial(t, gatewaytest.Path(l.serve(s)))
	l.serve(guarded(t, `"authorizationType":"NONE"`))
	c.Send(`{"action":"who"}`)
	require.Equal(t, "ann", c.Receive())
}

// Throttles act at once and can be removed. A route's replaces the default one.
func TestStage_Throttles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, &Config{Functions: Functions{"echo": answering("ok")}})
		s := twoWay(t, `"integrationType":"AWS_PROXY","integrationUri":"echo"`)
		s.Routes = append(s.Routes, parse[document](t, `{"routeId":"r1","routeKey":"send","target":"integrations/i1"}`))
		c := l.Dial(t, gatewaytest.Path(l.serve(s)))
		count := func(message string) (passed int) {
			for range 10 {
				c.Send(message)
				if c.Receive() == "ok" {
					passed++
				}
			}
			return passed
		}
		require.Equal(t, 10, count("x"))
		l.serve(s, `"defaultRouteSettings":{"throttlingRateLimit":0.001,"throttlingBurstLimit":3}`,
			`"routeSettings":{"send":{"throttlingRateLimit":0.001,"throttlingBurstLimit":5},"gone":{"throttlingRateLimit":1}}`)
		require.Equal(t, 3, count("x"))
		require.Equal(t, 5, count(`{"action":"send"}`))
		l.serve(s, `"defaultRouteSettings":{"throttlingRateLimit":0.001,"throttlingBurstLimit":3}`, `"stageVariables":{"a":"b"}`)
		require.Equal(t, 0, count("x"), "a throttle that does not change keeps its tokens")
		l.serve(s)
		require.Equal(t, 10, count("x"), "removed")
		l.serve(s, `"defaultRouteSettings":{"throttlingBurstLimit":4}`)
		require.GreaterOrEqual(t, count("x"), 4, "the rate is that of an account")
		require.NotContains(t, l.log.String(), "limit of 0")
		l.serve(s, `"defaultRouteSettings":{"throttlingBurstLimit":0,"throttlingRateLimit":0}`, `"routeSettings":{"send":{"throttlingRateLimit":0,"throttlingBurstLimit":2}}`)
		require.Equal(t, 0, count("x"))
		require.Equal(t, 2, count(`{"action":"send"}`), "what the bucket holds, and no more")
		require.Contains(t, l.log.String(), "limit of 0")
		_, refused := l.TryDial(t, gatewaytest.Path("/"+apiID+"/prod"))
		require.NotNil(t, refused)
		require.Equal(t, http.StatusTooManyRequests, refused.StatusCode)
		for _, settings := range []string{`"throttlingBurstLimit":0`, `"throttlingRateLimit":0`, `"throttlingBurstLimit":0,"throttlingRateLimit":5`} {
			l.serve(s, `"defaultRouteSettings":{`+settings+`}`)
			require.Equal(t, 0, count("x"), settings)
		}
	})
}

// A removed stage closes its connections with 1001, and is gone. One of the same name is
// another stage.
func TestStage_Remove(t *testing.T) {
	t.Parallel()
	l := newLab(t, &Config{Functions: Functions{"echo": answering("ok")}})
	s := twoWay(t, `"integrationType":"AWS_PROXY","integrationUri":"echo"`)
	path := l.serve(s)
	c := l.Dial(t, gatewaytest.Path(path))
	l.remove(apiID, "gone")
	l.remove(apiID, "prod")
	code, _ := c.ReceiveClose()
	require.Equal(t, 1001, code)
	_, refused := l.TryDial(t, gatewaytest.Path(path))
	require.NotNil(t, refused)
	require.Equal(t, http.StatusForbidden, refused.StatusCode)
	require.Error(t, l.ManagementAt(path).PostToConnection(t.Context(), c.ConnectionID(), nil))
	require.Empty(t, l.byTag)
	l.serve(s)
	require.Equal(t, "ok", l.ask(path, "x"))
	require.ErrorIs(t, l.ManagementAt(path).PostToConnection(t.Context(), c.ConnectionID(), nil), gateway.ErrGone)
}

// shutdown closes all stages, waits for $disconnect, and lets no new stage in.
func TestStage_Shutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan string, 2)
		l := newLab(t, &Config{Functions: Functions{"end": lambda.NewInvoker(func(req lambda.WebsocketRequest) error {
			time.Sleep(time.Second) //nolint:forbidigo // on virtual time
			ended <- req.RequestContext.Stage
			return nil
		})}})
		s := snap(t, `"routes":[{"routeId":"1","routeKey":"$disconnect","target":"integrations/i1"}]`, `"integrations":[{"integrationId":"i1","integrationType":"AWS_PROXY","integrationUri":"end"}]`)
		l.Dial(t, gatewaytest.Path(l.serve(s)))
		require.NoError(t, l.sync(s.API, document{"stageName": "other"}, s))
		l.Dial(t, gatewaytest.Path("/"+apiID+"/other"))
		require.NoError(t, l.shutdown(t.Context()))
		require.Len(t, ended, 2)
		require.ErrorIs(t, l.sync(s.API, document{"stageName": "new"}, s), gateway.ErrClosed)
		_, refused := l.TryDial(t, gatewaytest.Path("/"+apiID+"/prod"))
		require.NotNil(t, refused)
		require.Equal(t, http.StatusServiceUnavailable, refused.StatusCode)
	})
}

// shutdown does not wait longer than its context for an integration that hangs, not even
// for that of a stage that was removed before.
func TestStage_ShutdownBreaksOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, &Config{Functions: Functions{"hang": invokerFunc(func(ctx context.Context, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})}})
		c := l.Dial(t, gatewaytest.Path(l.serve(twoWay(t, `"integrationType":"AWS_PROXY","integrationUri":"hang"`))))
		c.Send("x")
		synctest.Wait()
		l.remove(apiID, "prod")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, l.shutdown(ctx), context.DeadlineExceeded)
		require.Less(t, time.Since(start), 3*time.Second)
		require.Contains(t, l.log.String(), "a removed stage did not close in time")
	})
}

// The options of the program hold for all stages: here, the quotas and the origins.
func TestStage_Options(t *testing.T) {
	t.Parallel()
	l := newLab(t, &Config{Gateway: []gateway.Option{gateway.WithQuotas(gateway.Quotas{MessageBytes: 1000, FrameBytes: 1000}), gateway.WithOriginPatterns("app.example.com")}})
	path := l.serve(twoWay(t, `"integrationType":"MOCK"`))
	c := l.Dial(t, gatewaytest.Path(path), gatewaytest.Header("Origin", "https://app.example.com"))
	c.Send(strings.Repeat("x", 1001))
	code, _ := c.ReceiveClose()
	require.Equal(t, 1009, code)
	_, refused := l.TryDial(t, gatewaytest.Path(path), gatewaytest.Header("Origin", "https://evil.example"))
	require.NotNil(t, refused)

	broken := newLab(t, &Config{Gateway: []gateway.Option{gateway.WithQuotas(gateway.Quotas{MessageBytes: 1, FrameBytes: 2})}})
	require.ErrorIs(t, broken.deploy(twoWay(t, `"integrationType":"MOCK"`)), gateway.ErrInvalidOption)
	require.ErrorIs(t, checkSnapshot(broken.cfg, twoWay(t, `"integrationType":"MOCK"`), false), gateway.ErrInvalidOption)
}
