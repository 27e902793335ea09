package main

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"example.com/gateway/gatewaytest"
)

func TestEveryoneGetsTheMessage(t *testing.T) {
	gw, err := newGateway()
	require.NoError(t, err)
	srv := gatewaytest.Serve(t, gw)
	ann, bob := srv.Dial(t), srv.Dial(t)
	ann.Send(`{"action":"sendmessage","text":"hello"}`)
	require.Equal(t, `{"action":"sendmessage","text":"hello"}`, bob.Receive())

	require.NoError(t, gw.DeleteConnection(t.Context(), bob.ConnectionID())) // a kick
	code, _ := bob.ReceiveClose()
	require.Equal(t, 1000, code)
}

func TestIdleClientIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, err := newGateway()
		require.NoError(t, err)
		c := gatewaytest.Serve(t, gw).Dial(t)
		code, reason := c.ReceiveClose() // ten minutes later, but the test takes no time
		require.Equal(t, 1001, code)
		require.Equal(t, "Going away", reason)
	})
}
