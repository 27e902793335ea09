package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/outbox"
	"example.com/gateway/internal/wsconn"
)

// ConnectionsAPI is what a backend can do with connections. [Gateway] has it in
// process; [Gateway.ManagementHandler] is the same over HTTP. The methods are described
// at Gateway.
type ConnectionsAPI interface {
	PostToConnection(ctx context.Context, connectionID string, data []byte) error
	PostToConnections(ctx context.Context, connectionIDs []string, data []byte) []error
	GetConnection(ctx context.Context, connectionID string) (Connection, error)
	DeleteConnection(ctx context.Context, connectionID string) error
}

var _ ConnectionsAPI = (*Gateway)(nil)

// ManagementAuth decides who may call [Gateway.ManagementHandler]. It may have a method
// Validate() error, which returns what is wrong with its fields: [New] calls it, so that
// a mistake shows before the first call.
type ManagementAuth interface {
	// AuthorizeManagement returns nil to allow the call. Any error refuses it with
	// 403: a [PublicError] with its own code and message, with 401 if it wraps
	// [ErrUnauthorized] too; any other as ForbiddenException, and its text goes to the
	// log only. A panic refuses the call with 500.
	//
	// ctx is the context of the request, which ends when the caller goes away. The
	// caller waits for AuthorizeManagement, which may run concurrently. Compare a secret
	// in constant time: see package [crypto/subtle].
	AuthorizeManagement(ctx context.Context, call *ManagementCall) error
}

// ManagementAuthFunc is a func that is a [ManagementAuth].
type ManagementAuthFunc func(ctx context.Context, call *ManagementCall) error

// AuthorizeManagement calls f.
func (f ManagementAuthFunc) AuthorizeManagement(ctx context.Context, call *ManagementCall) error {
	return f(ctx, call)
}

// ManagementAction is an operation of the @connections API.
type ManagementAction string

// The three operations. (Amazon API Gateway Management API reference: "Actions".)
const (
	ActionPostToConnection ManagementAction = "PostToConnection" // POST
	ActionGetConnection    ManagementAction = "GetConnection"    // GET
	ActionDeleteConnection ManagementAction = "DeleteConnection" // DELETE
)

// managementAction returns the operation of an HTTP method, or "".
func managementAction(method string) ManagementAction {
	switch method {
	case http.MethodPost:
		return ActionPostToConnection
	case http.MethodGet:
		return ActionGetConnection
	case http.MethodDelete:
		return ActionDeleteConnection
	}
	return ""
}

// ManagementCall is a call of the @connections API that a [ManagementAuth] decides on.
type ManagementCall struct {
	// Action is the operation that the caller asks for.
	Action ManagementAction
	// APIID and Stage are those of [WithAPI] and [WithStage]: an IAM policy names them.
	// Do not take them from the path of the request, which the caller chooses.
	APIID, Stage string
	// ConnectionID is the ID of the connection. It has the form of an ID of this package,
	// but the connection may have closed already.
	ConnectionID string
	// Request is the HTTP request. RequestURI, Host and Header are as the caller sent
	// them. Request.Body has been read already: see the field Body. The request must not
	// be changed, and not be used after AuthorizeManagement has returned.
	Request *http.Request
	// Body is the whole body of the request, at most Quotas.MessageBytes long. In a POST
	// it is the message to the client. It must not be changed or kept.
	Body []byte
}

type allowAll struct{}

func (allowAll) AuthorizeManagement(context.Context, *ManagementCall) error { return nil }

// PostToConnection queues data as one text message for the client of
// connectionID and returns without waiting for the network. data is copied. Each
// byte that is not valid UTF-8 becomes U+FFFD, and counts as its 3 bytes. Messages to one connection arrive
// in the order of the calls that returned nil. nil means accepted, not received:
// a connection may break off while messages are still queued.
//
// It returns the error of a ctx that has ended; [ErrGone] if the connection has closed, or
// its $connect has not returned; [ErrPayloadTooLarge] above Quotas.MessageBytes;
// [ErrLimitExceeded] if the client's send buffer is full. A greeting therefore cannot be
// posted from the integration of $connect: post it from [Observer.ConnectionOpened]. It is
// safe for concurrent use. (API Gateway: "Use @connections commands in your backend
// service".)
func (g *Gateway) PostToConnection(ctx context.Context, connectionID string, data []byte) error {
	err := g.checkSize(data)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = g.post(connectionID, data, nil, time.Now())
	}
	g.posted(ctx, connectionID, data, err)
	return err
}

// PostToConnections posts the same message to many connections: a broadcast. The message
// is encoded once, and no client is waited for. If all connections have accepted it, the
// result is nil. Otherwise it has one error for each of connectionIDs, in their order:
// that of [Gateway.PostToConnection], or nil.
//
// If ctx ends meanwhile, the remaining connections get its error. It is safe for
// concurrent use. The service has no such call.
func (g *Gateway) PostToConnections(ctx context.Context, connectionIDs []string, data []byte) []error {
	tooLarge := g.checkSize(data)
	var frame []byte
	if tooLarge == nil {
		frame = outbox.TextFrame(data)
	}
	var errs []error
	now := time.Now()
	for n, id := range connectionIDs {
		err := cmp.Or(tooLarge, ctx.Err())
		if err == nil {
			err = g.post(id, data, frame, now)
		}
		g.posted(ctx, id, data, err)
		if err != nil {
			if errs == nil {
				errs = make([]error, len(connectionIDs))
			}
			errs[n] = err
		}
	}
	return errs
}

// checkSize returns an [ErrPayloadTooLarge] if data makes a message to a client that is
// above its quota. Bytes that are not valid UTF-8 count as what the client gets for them.
func (g *Gateway) checkSize(data []byte) error {
	limit := g.quotas.MessageBytes
	if limit == 0 || len(data) <= limit/utf8.RuneLen(utf8.RuneError) { // it fits, whatever its bytes are
		return nil
	}
	if n := wsconn.TextLength(data); n > limit {
		return fmt.Errorf("%w: %d bytes, quota %d", ErrPayloadTooLarge, n, limit)
	}
	return nil
}

// post queues data, which frame is of unless it is nil.
func (g *Gateway) post(connectionID string, data, frame []byte, now time.Time) error {
	c, err := g.locate(connectionID)
	if err != nil {
		return err
	}
	return c.post(data, frame, now)
}

// locate finds a connection, for every call that names one by its ID. It is the one
// place that decides where a connection is: on this node, or nowhere. It returns
// [ErrGone] if it is not open here. The connection may close at any time after that.
func (g *Gateway) locate(connectionID string) (*connection, error) {
	c, ok := g.connections.Get(connectionID)
	if !ok || !c.state().accepts() {
		return nil, ErrGone
	}
	return c, nil
}

// GetConnection describes a connection. It returns [ErrGone] if the connection has closed,
// or its $connect has not returned, or the error of a ctx that has ended. It does not count
// as activity of the connection. It is safe for concurrent use.
func (g *Gateway) GetConnection(ctx context.Context, connectionID string) (Connection, error) {
	if err := ctx.Err(); err != nil {
		return Connection{}, err
	}
	c, err := g.locate(connectionID)
	if err != nil {
		return Connection{}, err
	}
	return c.snapshot(), nil
}

// DeleteConnection closes a connection with 1000 "Connection Closed Normally", after the
// messages that are queued for it. It does not wait for that: when it returns, the
// connection is gone for all other calls. If a shutdown or a quota of time is already
// closing the connection with 1001 and waits for its replies, that wait ends, and the code
// stays 1001. It returns [ErrGone] if the connection was gone
// already, or the error of a ctx that has ended. It is safe for concurrent use.
func (g *Gateway) DeleteConnection(ctx context.Context, connectionID string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c, err := g.locate(connectionID)
	if err != nil {
		return err
	}
	if !c.delete() { //nolint:contextcheck // the caller does not wait for $disconnect
		return ErrGone
	}
	return nil
}

// Connections yields the open connections of this node, in no particular order. A
// connection that opens or closes during the loop may or may not be yielded. The body of
// the loop may call any method of the Gateway.
func (g *Gateway) Connections() iter.Seq[Connection] {
	return func(yield func(Connection) bool) {
		for c := range g.connections.All() {
			if c.state().accepts() && !yield(c.snapshot()) {
				return
			}
		}
	}
}

// Len returns the number of connections of this node: those that Connections yields, and
// those that are closing, until their $disconnect has run. It is fast, so that a metric
// can call it often. It is safe for concurrent use.
func (g *Gateway) Len() int { return g.connections.Len() }

// ManagementHandler returns the handler of the @connections API. Its callers are AWS
// SDKs, whose endpoint is the URL before /@connections, or any other HTTP client:
//
//	POST   …/@connections/{connectionId}   the body becomes a text message: 200
//	GET    …/@connections/{connectionId}   connectedAt, lastActiveAt, identity: 200
//	DELETE …/@connections/{connectionId}   closes the connection: 204
//
// Every call is refused with 403 unless [WithManagementAuth] or [WithoutManagementAuth]
// opens the handler.
//
// The path before @connections does not matter. An error has its name in the header
// x-amzn-ErrorType: 410 GoneException, 400 BadRequestException for an ID that was never
// issued, 403 ForbiddenException, 429 LimitExceededException if the client reads too
// slowly. A body above Quotas.MessageBytes gets 413 without a name, as from the service.
//
// "@" and "=" may be escaped or not. Some clients send "//@connections" if their endpoint
// ends in "/". [http.ServeMux] redirects such a path before a handler sees it, and those
// clients do not follow: if that matters, call this handler before the mux. (API Gateway:
// "Use @connections commands in your backend service".)
func (g *Gateway) ManagementHandler() http.Handler { return http.HandlerFunc(g.serveManagement) }

func (g *Gateway) serveManagement(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	header := w.Header()
	ids := connid.NewAnswer(now)
	fields := &[...]string{ids.Request, ids.UUID, ids.Trace, "application/json"} // in one allocation
	answer := managementAnswer{g: g, w: w, now: now, requestID: ids.Request}
	header[apigwID] = fields[0:1:1]
	header["x-amzn-RequestId"] = fields[1:2:2]
	header["Content-Type"] = fields[3:4:4]
	if g.managementAuth == nil {
		answer.fail(r.Context(), errNoManagementAuth)
		return
	}
	action, id, err := parseManagementCall(r)
	if err != nil {
		answer.fail(r.Context(), err)
		return
	}
	body, err := answer.readBody(r)
	if err != nil {
		answer.fail(r.Context(), err)
		return
	}
	if _, issued := connid.Parse(id); !issued {
		row := answerOf(errConnectionID)
		answer.failWith(r.Context(), row.withText(row.text+": "+id), errConnectionID)
		return
	}
	if refused := g.authorizeManagement(r, action, id, body); refused != nil {
		answer.failWith(r.Context(), refused.answer, refused.err)
		return
	}
	if err := g.throttleManagement(now); err != nil {
		answer.fail(r.Context(), err)
		return
	}
	header["X-Amzn-Trace-Id"] = fields[2:3:3]
	answer.do(r.Context(), action, id, body)
}

// refusedCall is why a ManagementAuth refuses a call, and the answer.
type refusedCall struct {
	answer errorAnswer
	err    error
}

// authorizeManagement asks the ManagementAuth. It examines the returned error under the
// same recover, because the methods of that error are the program's own code.
func (g *Gateway) authorizeManagement(r *http.Request, action ManagementAction, id string, body []byte) (refused *refusedCall) {
	if _, all := g.managementAuth.(allowAll); all {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			g.observers.guard.panicked("ManagementAuth", p)
			refused = &refusedCall{answerOf(errInternal), errManagementAuth}
		}
	}()
	call := &ManagementCall{action, g.apiID, g.stage, id, r, body}
	if err := g.managementAuth.AuthorizeManagement(r.Context(), call); err != nil {
		return &refusedCall{refusedManagement(err), err}
	}
	return nil
}

var errManagementAuth = errors.New("the ManagementAuth panicked")

// refusedManagement returns the answer for an error of a ManagementAuth. Whatever the
// error wraps, the call is forbidden.
func refusedManagement(err error) errorAnswer {
	answer := answerOf(ErrForbidden)
	var public PublicError
	if errors.As(err, &public) {
		answer.name, answer.text = public.PublicError()
		if errors.Is(public, ErrUnauthorized) {
			answer.status = http.StatusUnauthorized
		}
	}
	return answer
}

// managementAnswer is the answer to one request to the management handler.
type managementAnswer struct {
	g         *Gateway
	w         http.ResponseWriter
	now       time.Time
	requestID string
}

// readBody reads the body up to its quota. It counts the bytes that come, and does not
// rely on Content-Length.
func (m *managementAnswer) readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil { // as in a request that no server has read
		return nil, nil
	}
	limit := m.g.quotas.MessageBytes
	if limit > 0 && (r.ContentLength < 0 || r.ContentLength > int64(limit)) { // has net/http close its connection
		r.Body = http.MaxBytesReader(m.w, r.Body, int64(limit))
	}
	body := make([]byte, 0, min(max(0, r.ContentLength), readAhead)+1) // 1 for the end to show
	for {
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case limit > 0 && len(body) > limit:
			return nil, ErrPayloadTooLarge
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil && errors.As(err, new(*http.MaxBytesError)):
			return nil, ErrPayloadTooLarge
		case errors.Is(err, os.ErrDeadlineExceeded): // the caller may try again
			return nil, err
		case err != nil:
			return nil, fmt.Errorf("%w: %v", errReadBody, err)
		case len(body) == cap(body):
			body = append(body, 0)[:len(body)]
		}
	}
}

// readAhead is how many bytes are allocated at most because of Content-Length alone.
const readAhead = 4 << 10

func (m *managementAnswer) do(ctx context.Context, action ManagementAction, id string, body []byte) {
	switch action {
	case ActionPostToConnection:
		if err := m.g.PostToConnection(ctx, id, body); err != nil {
			m.fail(ctx, err)
			return
		}
		m.w.WriteHeader(http.StatusOK)
	case ActionGetConnection:
		c, err := m.g.GetConnection(ctx, id)
		if err != nil {
			m.fail(ctx, err)
			return
		}
		_, _ = m.w.Write(appendConnectionJSON(c))
	case ActionDeleteConnection:
		if err := m.g.DeleteConnection(ctx, id); err != nil {
			m.fail(ctx, err)
			return
		}
		m.w.WriteHeader(http.StatusNoContent)
	}
}

func (m *managementAnswer) fail(ctx context.Context, err error) { m.failWith(ctx, answerOf(err), err) }

// failWith answers with a, for err.
func (m *managementAnswer) failWith(ctx context.Context, a errorAnswer, err error) {
	header := m.w.Header()
	if a.status == http.StatusRequestEntityTooLarge { // answered by the service's front end
		delete(header, "x-amzn-RequestId")
		delete(header, apigwID)
		header.Del("Content-Type")
	}
	if a.name != "" {
		header["x-amzn-ErrorType"] = []string{a.name}
	}
	m.w.WriteHeader(a.status)
	if a.text != "" {
		key := "message"
		if a.name == "AccessDeniedException" { // written by IAM, not by API Gateway
			key = "Message"
		}
		body := appendJSONString([]byte(`{"`+key+`":`), a.text)
		_, _ = m.w.Write(append(body, '}'))
	}
	m.logRefused(ctx, a, err)
}

// parseManagementCall returns what a request asks for. The connection ID is the one path
// segment behind the last @connections of the path, unescaped. The path is taken as it
// was sent, so that an escaped slash in the ID is not mistaken for one of the path's. The
// error is for the log: it says what a call looks like.
func parseManagementCall(r *http.Request) (action ManagementAction, id string, err error) {
	prefix, segment, ok := cutLast(r.URL.EscapedPath(), "/")
	_, name, more := cutLast(prefix, "/")
	name, nameErr := url.PathUnescape(name)
	id, idErr := url.PathUnescape(segment)
	if !ok || !more || segment == "" || nameErr != nil || idErr != nil || name != "@connections" {
		return "", "", fmt.Errorf("%w: the path %+.128q does not end in /@connections/{connectionId}, with the ID as one escaped segment", errManagementCall, r.URL.Path)
	}
	if action = managementAction(r.Method); action == "" {
		return "", "", fmt.Errorf("%w: the method is %+.16q: use POST to send a message, GET to describe the connection, DELETE to close it", errManagementCall, r.Method)
	}
	return action, id, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// isoTime is how the service writes a time: UTC, milliseconds.
const isoTime = "2006-01-02T15:04:05.000Z07:00"

func appendConnectionJSON(c Connection) []byte {
	type identity struct {
		SourceIP  string `json:"sourceIp"`
		UserAgent string `json:"userAgent,omitempty"`
	}
	b, _ := json.Marshal(struct { // strings only: cannot fail
		Identity     identity `json:"identity"`
		ConnectedAt  string   `json:"connectedAt"`
		LastActiveAt string   `json:"lastActiveAt"`
	}{
		identity{c.Identity.SourceIP, c.Identity.UserAgent},
		c.ConnectedAt.UTC().Format(isoTime), c.LastActiveAt.UTC().Format(isoTime),
	})
	return b
}
