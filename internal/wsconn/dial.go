package wsconn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"nhooyr.io/websocket"
)

// DialOptions say how a client connects. The zero value is usable.
type DialOptions struct {
	Host         string      // of the upgrade request; "": the host of the URL
	Header       http.Header // of the upgrade request, besides the fields of the handshake
	Subprotocols []string    // offered in this order
	DialContext  func(ctx context.Context, network, addr string) (net.Conn, error)
	TLS          *tls.Config // of a wss URL; nil: trust what the system trusts
	Compress     bool        // offer permessage-deflate, and compress messages of 512 bytes and more
}

// Client is the client's end of a connection, implemented by nhooyr.io/websocket. One
// goroutine may read while others write.
type Client struct{ ws *websocket.Conn }

// Dial connects to a ws or wss URL. It returns a response whenever the server answered, also
// if the server refused or redirected the request. Dial does not follow redirects.
// The caller can read up to 1 KiB of the response's body.
func Dial(ctx context.Context, url string, opts DialOptions) (*Client, *http.Response, error) {
	mode := websocket.CompressionDisabled
	if opts.Compress {
		mode = websocket.CompressionNoContextTakeover
	}
	transport := &http.Transport{DialContext: opts.DialContext, TLSClientConfig: opts.TLS, DisableKeepAlives: true}
	ws, resp, err := websocket.Dial(ctx, url, &websocket.DialOptions{
		HTTPClient: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Host:            opts.Host,
		HTTPHeader:      opts.Header,
		Subprotocols:    opts.Subprotocols,
		CompressionMode: mode,
	})
	if err != nil {
		return nil, resp, err
	}
	ws.SetReadLimit(-1)
	return &Client{ws: ws}, resp, nil
}

// Read returns the next message. See [ReceivedClose] for the error.
func (c *Client) Read(ctx context.Context) (data []byte, text bool, err error) {
	kind, data, err := c.ws.Read(ctx)
	return data, kind == websocket.MessageText, err
}

// Write sends data as one frame.
func (c *Client) Write(ctx context.Context, data []byte, text bool) error {
	return c.ws.Write(ctx, messageType(text), data)
}

// WriteFragments sends one text message with each part in a frame of its own.
// nhooyr.io/websocket adds an empty last frame.
func (c *Client) WriteFragments(ctx context.Context, parts ...[]byte) error {
	w, err := c.ws.Writer(ctx, websocket.MessageText)
	if err != nil {
		return err
	}
	for _, part := range parts {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return w.Close()
}

// Ping sends a Ping frame and waits for its Pong. Another goroutine must be in Read.
func (c *Client) Ping(ctx context.Context) error { return c.ws.Ping(ctx) }

// closeWait is how long nhooyr.io/websocket waits for the server's Close frame.
const closeWait = 5 * time.Second

// Close sends a Close frame and waits for the server's Close frame, for five seconds
// at most.
func (c *Client) Close(code int, reason string) error {
	start := time.Now()
	err := c.ws.Close(websocket.StatusCode(code), reason)
	if err == nil && time.Since(start) >= closeWait {
		// When the time is over, nhooyr.io/websocket closes the socket, and may
		// report that as if the server had closed it.
		return fmt.Errorf("the server's Close frame did not come within %v", closeWait)
	}
	return err
}

// CloseNow drops the connection without a Close frame.
func (c *Client) CloseNow() { _ = c.ws.CloseNow() }

// ReceivedClose returns the code and reason of the Close frame that ended a Read; ok
// is false if no Close frame ended it.
func ReceivedClose(err error) (code int, reason string, ok bool) {
	var ce websocket.CloseError
	if !errors.As(err, &ce) {
		return 0, "", false
	}
	return int(ce.Code), ce.Reason, true
}

func messageType(text bool) websocket.MessageType {
	if text {
		return websocket.MessageText
	}
	return websocket.MessageBinary
}
