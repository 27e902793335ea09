package lambda_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/lambda"
)

// function is an Invoker of one's own.
type function func(ctx context.Context, payload []byte) ([]byte, error)

func (f function) InvokeFunction(ctx context.Context, payload []byte) ([]byte, error) {
	return f(ctx, payload)
}

// broken is an Invoker with a name that knows what is wrong with it.
type broken struct{ function }

func (broken) FunctionName() string { return "chat" }
func (broken) Validate() error      { return errors.New("it has no code") }

// Any Invoker can be the integration of a route, the backend behind templates, and an
// authorizer.
func TestInvoker_OfOnesOwn(t *testing.T) {
	t.Parallel()
	echo := function(func(_ context.Context, payload []byte) ([]byte, error) { return payload, nil })
	allow := lambda.NewInvoker(func(req lambda.AuthorizerRequest) (lambda.AuthorizerResponse, error) {
		return lambda.AuthorizerResponse{PrincipalID: "ann", PolicyDocument: lambda.PolicyFor("Allow", req.MethodARN)}, nil
	})
	greet := lambda.NewInvoker(func(req lambda.WebsocketRequest) (lambda.Response, error) {
		return lambda.Response{StatusCode: 200, Body: "hello, " + req.RequestContext.Authorizer["principalId"].(string)}, nil
	})
	raise := function(func(context.Context, []byte) ([]byte, error) {
		return nil, lambda.Raised("raise", []byte(`{"errorMessage":"no such item","errorType":"NotFound","stackTrace":["  File \"app.py\"\n"]}`))
	})
	templates := &gateway.Transform{
		RequestTemplates: map[string]string{"$default": `{"item":$input.json('$.item')}`},
		Responses:        map[string]gateway.IntegrationResponse{"$default": {}},
	}
	srv := gatewaytest.New(t)
	srv.Handle("$connect", &gateway.MockIntegration{}, gateway.WithAuthorizer(lambda.NewAuthorizer(allow)))
	srv.Handle("greet", lambda.NewIntegration(greet), gateway.WithRouteResponse())
	srv.Handle("echo", &gateway.CustomIntegration{Backend: lambda.NewBackend(echo), Transform: templates}, gateway.WithRouteResponse())
	srv.Handle("raise", &gateway.CustomIntegration{Backend: lambda.NewBackend(raise), Transform: templates}, gateway.WithRouteResponse())
	c := srv.Dial(t)
	c.Send(`{"action":"greet"}`)
	require.Equal(t, "hello, ann", c.Receive())
	c.Send(`{"action":"echo","item":"tea"}`)
	require.Equal(t, `{"item":"tea"}`, c.Receive())
	c.Send(`{"action":"raise"}`)
	require.JSONEq(t, `{"errorMessage":"no such item","errorType":"NotFound","stackTrace":["  File \"app.py\"\n"]}`, c.Receive())
}

func TestInvoker_IsChecked(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		invoker lambda.Invoker
		says    string
	}{
		"nil":                            {nil, "the Invoker is nil"},
		"what the Invoker itself says":   {broken{}, "it has no code"},
		"a Function says it of its name": {&lambda.Function{URL: "http://x", Name: "a b"}, `"a b" is not the name`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gw, err := gateway.New()
			require.NoError(t, err)
			t.Cleanup(func() { _ = gw.Close() })
			defer func() { require.ErrorContains(t, recover().(error), tt.says) }()
			gw.Handle("a", lambda.NewIntegration(tt.invoker))
		})
	}
	t.Run("a nil Invoker behind templates", func(t *testing.T) {
		t.Parallel()
		_, err := lambda.NewBackend(nil)(t.Context(), message(""), nil)
		requireFailed(t, err, http.StatusInternalServerError)
	})
	t.Run("an authorizer without one", func(t *testing.T) {
		t.Parallel()
		require.ErrorContains(t, lambda.NewAuthorizer(nil).Validate(), "NewAuthorizer")
		require.ErrorContains(t, lambda.NewAuthorizer(broken{}).Validate(), "it has no code")
	})
}

// A malformed answer names the function, if its Invoker does.
func TestNewIntegration_NamesTheFunction(t *testing.T) {
	t.Parallel()
	answer := func(context.Context, []byte) ([]byte, error) { return []byte(`"odd"`), nil }
	_, err := lambda.NewIntegration(broken{answer}).Invoke(t.Context(), message(""))
	require.ErrorContains(t, err, `function "chat"`)
	requireFailed(t, err, http.StatusBadGateway)
	_, err = lambda.NewIntegration(function(answer)).Invoke(t.Context(), message(""))
	requireFailed(t, err, http.StatusBadGateway)
}

// A Function is an Invoker: it takes any payload, and passes it on.
func TestFunction_InvokeFunction(t *testing.T) {
	t.Parallel()
	url := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/2015-03-31/functions/fail/invocations" {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			_, _ = io.WriteString(w, `{"errorType":"Error","errorMessage":"oops","trace":["Error: oops","    at f (index.js:1:1)",{"line":3}]}`)
			return
		}
		_, _ = io.Copy(w, r.Body)
	})
	answer, err := (&lambda.Function{URL: url}).InvokeFunction(t.Context(), []byte(`[1]`))
	require.NoError(t, err)
	require.Equal(t, `[1]`, string(answer))
	_, err = (&lambda.Function{URL: url, Name: "fail"}).InvokeFunction(t.Context(), []byte(`{}`))
	var raised *lambda.FunctionError
	require.ErrorAs(t, err, &raised)
	require.Equal(t, []string{"fail", "Error", "oops"}, []string{raised.Function, raised.Type, raised.Message})
	require.Equal(t, []string{"Error: oops", "    at f (index.js:1:1)", `{"line":3}`}, raised.Trace)
	require.JSONEq(t, `{"errorType":"Error","errorMessage":"oops","trace":["Error: oops","    at f (index.js:1:1)",{"line":3}]}`, string(raised.Report()))
	require.JSONEq(t, `{"errorType":"E","errorMessage":"m","trace":["t"]}`, string((&lambda.FunctionError{Type: "E", Message: "m", Trace: []string{"t"}}).Report()))
}
