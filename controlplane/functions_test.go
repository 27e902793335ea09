package controlplane

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/lambda"
)

type resolverFunc func(uri string) (lambda.Invoker, error)

func (f resolverFunc) ResolveFunction(uri string) (lambda.Invoker, error) { return f(uri) }

func TestFunctions_ResolveFunction(t *testing.T) {
	t.Parallel()
	text := func(text string) lambda.Invoker {
		return invokerFunc(func(context.Context, []byte) ([]byte, error) { return []byte(text), nil })
	}
	f := Functions{"chat": text("one"), "chat:live": text("live"), "gone": nil}
	for uri, want := range map[string]string{"chat": "one", "chat:live": "live", "chat:$LATEST": "one"} {
		got, err := f.ResolveFunction(uri)
		require.NoError(t, err)
		answer, err := got.InvokeFunction(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, want, string(answer), uri)
	}
	for _, uri := range []string{"gone", "other", "other:live"} {
		_, err := f.ResolveFunction(uri)
		require.ErrorIs(t, err, ErrUnknownFunction, uri)
	}
	_, err := f.ResolveFunction("arn:aws:sqs:us-east-1:1:q")
	require.ErrorContains(t, err, "write its ARN")
}

func TestParseFunctionName(t *testing.T) {
	t.Parallel()
	name, err := ParseFunctionName("arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:210987654321:function:chat:live/invocations")
	require.NoError(t, err)
	require.Equal(t, FunctionName{Region: "eu-west-1", AccountID: "210987654321", Name: "chat", Qualifier: "live"}, name)
}

// Whatever a resolver does, the call fails with an error that says what to configure.
func TestFunction_Resolver(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		resolver FunctionResolver
		want     string
	}{
		"none":    {nil, "set Config.Functions"},
		"nil":     {resolverFunc(func(string) (lambda.Invoker, error) { return nil, nil }), "returned nil"},
		"unknown": {resolverFunc(func(string) (lambda.Invoker, error) { return nil, ErrUnknownFunction }), "make the function"},
		"broken":  {resolverFunc(func(string) (lambda.Invoker, error) { return nil, errors.New("no disk") }), "no disk"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &function{uri: "chat", resolver: tt.resolver}
			_, err := f.InvokeFunction(context.Background(), nil)
			var refused *lambda.InvokeError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, "chat", refused.Function)
			require.Contains(t, refused.Message, tt.want)
		})
	}
}
