package gatewaytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/gateway/internal/wsconn"
)

// Client is the client's end of a connection. It reads all the time, unless it is
// paused, and keeps the messages for Receive. Its methods fail the test if something
// goes wrong. The frames are made and read by nhooyr.io/websocket, not by the gateway's
// own code.
type Client struct {
	tb     testing.TB
	s      *Service
	ws     *wsconn.Client
	nc     *gate
	header http.Header
	id     string

	mu       sync.Mutex // guards the fields below
	messages []message  // to be received
	received []message  // the last of those that were
	count    int        // how many were received
	end      error      // why the connection ended; nil: it is open
	echoed   *echo      // set when Close has got the server's Close frame

	more chan struct{} // has a token when messages or end have changed
	over chan struct{} // closed when end is set
}

// message is what the server has sent.
type message struct {
	data   string
	binary bool
}

// String is the beginning of the message, for the failure of a test.
func (m message) String() string {
	data := m.data
	if len(data) > shownBytes {
		data = data[:shownBytes] + "…"
	}
	if m.binary {
		return fmt.Sprintf("binary %q", data)
	}
	return fmt.Sprintf("%q", data)
}

// echo is the content of our Close frame, which the server has repeated.
type echo struct {
	code   int
	reason string
}

func newClient(tb testing.TB, s *Service, ws *wsconn.Client, nc *gate, header http.Header) *Client {
	c := &Client{
		tb: tb, s: s, ws: ws, nc: nc, header: header,
		id:   s.recorder.idOf(nc.LocalAddr().String()),
		more: make(chan struct{}, 1), over: make(chan struct{}),
	}
	go c.receiveAll() // ends with the connection, which the cleanup drops, and waits
	tb.Cleanup(func() {
		c.Drop()
		<-c.over
		s.dropped(c.id)
	})
	return c
}

// ConnectionID returns the ID of the connection, which a real client does not know. It
// is "" if a handler of yours has accepted the upgrade and not a Gateway, or if the Gateway
// could not be found: see [ServeHandler].
func (c *Client) ConnectionID() string { return c.id }

// Subprotocol returns the subprotocol that the server has chosen, or "".
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

// SendBinary sends data as one binary message in one frame. A gateway without
// [gateway.WithBinaryMessages] answers it with close 1003.
func (c *Client) SendBinary(data []byte) {
	c.tb.Helper()
	c.must("send", func(ctx context.Context) error { return c.ws.Write(ctx, data, false) })
}

// SendFragments sends one text message in several frames, one for each part. An empty
// last frame follows.
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
	mustBeHere(c.tb, c.s)
	ctx, cancel := context.WithTimeout(context.Background(), c.s.wait())
	defer cancel()
	if err := do(ctx); err != nil {
		c.tb.Fatalf("gatewaytest: %s: %v\n%s", what, err, c.seen())
	}
}

// Receive returns the next message. It fails the test if none comes in time, see
// Timeouts in the package's description, or if the connection ends first.
func (c *Client) Receive() string {
	c.tb.Helper()
	text, ok := c.ReceiveWithin(c.s.wait())
	if !ok {
		c.tb.Fatalf("gatewaytest: no message within %v\n%s", c.s.wait(), c.seen())
	}
	return text
}

// ReceiveWithin returns the next message. ok is false if none comes within d. It fails
// the test if the connection ends first.
func (c *Client) ReceiveWithin(d time.Duration) (text string, ok bool) {
	c.tb.Helper()
	return c.next(d, false)
}

// ReceiveBinary is [Client.Receive] for a binary message. Each of the two fails the test if
// the next message is of the other kind.
func (c *Client) ReceiveBinary() []byte {
	c.tb.Helper()
	data, ok := c.next(c.s.wait(), true)
	if !ok {
		c.tb.Fatalf("gatewaytest: no message within %v\n%s", c.s.wait(), c.seen())
	}
	return []byte(data)
}

// next returns the next message, if one comes within d.
func (c *Client) next(d time.Duration, binary bool) (data string, ok bool) {
	c.tb.Helper()
	mustBeHere(c.tb, c.s)
	timeout := time.NewTimer(d)
	defer timeout.Stop()
	for {
		c.mu.Lock()
		messages, end := c.messages, c.end
		if len(messages) > 0 {
			c.messages = messages[1:]
			c.count++
			c.received = append(c.received, messages[0])
			c.received = c.received[max(0, len(c.received)-shownMessages):]
		}
		c.mu.Unlock()
		switch {
		case len(messages) > 0 && messages[0].binary != binary:
			c.tb.Fatalf("gatewaytest: the next message is of the other kind: Receive is for text, ReceiveBinary for binary messages\n%s", c.seen())
		case len(messages) > 0:
			return messages[0].data, true
		case end != nil:
			c.tb.Fatalf("gatewaytest: no message: %s\n%s", describeEnd(end), c.seen())
		}
		select {
		case <-c.more:
		case <-timeout.C:
			return "", false
		}
	}
}

// ReceiveCompressed waits for the next message as [Client.Receive] does, and fails the test if
// it did not come compressed. The client has to be dialed with [Compression].
func (c *Client) ReceiveCompressed() string {
	c.tb.Helper()
	if c.nc.wire == nil {
		c.tb.Fatalf("gatewaytest: ReceiveCompressed: dial with the option Compression")
	}
	text := c.Receive()
	c.mu.Lock()
	last := c.count - 1
	c.mu.Unlock()
	if !c.nc.wire.compressed(last) {
		c.tb.Fatalf("gatewaytest: the message did not come compressed: %.100q (%d bytes)\nSec-WebSocket-Extensions of the 101: %q\nA gateway compresses with gateway.WithCompression, messages from its Threshold on.",
			text, len(text), c.header.Get("Sec-WebSocket-Extensions"))
	}
	return text
}

// ReceiveJSON waits for the next message as [Client.Receive] does, and decodes it into v.
func (c *Client) ReceiveJSON(v any) {
	c.tb.Helper()
	text := c.Receive()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		c.tb.Fatalf("gatewaytest: message %q: %v", text, err)
	}
}

// ReceiveClose waits until the connection ends, and returns the code and the reason of
// the server's Close frame. If there was none, they are 1006 and "". Messages that came
// before it can still be received.
func (c *Client) ReceiveClose() (code int, reason string) {
	c.tb.Helper()
	mustBeHere(c.tb, c.s)
	timeout := time.NewTimer(c.s.wait())
	defer timeout.Stop()
	select {
	case <-c.over:
	case <-timeout.C:
		c.tb.Fatalf("gatewaytest: the connection did not end within %v\n%s", c.s.wait(), c.seen())
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

// Close closes the connection with a Close frame and waits for the server's, for at
// most 5 seconds.
func (c *Client) Close(code int, reason string) {
	c.tb.Helper()
	if err := c.ws.Close(code, reason); err != nil && !c.gotClose(code) {
		c.tb.Fatalf("gatewaytest: close: %v\n%s", err, c.seen())
	}
	// nhooyr.io/websocket returns nil when the server's Close frame repeats the code. It
	// may have read that frame before our reading goroutine could.
	c.mu.Lock()
	defer c.mu.Unlock()
	c.echoed = &echo{code, reason}
}

// gotClose reports whether our reading goroutine, and not Close, has read the server's Close
// frame with this code. The socket is closed, so that the goroutine ends.
func (c *Client) gotClose(code int) bool {
	<-c.over
	c.mu.Lock()
	defer c.mu.Unlock()
	got, _, ok := wsconn.ReceivedClose(c.end)
	return ok && got == code
}

// Drop ends the connection without a Close frame, as if the network had failed.
func (c *Client) Drop() { c.ws.CloseNow() }

// Pause stops all reading, so that the server has a client that is slow or dead. Until
// [Client.Resume] the client does not answer pings and Close frames, and it does not
// notice when the connection ends. Over TCP the kernel still accepts some data for it.
func (c *Client) Pause() { c.nc.pause() }

// Resume makes the client read again after a [Client.Pause].
func (c *Client) Resume() { c.nc.resume() }

func (c *Client) receiveAll() {
	for {
		data, text, err := c.ws.Read(context.Background())
		c.mu.Lock()
		switch {
		case err != nil:
			c.end = err
			close(c.over)
		default:
			c.messages = append(c.messages, message{string(data), !text})
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

const (
	// shownMessages is how many messages a failure shows, and shownBytes how much of
	// each.
	shownMessages = 3
	shownBytes    = 200
)

// seen says what the client has seen, for the failure of a wait.
func (c *Client) seen() string {
	c.mu.Lock()
	received, waiting := c.received, c.messages
	c.mu.Unlock()
	waiting = waiting[max(0, len(waiting)-shownMessages):]
	events := noID
	if c.id != "" {
		events = c.s.recorder.describe(c.id)
	}
	return fmt.Sprintf("messages received last: %s\nnot yet received: %s\nevents of the connection: %s", quote(received...), quote(waiting...), events)
}

// quote returns the beginnings of messages.
func quote(messages ...message) string {
	if len(messages) == 0 {
		return "none"
	}
	quoted := make([]string, len(messages))
	for n, m := range messages {
		quoted[n] = m.String()
	}
	return strings.Join(quoted, ", ")
}

// describeEnd says how a connection ended.
func describeEnd(err error) string {
	if code, reason, ok := wsconn.ReceivedClose(err); ok {
		return fmt.Sprintf("the server closed the connection with %d %q", code, reason)
	}
	return fmt.Sprintf("the connection broke off: %v", err)
}
