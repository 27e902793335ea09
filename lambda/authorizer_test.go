package lambda_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/lambda"
)

const (
	implicitly = "User is not authorized to access this resource because no identity-based policy allows the execute-api:Invoke action"
	explicitly = "User is not authorized to access this resource with an explicit deny in an identity-based policy"
)

// authorized starts a server whose $connect has a Lambda authorizer.
func authorized(t *testing.T, a gateway.Authorizer) *gatewaytest.Server {
	t.Helper()
	srv := gatewaytest.New(t, gateway.WithAPI("a1b2c3d4e5", "api.test"), gateway.WithStage("prod", map[string]string{"table": "x"}))
	srv.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAuthorizer(a))
	srv.Handle("m", &gateway.MockIntegration{})
	srv.Handle(gateway.RouteKeyDisconnect, &gateway.MockIntegration{})
	return srv
}

// Every outcome of a Lambda authorizer, with the answer that the service
// documents, byte for byte.
func TestAuthorizer_Outcomes(t *testing.T) {
	t.Parallel()
	policy := func(effect, resource string) string {
		b, err := json.Marshal(lambda.AuthorizerResponse{PolicyDocument: lambda.PolicyFor(effect, resource)})
		require.NoError(t, err)
		return string(b)
	}
	const arn = "arn:aws:execute-api:us-east-1:123456789012:a1b2c3d4e5/prod/$connect"
	for _, tt := range []struct {
		name    string
		result  string
		err     error
		status  int    // 0: accepted
		message string // JSON
	}{
		{name: "the policy allows the method ARN", result: policy("Allow", arn)},
		{name: "the policy allows the stage", result: policy("Allow", "arn:aws:execute-api:us-east-1:*:a1b2c3d4e5/prod/*")},
		{"the policy allows another stage", policy("Allow", strings.Replace(arn, "prod", "dev", 1)), nil, 403, `"` + implicitly + `"`},
		{"the policy denies", policy("Deny", arn), nil, 403, `"` + explicitly + `"`},
		{"it raised Unauthorized", "", errors.New("Unauthorized"), 401, `"Unauthorized"`},
		{"it raised something else", "", errors.New("unauthorized"), 500, `"Internal server error"`},
		{"it raised an error that means something to the gateway", "", fmt.Errorf("x: %w", gateway.ErrForbidden), 500, `"Internal server error"`},
		{"there is no policy", `{"principalId":"ann"}`, nil, 500, `null`},
		{"there is a nested context", strings.TrimSuffix(policy("Allow", arn), "}") + `,"context":{"a":{}}}`, nil, 500, `null`},
		{"the context says who the client is", strings.TrimSuffix(policy("Allow", arn), "}") + `,"context":{"principalId":"admin"}}`, nil, 500, `null`},
		{"the result is above 8 KB", strings.TrimSuffix(policy("Allow", arn), "}") + `,"context":{"a":"` + strings.Repeat("x", 8<<10) + `"}}`, nil, 500, `null`},
		{"there is no result", `null`, nil, 500, `null`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := authorized(t, lambda.WrapAuthorizer(func(context.Context, json.RawMessage) (json.RawMessage, error) {
				return json.RawMessage(tt.result), tt.err
			}))
			if tt.status == 0 {
				srv.Dial(t)
				return
			}
			_, refused := srv.TryDial(t)
			require.Equal(t, tt.status, refused.StatusCode)
			require.Equal(t, "application/json", refused.Header.Get("Content-Type"))
			requestID := refused.Header.Get("X-Amz-Apigw-Id")
			require.Regexp(t, `^\{"message": `+regexpQuote(tt.message)+`, "connectionId":"[\w-]{18}==", "requestId":"`+regexpQuote(requestID)+`"\}$`, refused.Body)
			require.Empty(t, srv.Events(), "the integration is not asked")
		})
	}
}

func regexpQuote(s string) string {
	return strings.NewReplacer(`.`, `\.`, `(`, `\(`, `)`, `\)`).Replace(s)
}

// Every event has the authorizer's context. All its values are strings, and only CONNECT
// has the latency.
func TestAuthorizer_ContextGoesWithEveryEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		srv := authorized(t, lambda.WrapAuthorizer(func(req lambda.AuthorizerRequest) (map[string]any, error) {
			asked.Add(1)
			time.Sleep(23 * time.Millisecond) //nolint:forbidigo // virtual time
			return map[string]any{
				"principalId": 7, "policyDocument": lambda.PolicyFor("Allow", req.MethodARN),
				"context": map[string]any{"level": 3, "admin": true, "rate": 0.5, "none": nil},
			}, nil
		}))
		events := make(chan map[string]any, 3)
		for _, key := range []string{"m2", "$default"} {
			srv.Handle(key, lambda.Wrap(func(e map[string]any) {
				events <- e["requestContext"].(map[string]any)["authorizer"].(map[string]any)
			}))
		}
		c := srv.Dial(t)
		c.Send(`{"action":"m2"}`)
		want := map[string]any{"principalId": "7", "level": "3", "admin": "true", "rate": "0.5"}
		require.Equal(t, want, <-events)
		c.Send(`{"action":"m"}`)
		c.Close(1000, "")
		end := srv.WaitDisconnect(c.ConnectionID())
		require.Equal(t, want, end.Authorizer)
		connect := srv.Events()[0]
		require.Equal(t, gateway.EventConnect, connect.EventType)
		want["integrationLatency"] = int64(23)
		require.Equal(t, want, connect.Authorizer)
		require.EqualValues(t, 1, asked.Load())
		srv.Dial(t)
		require.EqualValues(t, 2, asked.Load(), "a result is never cached")
	})
}

// The event of an authorizer differs from that of an integration.
func TestAuthorizer_Event(t *testing.T) {
	t.Parallel()
	var got map[string]any
	a := lambda.WrapAuthorizer(func(e map[string]any) (lambda.AuthorizerResponse, error) {
		got = e
		return lambda.AuthorizerResponse{PolicyDocument: lambda.PolicyFor("Allow", e["methodArn"].(string))}, nil
	})
	a.Region, a.AccountID = "eu-west-1", "111122223333"
	srv := authorized(t, a)
	c := srv.Dial(t, gatewaytest.Header("X-Token", "abc"))
	require.Equal(t, "REQUEST", got["type"])
	require.Equal(t, "arn:aws:execute-api:eu-west-1:111122223333:a1b2c3d4e5/prod/$connect", got["methodArn"])
	require.Equal(t, map[string]any{}, got["queryStringParameters"])
	require.Equal(t, map[string]any{"table": "x"}, got["stageVariables"])
	require.NotContains(t, got, "body")
	require.NotContains(t, got, "isBase64Encoded")
	headers := got["headers"].(map[string]any)
	require.Equal(t, "abc", headers["X-Token"])
	require.Equal(t, "upgrade", headers["Connection"])
	require.Equal(t, "0", headers["content-length"])
	requestContext := got["requestContext"].(map[string]any)
	require.Equal(t, c.ConnectionID(), requestContext["connectionId"], "the ID of all later events")
	require.Equal(t, "CONNECT", requestContext["eventType"])
	require.NotContains(t, requestContext, "authorizer")
}

// A function behind an endpoint can be an authorizer too. All its failures are 500, also
// those that have another status for an integration.
func TestFunction_Authorizer(t *testing.T) {
	t.Parallel()
	var report atomic.Pointer[string]
	url := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		if text := report.Load(); text != nil {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			_, _ = io.WriteString(w, *text)
			return
		}
		var e lambda.AuthorizerRequest
		_ = json.NewDecoder(r.Body).Decode(&e)
		_ = json.NewEncoder(w).Encode(lambda.AuthorizerResponse{PolicyDocument: lambda.PolicyFor("Allow", e.MethodARN), PrincipalID: "ann"})
	})
	srv := authorized(t, (&lambda.Function{URL: url}).Authorizer())
	srv.Dial(t)
	require.Equal(t, "ann", srv.Events()[0].Authorizer["principalId"])
	for text, status := range map[string]int{`{"errorMessage":"Unauthorized"}`: 401, `{"errorMessage":"Task timed out after 3.00 seconds"}`: 500} {
		report.Store(&text)
		_, refused := srv.TryDial(t)
		require.Equal(t, status, refused.StatusCode)
	}
	down := authorized(t, (&lambda.Function{URL: "http://127.0.0.1:1"}).Authorizer())
	_, refused := down.TryDial(t)
	require.Equal(t, http.StatusInternalServerError, refused.StatusCode)
}

func TestWrapAuthorizer_Misuse(t *testing.T) {
	t.Parallel()
	require.Panics(t, func() { lambda.WrapAuthorizer(7) })
}
