package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"example.com/gateway/internal/apicall"
	"example.com/gateway/internal/bounded"
	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/patience"
)

// This file serves the @connections API over HTTP. What each call does is in
// management.go.

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
// With [WithManagementExtensions] it also serves what the service does not have:
//
//	GET    …/@connections                            a page of connections, or ?count=true
//	POST   …/@connections                            the body to an audience, or a batch
//	DELETE …/@connections                            closes an audience
//	DELETE …/@connections/{connectionId}?code=…      closes with a code, a reason, or cut=true
//	PUT, DELETE …/@connections/{connectionId}/groups/{group}
//	GET, PUT, DELETE …/@connections/{connectionId}/state
//
// An audience is named by one of the parameters id (several times), group, user, all=true
// and none=true, and except (several times). A body of the type application/x-ndjson is a
// batch: each line {"to":{"group":"a"},"data":"…"} is posted, and has its outcome as a line
// of the answer. The GET of one connection also has principalId, groups and state, for a
// caller who may list that connection. docs/management.md describes these calls, and
// docs/openapi.yaml all of them in OpenAPI 3. Package managementclient makes them. Register
// "/prod/@connections" beside "/prod/@connections/": [http.ServeMux] would redirect the first
// to the second, and many clients do not follow, so that nothing is posted. A call that
// arrives with the slash is served. Pages of another origin cannot make these calls, because
// they need no ID that a page would have to know.
//
// The body of a call has to come within a minute, and 30 s more for each 64 KiB of it; a caller
// has 30 s for each 64 KiB of an answer, so that nobody holds up a goroutine. ReadTimeout and WriteTimeout of your
// [http.Server] replace these times.
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
	answer := managementAnswer{g: g, w: w, now: now, requestID: ids.Request, patience: patience.Begin(w, r, now)}
	header[apigwID] = fields[0:1:1]
	header["x-amzn-RequestId"] = fields[1:2:2]
	header["Content-Type"] = fields[3:4:4]
	c, refused := answer.admit(r)
	if refused != nil {
		answer.fail(r.Context(), refused.answer, refused.err)
		return
	}
	header["X-Amzn-Trace-Id"] = fields[2:3:3]
	if c.more == nil {
		answer.do(r, &c)
	} else if err := answer.doExtension(r.Context(), c); err != nil {
		answer.fail(r.Context(), c.answerTo(err), err)
	}
}

// managementRequest is what a request asks for.
type managementRequest struct {
	action ManagementAction
	id     string // of the connection, or "" for an audience
	body   []byte
	more   *extension // nil: a call of the service
}

// admit reads a call, and decides whether it is made: the ManagementAuth is asked, then the
// throttle.
func (m *managementAnswer) admit(r *http.Request) (c managementRequest, refused *refusedCall) {
	err := errNoManagementAuth
	if m.g.managementAuth != nil {
		c, err = m.g.parseManagementRequest(r)
	}
	if err == nil {
		c.body, err = m.readBody(r, m.g.largestBody(c.more))
	}
	if err != nil {
		return c, &refusedCall{c.answerTo(err), err}
	}
	if _, issued := connid.Parse(c.id); !issued && (c.more == nil || c.more.resource.Kind != apicall.Collection) {
		row := answerOf(errConnectionID)
		return c, &refusedCall{row.withText(row.text + ": " + c.id), errConnectionID}
	}
	if c.more != nil {
		if err = c.readExtension(r); err != nil {
			return c, &refusedCall{c.answerTo(err), err}
		}
	}
	if refused = m.g.authorizeManagement(r, &c); refused != nil {
		return c, refused
	}
	if err := m.g.throttleManagement(m.now); err != nil {
		return c, &refusedCall{answerOf(err), err}
	}
	return c, nil
}

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

// refusedCall is why a call is refused, and the answer.
type refusedCall struct {
	answer errorAnswer
	err    error
}

// authorizeManagement asks the ManagementAuth. It examines the returned error under the
// same recover, because the methods of that error are the program's own code.
func (g *Gateway) authorizeManagement(r *http.Request, c *managementRequest) (refused *refusedCall) {
	if _, all := g.managementAuth.(allowAll); all {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			g.observers.guard.panicked("ManagementAuth", p)
			refused = &refusedCall{answerOf(errInternal), errManagementAuth}
			refused.answer.level = slog.LevelDebug // the panic is in the log already
		}
	}()
	asSent, err := g.proxies.Request(r)
	if err != nil {
		return &refusedCall{answerOf(errProxies), err}
	}
	call := &ManagementCall{Action: c.action, APIID: g.apiID, Stage: g.stage, ConnectionID: c.id, Request: asSent, Body: c.body}
	if c.more != nil {
		call.Audience, call.Group = c.more.audience, c.more.resource.Group
	}
	if err := g.managementAuth.AuthorizeManagement(r.Context(), call); err != nil {
		return &refusedCall{refusedManagement(err), err}
	}
	return nil
}

// mayList reports whether the caller of a GetConnection may list that connection. Only
// then the answer has what the service does not tell: a permission for the three calls of
// the service must not open it.
func (g *Gateway) mayList(r *http.Request, c *managementRequest) bool {
	if !g.managementExtensions {
		return false
	}
	list := &managementRequest{action: ActionList, body: c.body, more: &extension{audience: Connections(c.id)}}
	may := false
	bounded.Contain(&sync.WaitGroup{}, func() { may = g.authorizeManagement(r, list) == nil }) // one that ends its goroutine does not allow it
	return may
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
	patience  patience.Call
}

// readBody reads the body up to a limit; 0 or less is none. It counts the bytes that come,
// and does not rely on Content-Length.
func (m *managementAnswer) readBody(r *http.Request, limit int) ([]byte, error) {
	if r.Body == nil { // as in a request that no server has read
		return nil, nil
	}
	if limit > 0 && (r.ContentLength < 0 || r.ContentLength > int64(limit)) { // MaxBytesReader makes net/http close the caller's connection
		r.Body = http.MaxBytesReader(m.w, r.Body, int64(limit))
	}
	body := make([]byte, 0, min(max(0, r.ContentLength), readAhead)+1) // one byte more, so that the read that returns io.EOF needs no larger buffer
	for {
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		m.patience.BodyComes(len(body)-n, len(body))
		switch {
		case limit > 0 && len(body) > limit:
			return nil, fmt.Errorf("%w: the body is above %d bytes", ErrPayloadTooLarge, limit)
		case errors.Is(err, io.EOF):
			m.patience.BodyHasCome()
			return body, nil
		case err != nil && errors.As(err, new(*http.MaxBytesError)):
			return nil, fmt.Errorf("%w: the body is above %d bytes", ErrPayloadTooLarge, limit)
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

func (m *managementAnswer) do(r *http.Request, c *managementRequest) {
	ctx := r.Context()
	switch c.action {
	case ActionPostToConnection:
		if err := m.g.PostToConnection(ctx, c.id, c.body); err != nil {
			m.fail(ctx, answerOf(err), err)
			return
		}
		m.w.WriteHeader(http.StatusOK)
	case ActionGetConnection:
		connection, err := m.g.GetConnection(ctx, c.id)
		if err != nil {
			m.fail(ctx, answerOf(err), err)
			return
		}
		item := itemOf(&connection)
		item.ConnectionID = "" // as from the service
		if item.Extended() && !m.g.mayList(r, c) {
			item = item.OfService()
		}
		m.json(item)
	case ActionDeleteConnection:
		if err := m.g.DeleteConnection(ctx, c.id); err != nil {
			m.fail(ctx, answerOf(err), err)
			return
		}
		m.logIgnoredQuery(r)
		m.w.WriteHeader(http.StatusNoContent)
	default: // see doExtension
	}
}

// fail answers with a, for err.
func (m *managementAnswer) fail(ctx context.Context, a errorAnswer, err error) {
	header := m.w.Header()
	if a.status == http.StatusRequestEntityTooLarge && a.name == "" { // answered by the service's front end
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
	m.logRejected(ctx, a, err)
}

// parseManagementRequest returns what a request asks for, except for its body and its
// query. The error is for the log.
func (g *Gateway) parseManagementRequest(r *http.Request) (c managementRequest, err error) {
	c.action, c.id, err = parseManagementCall(r)
	if err == nil {
		if g.managementExtensions && c.action == ActionDeleteConnection && r.URL.RawQuery != "" {
			c.more = &extension{resource: apicall.Resource{Kind: apicall.Connection, ConnectionID: c.id}}
		}
		return c, nil
	}
	more, action := parseExtension(r)
	slash := more.resource.Kind == apicall.Collection && strings.HasSuffix(r.URL.Path, "/")
	switch {
	case action == "" || slash && !g.managementExtensions: // probably the ID is missing
		return c, err
	case !g.managementExtensions:
		return c, fmt.Errorf("%w: the service has no %s: to open the calls that only this package has, pass WithManagementExtensions to New", errManagementCall, action)
	}
	if slash {
		g.logSlash(r.Context(), r.URL.Path)
	}
	if err := new(http.CrossOriginProtection).Check(r); err != nil {
		return c, fmt.Errorf("%w: a page of another origin made the call: %v", ErrForbidden, err)
	}
	return managementRequest{action: action, id: more.resource.ConnectionID, more: more}, nil
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
