package gatewaytest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"testing"
	"time"

	"example.com/gateway/internal/wsconn"
)

// DialOption changes a [Server.Dial].
type DialOption func(*dialing)

type dialing struct {
	host         string
	header       http.Header
	query        url.Values
	subprotocols []string
	source       netip.Addr
}

// Header adds a header to the upgrade request. Host sets the host that the
// server sees; the default is that of [Server.URL]. The headers of the handshake
// itself cannot be changed: Connection, Upgrade, Sec-WebSocket-Key and -Version.
func Header(name, value string) DialOption {
	if http.CanonicalHeaderKey(name) == "Host" {
		return func(d *dialing) { d.host = value }
	}
	return func(d *dialing) { d.header.Add(name, value) }
}

// Query adds a query parameter to the upgrade request.
func Query(name, value string) DialOption {
	return func(d *dialing) { d.query.Add(name, value) }
}

// Subprotocols offers subprotocols.
func Subprotocols(names ...string) DialOption {
	return func(d *dialing) { d.subprotocols = append(d.subprotocols, names...) }
}

// SourceIP sets the address that the server sees the client come from. Over TCP
// it has to be one of this machine, such as any of 127.0.0.0/8.
func SourceIP(ip string) DialOption {
	addr := netip.MustParseAddr(ip)
	return func(d *dialing) { d.source = addr }
}

// Refused is the answer to an upgrade that the server did not accept.
type Refused struct {
	StatusCode int
	Header     http.Header
	Body       string // up to 1 KiB of it
}

// Dial connects a client. It fails the test when the upgrade is refused.
func (s *Server) Dial(tb testing.TB, opts ...DialOption) *Client {
	tb.Helper()
	c, refused := s.TryDial(tb, opts...)
	if refused != nil {
		tb.Fatalf("gatewaytest: upgrade refused with %d: %s", refused.StatusCode, refused.Body)
	}
	return c
}

// TryDial is [Server.Dial] for an upgrade that may be refused: either the client
// or the refusal is nil.
func (s *Server) TryDial(tb testing.TB, opts ...DialOption) (*Client, *Refused) {
	tb.Helper()
	d := dialing{header: http.Header{}, query: url.Values{}}
	for _, o := range opts {
		o(&d)
	}
	target := s.URL()
	if len(d.query) > 0 {
		target += "?" + d.query.Encode()
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	var nc *gate
	ws, resp, err := wsconn.Dial(ctx, target, wsconn.DialOptions{
		Host:         d.host,
		Header:       d.header,
		Subprotocols: d.subprotocols,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := s.dial(ctx, d.source)
			if err != nil {
				return nil, err
			}
			nc = newGate(conn)
			return nc, nil
		},
	})
	switch {
	case err != nil && resp != nil && resp.StatusCode != http.StatusSwitchingProtocols:
		body, _ := io.ReadAll(resp.Body)
		return nil, &Refused{StatusCode: resp.StatusCode, Header: resp.Header, Body: string(body)}
	case err != nil:
		tb.Fatalf("gatewaytest: dial: %v", err)
	}
	c := &Client{
		tb: tb, ws: ws, nc: nc, timeout: s.timeout, header: resp.Header,
		id:   s.idOf(nc.LocalAddr().String()),
		more: make(chan struct{}, 1), over: make(chan struct{}),
	}
	go c.receiveAll() // ends with the connection, which the cleanup drops, and waits
	tb.Cleanup(func() {
		c.Drop()
		<-c.over
	})
	return c, nil
}

// Client is the client's end of a connection, by nhooyr.io/websocket. It reads
// all the time, and keeps what it read for Receive, unless it is paused. Its
// methods fail the test rather than return an error.
type Client struct {
	tb      testing.TB
	ws      *wsconn.Client
	nc      *gate
	timeout time.Duration
	header  http.Header
	id      string

	mu       sync.Mutex // guards the fields below
	messages []string
	binary   bool // the server sent a binary message
	end      error
	echoed   *echo         // set when Close met the server's Close frame
	more     chan struct{} // has a token when messages or end have changed
	over     chan struct{} // closed with end
}

// echo is what the server repeated of our Close frame.
type echo struct {
	code   int
	reason string
}

// ConnectionID returns the connection's ID, which a real client does not know.
func (c *Client) ConnectionID() string { return c.id }

// Subprotocol returns the subprotocol that the server chose, or "".
func (c *Client) Subprotocol() string { return c.header.Get("Sec-WebSocket-Protocol") }

// ResponseHeader returns the header of the 101 response.
func (c *Client) ResponseHeader() http.Header { return c.header }

// Send sends text as one message in one frame.
func (c *Client) Send(text string) {
	c.tb.Helper()
	c.must("send", func(ctx context.Context) error { return c.ws.Write(ctx, []byte(text), true) })
}

// SendJSON sends v, encoded as JSON.
func (c *Client) SendJSON(v any) {
	c.tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		c.tb.Fatalf("gatewaytest: %v", err)
	}
	c.Send(string(b))
}

// SendBinary sends a binary message, which the gateway answers with close 1003.
func (c *Client) SendBinary(data []byte) {
	c.tb.Helper()
	c.must("send", func(ctx context.Context) error { return c.ws.Write(ctx, data, false) })
}

// SendFragments sends one text message, each part as a frame of its own.
func (c *Client) SendFragments(parts ...string) {
	c.tb.Helper()
	fragments := make([][]byte, len(parts))
	for i, p := range parts {
		fragments[i] = []byte(p)
	}
	c.must("send", func(ctx context.Context) error { return c.ws.WriteFragments(ctx, fragments...) })
}

// Ping sends a ping and waits for its pong.
func (c *Client) Ping() {
	c.tb.Helper()
	c.must("ping", c.ws.Ping)
}

func (c *Client) must(what string, do func(context.Context) error) {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	if err := do(ctx); err != nil {
		c.tb.Fatalf("gatewaytest: %s: %v", what, err)
	}
}

// Receive returns the next message.
func (c *Client) Receive() string {
	c.tb.Helper()
	text, ok := c.ReceiveWithin(c.timeout)
	if !ok {
		c.tb.Fatalf("gatewaytest: no message within %v", c.timeout)
	}
	return text
}

// ReceiveWithin returns the next message, if one comes within d. It fails the
// test when the connection ends instead.
func (c *Client) ReceiveWithin(d time.Duration) (text string, ok bool) {
	c.tb.Helper()
	timeout := time.NewTimer(d)
	defer timeout.Stop()
	for {
		c.mu.Lock()
		messages, end, binary := c.messages, c.end, c.binary
		if len(messages) > 0 {
			c.messages = messages[1:]
		}
		c.mu.Unlock()
		switch {
		case len(messages) > 0:
			return messages[0], true
		case binary:
			c.tb.Fatalf("gatewaytest: the server sent a binary message")
		case end != nil:
			c.tb.Fatalf("gatewaytest: the connection ended instead of a message: %v", end)
		}
		select {
		case <-c.more:
		case <-timeout.C:
			return "", false
		}
	}
}

// ReceiveJSON decodes the next message into v.
func (c *Client) ReceiveJSON(v any) {
	c.tb.Helper()
	text := c.Receive()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		c.tb.Fatalf("gatewaytest: message %q: %v", text, err)
	}
}

// ReceiveClose waits for the end of the connection and returns the code and
// reason of the server's Close frame: 1006 and "" when there was none. Messages
// that came before can still be received.
func (c *Client) ReceiveClose() (code int, reason string) {
	c.tb.Helper()
	timeout := time.NewTimer(c.timeout)
	defer timeout.Stop()
	select {
	case <-c.over:
	case <-timeout.C:
		c.tb.Fatalf("gatewaytest: the connection did not end within %v", c.timeout)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if code, reason, ok := wsconn.ReceivedClose(c.end); ok {
		return code, reason
	}
	if c.echoed != nil && errors.Is(c.end, net.ErrClosed) {
		return c.echoed.code, c.echoed.reason
	}
	return wsconn.CloseAbnormal, ""
}

// Close closes the connection with a Close frame and waits for the server's.
func (c *Client) Close(code int, reason string) {
	c.tb.Helper()
	if err := c.ws.Close(code, reason); err != nil {
		c.tb.Fatalf("gatewaytest: close: %v", err)
	}
	// The package returns nil when the server's Close frame repeats the code. It
	// may have read that frame itself, before the reading goroutine could.
	c.mu.Lock()
	defer c.mu.Unlock()
	c.echoed = &echo{code, reason}
}

// Drop cuts the connection without a Close frame, as a lost network does.
func (c *Client) Drop() { c.ws.CloseNow() }

// Pause makes the client read nothing more, so that the server meets a client
// that is slow or dead: pings and Close frames are not answered either, and what
// the server does is not seen, the end of the connection too. Over TCP the
// kernels take some more for it.
func (c *Client) Pause() { c.nc.pause() }

// Resume ends a [Client.Pause].
func (c *Client) Resume() { c.nc.resume() }

func (c *Client) receiveAll() {
	for {
		data, text, err := c.ws.Read(context.Background())
		c.mu.Lock()
		switch {
		case err != nil:
			c.end = err
			close(c.over)
		case text:
			c.messages = append(c.messages, string(data))
		default:
			c.binary = true
		}
		c.mu.Unlock()
		select {
		case c.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}
