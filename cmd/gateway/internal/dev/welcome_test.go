package dev

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
)

func TestExampleMessage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		expression string
		keys       []string
		want       string
	}{
		{"$request.body.action", []string{"$connect", "send"}, `{"action":"send"}`},
		{"${request.body.data.type}", []string{"join"}, `{"data":{"type":"join"}}`},
		{"$request.body.action", []string{"$connect", "$default"}, "hello"},
		{"$request.body.action", []string{"it's"}, "hello"},
		{"$request.header.x", []string{"send"}, "hello"},
		{"${request.body.a}/${request.body.b}", []string{"x/y"}, "hello"},
	} {
		require.Equal(t, test.want, exampleMessage(controlplane.Stage{RouteKeys: test.keys, RouteSelectionExpression: test.expression}), test.expression)
	}
}
