package wsconn

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"net/http"
	"time"

	"nhooyr.io/websocket"

	"example.com/gateway/internal/deflate"
	"example.com/gateway/internal/origin"
)

// Handshake is an upgrade request that is valid and has not been answered yet.
type Handshake struct {
	accept     string // Sec-WebSocket-Accept
	extensions string // Sec-WebSocket-Extensions of the answer; "": none
}

// Deflate looks for an offer of permessage-deflate in the request, and accepts the first
// one that is acceptable. It returns the number of the client's window in [Windows]; ok is
// false if the request has none.
func (h *Handshake) Deflate(r *http.Request) (windowBits int, ok bool) {
	agreed, ok := deflate.Negotiate(r.Header.Values("Sec-WebSocket-Extensions"))
	if ok {
		h.extensions = agreed.String()
	}
	return agreed.WindowBits, ok
}

// Refusal is an upgrade request that cannot be accepted.
type Refusal struct {
	StatusCode int
	Header     http.Header // fields that the answer must have, such as Upgrade with 426
	Err        error
}

// CheckHandshake checks an upgrade request by RFC 6455, section 4.2.1, and then its
// Origin: see [origin.Patterns.Allowed]. It writes nothing to the client.
func CheckHandshake(r *http.Request, origins origin.Patterns) (*Handshake, *Refusal) {
	if r.Method == "PRI" { // the preface of HTTP/2 (RFC 9113, section 3.4): such a client does not understand a 426
		return nil, badRequest("HTTP/2 on a socket of HTTP/1.1")
	}
	// nhooyr.io/websocket v1.8.17 answers 101 and takes over the socket in one call.
	// We give it a writer that records its answer and refuses to be hijacked. So we
	// know the result before $connect runs, and can send the 101 after it.
	var rec recorder
	_, err := websocket.Accept(&rec, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // turns off the package's own check of the Origin; package origin does it
		CompressionMode:    websocket.CompressionDisabled,
	})
	switch {
	case errors.Is(err, errNotYet) && (r.ContentLength != 0 || len(r.TransferEncoding) > 0):
		// Whoever takes over the socket would read the body as frames.
		return nil, badRequest("upgrade request has a body")
	case errors.Is(err, errNotYet) && origins.Allowed(r):
		return &Handshake{accept: rec.header.Get("Sec-WebSocket-Accept")}, nil
	case errors.Is(err, errNotYet):
		return nil, &Refusal{StatusCode: http.StatusForbidden, Header: http.Header{}, Err: errOrigin}
	}
	header, status := http.Header{}, rec.status
	if v := rec.header.Get("Sec-WebSocket-Version"); v != "" {
		status = http.StatusUpgradeRequired // RFC 6455, section 4.4; the package says 400
		header.Set("Sec-WebSocket-Version", v)
	}
	switch {
	case r.ProtoMajor > 1: // RFC 9113, section 8.2.2: HTTP/2 does not have these fields
	case status == http.StatusUpgradeRequired: // RFC 9110, section 15.5.22; the package omits the field for HTTP/1.0
		header.Set("Upgrade", "websocket")
		header.Set("Connection", "Upgrade")
		if r.Close || !r.ProtoAtLeast(1, 1) { // else net/http overwrites the field
			header.Set("Connection", "Upgrade, close")
		}
	case status == http.StatusMethodNotAllowed: // RFC 9110, section 15.5.6; the package never sets the field
		header.Set("Allow", http.MethodGet)
	}
	if err == nil || status < http.StatusBadRequest {
		status = http.StatusInternalServerError
	}
	return nil, &Refusal{StatusCode: status, Header: header, Err: reason(status)}
}

var errOrigin = errors.New("the page's origin is not allowed")

func badRequest(reason string) *Refusal {
	return &Refusal{StatusCode: http.StatusBadRequest, Header: http.Header{}, Err: errors.New(reason)}
}

// reason says why a request was refused, in words that are safe to log. The package's
// own errors quote the request.
func reason(status int) error {
	switch status {
	case http.StatusUpgradeRequired:
		return errors.New("the request does not ask for WebSocket version 13 over HTTP/1.1")
	case http.StatusMethodNotAllowed:
		return errors.New("the method of an upgrade must be GET")
	case http.StatusBadRequest:
		return errors.New("no valid Sec-WebSocket-Key")
	}
	return errors.New("the handshake could not be checked")
}

// Hijack takes over the socket. It writes nothing, so the caller can first tell
// others about the connection; whatever they write waits for [Conn.WriteHandshake].
// Several connections can share limits.
func (h *Handshake) Hijack(w http.ResponseWriter, limits *Limits) (*Conn, error) {
	nc, brw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	_ = nc.SetDeadline(time.Time{})
	c := newConn(nc, limits)
	if brw == nil || brw.Reader == nil { // a writer that wraps another one may return no reader
		return c, nil
	}
	if n := brw.Reader.Buffered(); n > 0 { // the client did not wait for the 101
		early, _ := brw.Reader.Peek(n)
		c.preload(early)
	}
	return c, nil
}

// WriteHandshake writes the 101 with the fields of header and, if it is not empty,
// the subprotocol. It leaves out fields that would change what the 101 means: those
// of the handshake, and those that announce a body.
func (c *Conn) WriteHandshake(h *Handshake, header http.Header, subprotocol string, timeout time.Duration) error {
	b := bytes.NewBuffer(make([]byte, 0, handshakeBytes))
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nDate: ")
	b.Write(time.Now().UTC().AppendFormat(b.AvailableBuffer(), http.TimeFormat))
	b.WriteString("\r\nSec-Websocket-Accept: ")
	b.WriteString(h.accept)
	if h.extensions != "" {
		b.WriteString("\r\nSec-Websocket-Extensions: ")
		b.WriteString(h.extensions)
	}
	b.WriteString("\r\nUpgrade: websocket\r\n")
	own := http.Header{}
	for name, values := range header {
		if !reserved(name) {
			own[name] = values
		}
	}
	if subprotocol != "" {
		own.Set("Sec-WebSocket-Protocol", subprotocol)
	}
	_ = own.Write(b) // replaces line breaks by spaces, leaves out invalid names
	b.WriteString("\r\n")
	return c.Write(b.Bytes(), func() time.Duration { return timeout })
}

// handshakeBytes is enough for most answers.
const handshakeBytes = 256

// reserved reports whether name is a field of the 101 that the caller must not set,
// in whatever case it is written.
func reserved(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Connection", "Upgrade", "Date", "Content-Length", "Transfer-Encoding",
		"Sec-Websocket-Accept", "Sec-Websocket-Extensions", "Sec-Websocket-Protocol":
		return true
	}
	return false
}

func newConn(nc net.Conn, limits *Limits) *Conn {
	return &Conn{nc: &netConn{Conn: nc, raw: rawConn(nc)}, limits: limits}
}

var errNotYet = errors.New("not yet")

// recorder is the http.ResponseWriter of a handshake check.
type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header {
	if r.header == nil {
		r.header = http.Header{}
	}
	return r.header
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorder) Write(b []byte) (int, error) { return len(b), nil }

func (r *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, errNotYet }
