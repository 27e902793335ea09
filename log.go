package gateway

import (
	"context"
	"log/slog"
	"time"
)

// logFailure logs a failure of the embedding program's code, with the stack if it
// panicked.
func (g *Gateway) logFailure(ctx context.Context, text string, req *Request, err error) {
	if level := g.failureLevel(time.Now()); g.log.Enabled(ctx, level) {
		g.log.LogAttrs(ctx, level, text, g.failureAttrs(req, err)...) //nolint:sloglint // each caller has its own constant
	}
}

// cameLate logs the panic of a callback that had been given up, because it explains why
// the callback did not return in time. Any other outcome that comes late is dropped.
func (g *Gateway) cameLate(ctx context.Context, req *Request, err error) {
	if _, ok := as[*panicError](err); ok {
		g.logFailure(ctx, "panic after the timeout", req, err)
	}
}

// failureAttrs are what the log says of a failure.
func (g *Gateway) failureAttrs(req *Request, err error) []slog.Attr {
	attrs := append(g.requestAttrs(req.ConnectionID, req.RouteKey, req.RequestID), slog.Any("error", err))
	if stack := stackOf(err); len(stack) > 0 {
		attrs = append(attrs, slog.String("stack", string(stack)))
	}
	return attrs
}

// callAttrs are what the log says of a message. They are not taken from the call's
// Request, because the integration may have changed it.
func (c *connection) callAttrs(call *call) []slog.Attr {
	requestID, _ := call.ids.Strings()
	return c.g.requestAttrs(c.id, call.route.RouteKey, requestID)
}

func (g *Gateway) requestAttrs(connectionID, routeKey, requestID string) []slog.Attr {
	return []slog.Attr{
		slog.String("connection_id", connectionID), slog.String("route_key", routeKey),
		slog.String("request_id", requestID), slog.String("stage", g.stage),
	}
}

// stackOf returns the stack of the panic that err comes from, or nil. The panic may be
// the gateway's own finding or an error of the embedding program, whose methods may
// panic, too.
func stackOf(err error) []byte {
	defer func() { _ = recover() }()
	if p, ok := as[interface{ StackTrace() []byte }](err); ok {
		return p.StackTrace()
	}
	return nil
}
