package gateway

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
)

// Observer is told of what happens, for metrics and tests. Nil fields are skipped.
// Its funcs are called synchronously, from many goroutines at once, on the path of
// the client they speak of: they must be quick and must not block. A panic in one is
// recovered and logged, at most once a minute for each func. A context carries the
// values of the upgrade request.
type Observer struct {
	// UpgradeRejected: an upgrade request was answered with statusCode. err says
	// why; it is nil when the $connect integration chose that status itself.
	//
	// req is the CONNECT request, also for a stage without a $connect route and for a
	// request that is not an upgrade. What the gateway had not found out before the
	// refusal is left empty: Authorizer, Identity.Caller, Identity.APIKeyID. The
	// observer may keep req, but must neither change nor keep req.Upgrade, which is as
	// the authorizer and the integration left it. Upgrade is nil when one of them has
	// run out of time and may still be using it.
	UpgradeRejected func(ctx context.Context, req *Request, statusCode int, err error)
	// ConnectionOpened: the connection can be posted to; its 101 follows.
	ConnectionOpened func(ctx context.Context, c Connection)
	// ConnectionClosed: the connection has closed with this code and reason, just
	// before its $disconnect. Once for every ConnectionOpened.
	ConnectionClosed func(ctx context.Context, c Connection, statusCode int, reason string)
	// IntegrationDone: an integration returned, or ran out of time. err is nil or
	// an *[IntegrationError]. req is as the integration left it; of one that has not
	// returned, req is another, without Body and Upgrade. [Request.SelectionValue] says
	// why a message got its route.
	IntegrationDone func(ctx context.Context, req *Request, resp *Response, took time.Duration, err error)
	// MessageRejected: a message from a client was answered with an error frame
	// before an integration was asked, for err: no route matched (403), it was
	// throttled (429), it does not fit the model of its route (400, a
	// *[ValidationError]). req.RouteKey is "" when no route matched;
	// [Request.SelectionValue] says which key there is no route for.
	MessageRejected func(ctx context.Context, req *Request, statusCode int, err error)
	// MessageSent: a message of so many bytes was accepted for the client. Not
	// called for control frames.
	MessageSent func(ctx context.Context, connectionID string, bytes int)
	// PostFailed: a post to the client, or a reply, was not accepted: the connection is
	// closing ([ErrGone]), its send buffer is full ([ErrLimitExceeded]), the message is
	// too large ([ErrPayloadTooLarge]).
	PostFailed func(ctx context.Context, connectionID string, bytes int, err error)
}

// observers calls those of a gateway, each under its guard.
type observers struct {
	list  atomic.Pointer[[]Observer] // a slice is never changed once it is here; nil: there is no observer
	guard *guard
}

// add adds an observer, also while others are called.
func (os *observers) add(o Observer) {
	for {
		old := os.list.Load()
		var list []Observer
		if old != nil {
			list = slices.Clone(*old)
		}
		list = append(list, o)
		if os.list.CompareAndSwap(old, &list) {
			return
		}
	}
}

// any reports whether there is one.
func (os *observers) any() bool { return os.list.Load() != nil }

// each calls tell with every observer. A panic ends that one call.
func (os *observers) each(callback string, tell func(o *Observer)) {
	list := os.list.Load()
	if list == nil {
		return
	}
	for i := range *list {
		func() {
			defer os.guard.recovered(callback)
			tell(&(*list)[i])
		}()
	}
}

func (os *observers) upgradeRejected(ctx context.Context, req *Request, statusCode int, err error) {
	os.each("Observer.UpgradeRejected", func(o *Observer) {
		if o.UpgradeRejected != nil {
			o.UpgradeRejected(ctx, req, statusCode, err)
		}
	})
}

func (os *observers) connectionOpened(ctx context.Context, c Connection) {
	os.each("Observer.ConnectionOpened", func(o *Observer) {
		if o.ConnectionOpened != nil {
			o.ConnectionOpened(ctx, c)
		}
	})
}

func (os *observers) connectionClosed(ctx context.Context, c Connection, statusCode int, reason string) {
	os.each("Observer.ConnectionClosed", func(o *Observer) {
		if o.ConnectionClosed != nil {
			o.ConnectionClosed(ctx, c, statusCode, reason)
		}
	})
}

func (os *observers) integrationDone(ctx context.Context, req *Request, resp *Response, took time.Duration, err error) {
	os.each("Observer.IntegrationDone", func(o *Observer) {
		if o.IntegrationDone != nil {
			o.IntegrationDone(ctx, req, resp, took, err)
		}
	})
}

func (os *observers) messageRejected(ctx context.Context, req *Request, statusCode int, err error) {
	os.each("Observer.MessageRejected", func(o *Observer) {
		if o.MessageRejected != nil {
			o.MessageRejected(ctx, req, statusCode, err)
		}
	})
}

func (os *observers) messageSent(ctx context.Context, connectionID string, bytes int) {
	os.each("Observer.MessageSent", func(o *Observer) {
		if o.MessageSent != nil {
			o.MessageSent(ctx, connectionID, bytes)
		}
	})
}

func (os *observers) postFailed(ctx context.Context, connectionID string, bytes int, err error) {
	os.each("Observer.PostFailed", func(o *Observer) {
		if o.PostFailed != nil {
			o.PostFailed(ctx, connectionID, bytes, err)
		}
	})
}

// tapped is the Gateway as package gatewaytest sees it: a [tap.Gateway].
type tapped struct{ *Gateway }

func (t tapped) Observe(o *Observer) { t.observers.add(*o) }

func (t tapped) HasDisconnect() bool { return t.routes.Load().disconnect != nil }

func (t tapped) Made() time.Time { return t.clock.Start() }
