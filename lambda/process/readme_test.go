//go:build linux || darwin

package process_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/lambda"
	"example.com/gateway/lambda/process"
)

// The README shows the func below.
func TestREADME(t *testing.T) {
	need(t, "node")
	t.Chdir(t.TempDir())
	write(t, ".", files{"functions/chat/index.js": `exports.handler = async () => ({ statusCode: 200 })`})
	srv := gatewaytest.New(t)
	chat, err := newChat(srv.Gateway)
	require.NoError(t, err)
	t.Cleanup(func() { _ = chat.Close() })
	c := srv.Dial(t)
	c.Send(`{"action":"sendmessage"}`)
	e := srv.WaitEvent(func(e gatewaytest.Event) bool { return e.RouteKey == "sendmessage" })
	require.NoError(t, e.Err)
	require.Equal(t, 200, e.Response.StatusCode)
}

func newChat(gw *gateway.Gateway) (io.Closer, error) {
	chat, err := process.New(process.Config{Dir: "functions/chat", Handler: "index.handler", Runtime: "nodejs20.x"})
	if err != nil {
		return nil, err
	}
	gw.Handle("sendmessage", lambda.NewIntegration(chat))
	return chat, nil // Close it after gw
}
