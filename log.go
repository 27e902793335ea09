package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"example.com/gateway/internal/command"
	"example.com/gateway/internal/limit"
	"example.com/gateway/internal/wsconn"
)

// This file decides what a gateway logs, and how much of it. The level of an error is in
// the table of errors.go. What each level means is documented at [WithLogger].
//
// No line has a body, a query value or a header, except the Origin of an upgrade that is
// refused for it. No line has a path, except that of a call that is not one of
// @connections. Both are quoted and shortened.

// warnings limits the lines at level WARN, which clients and callers can cause. The limit
// is for the whole Gateway, because one client can open many connections. Calls of
// @connections have a limit of their own, so that junk there does not hide what clients do.
func warnings() limit.Rate { return limit.Rate{PerSecond: 1, Burst: 100} }

// failures limits the lines at level ERROR: a client that has found a message which makes
// an integration fail can send it again and again.
func failures() limit.Rate { return limit.Rate{PerSecond: 10, Burst: 100} }

// boundedLevel returns level while there are few lines at it, and DEBUG after that. warnings
// is the bucket of the lines at WARN.
func (g *Gateway) boundedLevel(ctx context.Context, warnings *limit.Bucket, level slog.Level, now time.Time) slog.Level {
	bucket := warnings
	switch {
	case level < slog.LevelWarn:
		return level
	case level >= slog.LevelError:
		bucket = g.throttles.failures
	}
	if !g.log.Enabled(ctx, level) || !bucket.Allow(now) {
		return slog.LevelDebug
	}
	return level
}

// logBounded logs a line at boundedLevel. It calls attrs only if the logger wants the
// line.
func (g *Gateway) logBounded(ctx context.Context, level slog.Level, now time.Time, message string, attrs func() []slog.Attr) {
	g.logBoundedBy(ctx, g.throttles.warnings, level, now, message, attrs)
}

// logBoundedBy is logBounded with another bucket of the warnings.
func (g *Gateway) logBoundedBy(ctx context.Context, warnings *limit.Bucket, level slog.Level, now time.Time, message string, attrs func() []slog.Attr) {
	if level = g.boundedLevel(ctx, warnings, level, now); g.log.Enabled(ctx, level) {
		g.log.LogAttrs(ctx, level, message, attrs()...) //nolint:sloglint // each caller has its own constant
	}
}

// logFailure logs a failure of the program's own code.
func (g *Gateway) logFailure(ctx context.Context, message string, req *Request, err error) {
	g.logBounded(ctx, slog.LevelError, time.Now(), message, func() []slog.Attr { return g.failureAttrs(req, err) })
}

// logIntegration logs that an integration returned an error, or that a typed handler refused
// a message.
func (g *Gateway) logIntegration(ctx context.Context, req *Request, err error) {
	message := "integration failed"
	level := answerOf(err).level
	if level < slog.LevelError {
		message = "handler refused the message"
	}
	g.logBounded(ctx, level, time.Now(), message, func() []slog.Attr { return g.failureAttrs(req, err) })
}

// logRejected logs that an upgrade is refused. If the log has the failure already, it does
// so at debug.
func (u *upgrade) logRejected(answer errorAnswer, err error) {
	level := answer.level
	if u.logged {
		level = slog.LevelDebug
	}
	u.g.logBounded(u.ctx, level, u.now, "upgrade rejected", func() []slog.Attr {
		return []slog.Attr{
			slog.String("connection_id", u.connectionID), slog.String("request_id", u.requestID), slog.String("stage", u.g.stage),
			slog.Int("status", answer.status), slog.Any("error", err),
		}
	})
}

// logSubprotocol logs that $connect has chosen a subprotocol that the client will refuse.
func (u *upgrade) logSubprotocol() {
	u.g.logBounded(u.ctx, slog.LevelWarn, u.now, "$connect returned a subprotocol that the client did not offer", func() []slog.Attr {
		return []slog.Attr{slog.String("connection_id", u.connectionID), slog.String("request_id", u.requestID), slog.String("stage", u.g.stage)}
	})
}

// logRejected logs that a message was answered with an error before its integration was
// called.
func (c *connection) logRejected(call *call, answer errorAnswer, err error) {
	c.g.logBounded(call, answer.level, call.Start(), "message rejected", func() []slog.Attr {
		attrs := append(c.g.failureAttrs(&call.req, err), slog.Int("status", answer.status))
		if err == errNoRoute { //nolint:errorlint // that is never wrapped, and err may be a Model's
			attrs = append(attrs, slog.String("fix", "add the route, or a $default route; the log never has the value that selects the route: see it with Request.SelectionValue in Observer.MessageRejected"))
		}
		return attrs
	})
}

// logNotSent logs that the reply to a message was not sent, because of err.
func (c *connection) logNotSent(call *call, err error, now time.Time) {
	c.g.logBounded(call, answerOf(err).level, now, "reply not sent", func() []slog.Attr {
		requestID, _ := call.ids.Strings() // the integration may have changed its Request
		return append(c.g.requestAttrs(c.id, call.route.RouteKey, requestID), slog.Any("error", err))
	})
}

// logReplyLost logs that a reply was ready only after the gateway had closed the connection,
// because of by.
func (c *connection) logReplyLost(call *call, by string, now time.Time) {
	c.g.logBounded(call, slog.LevelWarn, now, "reply lost", func() []slog.Attr {
		requestID, _ := call.ids.Strings() // the integration may have changed its Request
		return append(c.g.requestAttrs(c.id, call.route.RouteKey, requestID),
			slog.String("error", fmt.Sprintf("the reply was not ready %v after %s had begun to close the connection", closeTimeout, by)),
			slog.Duration("took", now.Sub(call.Start())))
	})
}

// logBodyDropped logs that a client does not get the body that an integration returned. It
// does so once for each route of a deployment: at WARN for a message, which may want a route
// response; at INFO for the other events, because many functions that were written
// for AWS return a body there and mean nothing by it.
func (g *Gateway) logBodyDropped(ctx context.Context, r *route) {
	if r.bodyDropped.Load() || !r.bodyDropped.CompareAndSwap(false, true) {
		return
	}
	level := slog.LevelWarn
	switch r.RouteKey {
	case RouteKeyConnect, RouteKeyDisconnect, RouteKeyJoin, RouteKeyLeave:
		level = slog.LevelInfo
	}
	g.logBounded(ctx, level, time.Now(), "the integration returned a body, but the route sends none to the client", func() []slog.Attr {
		return []slog.Attr{slog.String("route_key", r.RouteKey), slog.String("stage", g.stage), slog.String("fix", fixOfBody(r.RouteKey))}
	})
}

// logIgnored logs that the commands of an answer are not done, once for each route of a
// deployment. The body of such an answer was not meant for a route response, so no other line
// says that it is dropped.
func logIgnored(ctx context.Context, r *route, header http.Header) {
	name, asks := command.In(header)
	g, ours := ctx.Value(gatewayKey{}).(*Gateway)
	if !asks || !ours || !r.commandsTold.CompareAndSwap(false, true) {
		return
	}
	r.bodyDropped.Store(true)
	g.logBounded(ctx, slog.LevelWarn, time.Now(), "the answer of the integration has a command, but commands are off", func() []slog.Attr {
		return []slog.Attr{
			slog.String("route_key", r.RouteKey), slog.String("stage", g.stage), slog.String("header", name),
			slog.String("fix", "pass WithAnswerCommands to New; or leave the header out"),
		}
	})
}

// fixOfBody says what to do instead of returning a body that is dropped.
func fixOfBody(routeKey string) string {
	switch routeKey {
	case RouteKeyConnect:
		return greetingFix + "; or return no body"
	case RouteKeyDisconnect:
		return "return no body: the client has left, and nobody is there to get it"
	case RouteKeyJoin, RouteKeyLeave:
		return "return no body: to tell the group, use PostTo"
	}
	return "pass WithRouteResponse() to Handle or HandleFunc, or set Route.RouteResponse; or return no body"
}

// greetingFix says how a client can be greeted.
const greetingFix = "the connection is not open before $connect has returned: to greet the client, post from Observer.ConnectionOpened, or pass WithAnswerCommands to New and answer with the header Gateway-Post: self"

// logRejected logs that a call of @connections is refused.
func (m *managementAnswer) logRejected(ctx context.Context, answer errorAnswer, err error) {
	m.g.logBoundedBy(ctx, m.g.throttles.callWarnings, answer.level, m.now, "management call rejected", func() []slog.Attr {
		return []slog.Attr{
			slog.String("request_id", m.requestID), slog.String("stage", m.g.stage),
			slog.Int("status", answer.status), slog.Any("error", err),
		}
	})
}

// logIgnoredQuery logs that a connection was not closed as the query of the call says. As in the
// service, a query means nothing.
func (m *managementAnswer) logIgnoredQuery(r *http.Request) {
	if r.URL.RawQuery == "" || m.g.managementExtensions {
		return
	}
	query := r.URL.Query()
	if !query.Has("code") && !query.Has("reason") && !query.Has("cut") {
		return
	}
	m.g.logBoundedBy(r.Context(), m.g.throttles.callWarnings, slog.LevelWarn, m.now, "a connection was closed with 1000, and not as the call says", func() []slog.Attr {
		return []slog.Attr{
			slog.String("request_id", m.requestID), slog.String("stage", m.g.stage),
			slog.String("fix", "the service has no code, reason and cut: to close with them, pass WithManagementExtensions to New"),
		}
	})
}

// logSlash logs, once, that a call for an audience came with a slash at its end, because most
// of those that do not come would have a client that does not follow redirects.
func (g *Gateway) logSlash(ctx context.Context, path string) {
	if g.slashTold.Load() || !g.slashTold.CompareAndSwap(false, true) {
		return
	}
	g.logBoundedBy(ctx, g.throttles.callWarnings, slog.LevelWarn, time.Now(), "a call of @connections for an audience has a slash at its end, probably because of a redirect", func() []slog.Attr {
		return []slog.Attr{
			slog.String("stage", g.stage),
			slog.String("fix", fmt.Sprintf("call %+.128q, without the slash, and mount ManagementHandler there, too: http.ServeMux redirects such a call otherwise, and many clients do not follow", strings.TrimSuffix(path, "/"))),
		}
	})
}

// logUndelivered logs that not everybody has accepted what an answer has posted.
func (g *Gateway) logUndelivered(ctx context.Context, e *commandedEvent, d *Delivery) {
	g.logBounded(ctx, slog.LevelDebug, time.Now(), "the body of an answer did not reach everyone", func() []slog.Attr {
		return append(g.requestAttrs(e.connectionID, e.routeKey, e.requestID),
			slog.String("error", fmt.Sprintf("accepted by %d connections, refused by %d, %d gone", d.Accepted, d.Refused, d.Gone)))
	})
}

// logNotDone logs that an answer that joins a group and posts came too late.
func (g *Gateway) logNotDone(ctx context.Context, e *commandedEvent) {
	g.logBounded(ctx, slog.LevelDebug, time.Now(), "nothing that the headers of the answer ask for was done", func() []slog.Attr {
		return append(g.requestAttrs(e.connectionID, e.routeKey, e.requestID),
			slog.String("error", "the connection has closed meanwhile, so it cannot join a group"))
	})
}

// logViolation logs that a client has broken a rule of the protocol.
func (c *connection) logViolation(violation *wsconn.CloseError) {
	c.g.logBounded(&c.ctx, slog.LevelWarn, time.Now(), "client broke a rule of the protocol", func() []slog.Attr {
		return []slog.Attr{
			slog.String("connection_id", c.id), slog.String("stage", c.g.stage),
			slog.Int("close_code", violation.Code), slog.String("error", violation.Error()),
		}
	})
}

func (c *connection) logOpened() {
	c.g.log.LogAttrs(&c.ctx, slog.LevelDebug, "connection opened",
		slog.String("connection_id", c.id), slog.String("stage", c.g.stage))
}

func (c *connection) logClosed(cs *cause) {
	attrs := []slog.Attr{slog.String("connection_id", c.id), slog.String("stage", c.g.stage), slog.Int("close_code", cs.code)}
	if cs.err != nil {
		attrs = append(attrs, slog.Any("error", cs.err))
	}
	c.g.log.LogAttrs(&c.ctx, slog.LevelDebug, "connection closed", attrs...)
}

// logLate logs the panic of a callback that had been given up, because it explains why
// the callback did not return in time. Any other outcome that comes late is dropped.
func (g *Gateway) logLate(ctx context.Context, req *Request, err error) {
	if _, ok := as[*panicError](err); ok {
		g.logFailure(ctx, "panic after the timeout", req, err)
	}
}

func (g *Gateway) logDeployed(routes int) {
	g.log.LogAttrs(g.root, slog.LevelInfo, "deployed", slog.String("stage", g.stage), slog.Int("routes", routes))
}

// logDoubt logs that a part of a route is allowed, but probably not what was meant.
func (g *Gateway) logDoubt(routeKey, doubt string) {
	g.log.LogAttrs(g.root, slog.LevelWarn, "a part of the route is probably a mistake",
		slog.String("route_key", routeKey), slog.String("stage", g.stage), slog.String("error", doubt))
}

// logConstantSelection logs that all JSON messages have the same route key.
func (g *Gateway) logConstantSelection(expression string) {
	g.log.LogAttrs(g.root, slog.LevelWarn, "the route selection expression has no variable, so that all JSON messages go to the same route",
		slog.String("expression", expression), slog.String("stage", g.stage))
}

// logKeyDoubt logs that a route key is probably not what was meant.
func (g *Gateway) logKeyDoubt(routeKey, doubt string) {
	g.log.LogAttrs(g.root, slog.LevelWarn, "the route key is probably a mistake",
		slog.String("route_key", routeKey), slog.String("stage", g.stage), slog.String("error", doubt))
}

// logMoreDoubts logs that there are n more doubts than were logged.
func (g *Gateway) logMoreDoubts(n int) {
	g.log.LogAttrs(g.root, slog.LevelWarn, "more parts of the routes are probably mistakes",
		slog.String("stage", g.stage), slog.Int("more", n))
}

func (g *Gateway) logShutdown() {
	g.log.LogAttrs(g.root, slog.LevelInfo, "shutting down", slog.String("stage", g.stage), slog.Int("connections", g.connections.Len()))
}

// logPanic logs that a callback has panicked: n times since the last such line.
func (g *guard) logPanic(callback string, n int, err *panicError) {
	g.log.Error("a callback panicked", "callback", callback, "stage", g.stage, "panics", n, "error", err, "stack", string(err.stack))
}

// failureAttrs are what the log says of a failure, with the stack of a panic.
func (g *Gateway) failureAttrs(req *Request, err error) []slog.Attr {
	attrs := append(g.requestAttrs(req.ConnectionID, req.RouteKey, req.RequestID), slog.Any("error", err))
	if req.EventType == EventConnect && is(err, ErrGone) {
		attrs = append(attrs, slog.String("fix", greetingFix))
	}
	if stack := stackOf(err); len(stack) > 0 {
		attrs = append(attrs, slog.String("stack", string(stack)))
	}
	return attrs
}

func (g *Gateway) requestAttrs(connectionID, routeKey, requestID string) []slog.Attr {
	return []slog.Attr{
		slog.String("connection_id", connectionID), slog.String("route_key", routeKey),
		slog.String("request_id", requestID), slog.String("stage", g.stage),
	}
}

// stackOf returns the stack of the panic that err comes from, or nil. The panic may have
// been recovered by the gateway, or reported by an error of the program, whose methods may
// panic, too.
func stackOf(err error) []byte {
	defer func() { _ = recover() }()
	if p, ok := as[interface{ StackTrace() []byte }](err); ok {
		return p.StackTrace()
	}
	return nil
}

// newLog returns the logger of a gateway. l is that of [WithLogger], or nil: then the
// gateway uses [slog.Default], but logs nothing below WARN.
func newLog(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(guardedHandler{defaultHandler{}, slog.LevelWarn})
	}
	return slog.New(guardedHandler{l.Handler(), slog.LevelDebug})
}

// defaultHandler is the handler of the logger that [slog.Default] returns at the time of each
// line. A handler that is kept would be the wrong one after [slog.SetDefault]: the first
// handler of package slog then writes through package log, which logs every line at INFO.
type defaultHandler struct{}

func (defaultHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return slog.Default().Handler().Enabled(ctx, level)
}

func (defaultHandler) Handle(ctx context.Context, r slog.Record) error {
	return slog.Default().Handler().Handle(ctx, r)
}

func (defaultHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return slog.Default().Handler().WithAttrs(attrs)
}

func (defaultHandler) WithGroup(name string) slog.Handler {
	return slog.Default().Handler().WithGroup(name)
}

// guardedHandler calls a [slog.Handler] of the embedding program for the records of a level
// and above. If the handler panics, the line is lost. Nothing else happens, because there
// is no other log.
type guardedHandler struct {
	slog.Handler
	least slog.Level
}

func (h guardedHandler) Enabled(ctx context.Context, level slog.Level) (enabled bool) {
	defer func() { _ = recover() }()
	return level >= h.least && h.Handler.Enabled(ctx, level)
}

func (h guardedHandler) Handle(ctx context.Context, r slog.Record) error {
	defer func() { _ = recover() }()
	return h.Handler.Handle(ctx, r)
}

func (h guardedHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return guardedHandler{h.Handler.WithAttrs(attrs), h.least}
}

func (h guardedHandler) WithGroup(name string) slog.Handler {
	return guardedHandler{h.Handler.WithGroup(name), h.least}
}
