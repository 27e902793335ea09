package dev

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
	"example.com/gateway/definition"
	"example.com/gateway/lambda"
)

type fake string

func (fake) InvokeFunction(context.Context, []byte) ([]byte, error) { return nil, nil }

func TestLocalHosts(t *testing.T) {
	t.Parallel()
	d := &definition.Definition{APIs: []definition.API{{Document: definition.Document{ID: "abc"}}, {Document: definition.Document{ID: "xyz"}}}}
	for text, want := range map[string]string{
		"https://abc.execute-api.us-east-1.amazonaws.com/prod":                  "https://localhost:4568/abc/prod",
		"wss://xyz.execute-api.cn-north-1.amazonaws.com.cn":                     "wss://localhost:4568/xyz",
		"abc.execute-api.eu-west-1.amazonaws.com":                               "localhost:4568/abc",
		"https://other.execute-api.us-east-1.amazonaws.com/prod":                "https://other.execute-api.us-east-1.amazonaws.com/prod",
		"https://zabc.execute-api.us-east-1.amazonaws.com/prod":                 "https://zabc.execute-api.us-east-1.amazonaws.com/prod",
		"abc.execute-api.x and https://sqs.us-east-1.amazonaws.com/":            "abc.execute-api.x and https://sqs.us-east-1.amazonaws.com/",
		"a=abc.execute-api.r-1.amazonaws.com,abc.execute-api.r-2.amazonaws.com": "a=localhost:4568/abc,localhost:4568/abc",
		"nothing": "nothing",
	} {
		require.Equal(t, want, localHosts(text, d, "localhost:4568"), text)
	}
}

// The first place that knows a function counts. Who gets the error knows no Go.
func TestResolvers(t *testing.T) {
	t.Parallel()
	one, two, three := fake("one"), fake("two"), fake("three")
	all := resolvers{controlplane.Functions{"a": one}, controlplane.Functions{"a": two, "b": three}}
	for uri, want := range map[string]lambda.Invoker{"a": one, "arn:aws:lambda:us-east-1:123456789012:function:b": three} {
		got, err := all.ResolveFunction(uri)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := all.ResolveFunction("arn:aws:lambda:us-east-1:123456789012:function:c")
	require.EqualError(t, err, `there is no function "c": create it, or start "gateway dev" with a definition that has it`)
	_, err = all.ResolveFunction("http://nothing")
	require.ErrorContains(t, err, "names no function")
}
