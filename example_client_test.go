package gateway_test

import (
	"context"
	"net/http"

	"example.com/gateway/internal/wsconn"
)

// client is the WebSocket client of the examples. Any other client works as well.
type client struct{ ws *wsconn.Client }

// dial connects to a server. If the server refuses, it returns the status.
func dial(url string, header ...string) (c *client, statusCode int) {
	h := http.Header{}
	for n := 0; n < len(header); n += 2 {
		h.Set(header[n], header[n+1])
	}
	ws, resp, err := wsconn.Dial(context.Background(), url, wsconn.DialOptions{Header: h}) //nolint:bodyclose // only a refusal has a body, in memory
	if err == nil {
		return &client{ws}, http.StatusSwitchingProtocols
	}
	if resp == nil {
		panic(err)
	}
	return nil, resp.StatusCode
}

func (c *client) send(text string) {
	if err := c.ws.Write(context.Background(), []byte(text), true); err != nil {
		panic(err)
	}
}

func (c *client) sendBinary(data []byte) {
	if err := c.ws.Write(context.Background(), data, false); err != nil {
		panic(err)
	}
}

// receive returns the next message.
func (c *client) receive() string {
	data, _, err := c.ws.Read(context.Background())
	if err != nil {
		panic(err)
	}
	return string(data)
}

// receiveClose waits for the server's Close frame.
func (c *client) receiveClose() (code int, reason string) {
	_, _, err := c.ws.Read(context.Background())
	code, reason, _ = wsconn.ReceivedClose(err)
	return code, reason
}

func (c *client) close(code int, reason string) { _ = c.ws.Close(code, reason) }
