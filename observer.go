package gateway

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

// Observer has funcs that the gateway calls when something happens, for metrics and
// tests. A field that is nil is skipped. The gateway waits for each call, and many run
// at the same time: a func must be safe for concurrent use, quick, and must not block. A
// panic in one is recovered and logged, at most once a minute for each func. Each
// context has the values of the upgrade request, with one exception: MessageSent and
// PostFailed get the context of a post, if it is about a post.
type Observer struct {
	// UpgradeRejected: an upgrade request was refused with statusCode. err says why. It
	// is nil if the $connect integration chose that status itself.
	//
	// req is the CONNECT request. There is one for every refusal, also without a $connect
	// route, and also for a request that is not an upgrade. Authorizer, Identity.Caller
	// and Identity.APIKeyID are empty if the request was refused before the gateway knew
	// them. req.Upgrade is the HTTP request as the authorizer and the integration left
	// it; it is nil if one of them has exceeded its time, because it may still use it. The
	// observer may keep req, but must not keep or change req.Upgrade.
	UpgradeRejected func(ctx context.Context, req *Request, statusCode int, err error)
	// ConnectionOpened: a connection was accepted and can be posted to, unless the answer of
	// $connect closes it: see [WithAnswerCommands]. The client gets its 101 after this call.
	ConnectionOpened func(ctx context.Context, c Connection)
	// ConnectionClosed: a connection has closed, with this close code (RFC 6455, section
	// 7.4) and reason, which are also those of $disconnect. Its $disconnect runs after this
	// call. There is one call for each ConnectionOpened.
	ConnectionClosed func(ctx context.Context, c Connection, closeCode int, reason string)
	// IntegrationDone: an integration has returned, or has exceeded its time. err is nil
	// or an *[IntegrationError]. req is the request as the integration left it. If the
	// integration has not returned, req is a new one, without Body and Upgrade.
	// [Request.SelectionValue] says why a message was sent to this route.
	IntegrationDone func(ctx context.Context, req *Request, resp *Response, took time.Duration, err error)
	// MessageRejected: a message from a client was answered with an error frame, and no
	// integration was invoked. err says why: no route matches (403), the message was
	// throttled or the quota of the usage plan is used up (429), it does not fit the model
	// of its route (400, and err is a *[ValidationError]), or the usage store failed, or a
	// Model or the usage store panicked (500). If no route matches, req.RouteKey is "", and
	// [Request.SelectionValue] says which key has no route.
	MessageRejected func(ctx context.Context, req *Request, statusCode int, err error)
	// MessageSent: a post, a reply or an error frame was accepted for the client. bytes is
	// the length of its text as the client gets it. MessageSent is not called for pings,
	// pongs and Close frames. For a message to many, as by [Gateway.PostTo], it is called for
	// each of them, after all have it; so is PostFailed.
	MessageSent func(ctx context.Context, connectionID string, bytes int)
	// PostFailed: a post or a reply was not accepted for the client. bytes is counted as
	// for MessageSent. err says why: the connection is closing ([ErrGone]), its send buffer
	// is full ([ErrLimitExceeded]), the message is too large ([ErrPayloadTooLarge]; for such
	// a reply the client gets an error frame), or the context has ended. What is wrong with a
	// [Gateway.PostTo] as a whole, such as a message that is too large, has no recipients, and
	// PostFailed is not called; [Gateway.PostToConnections] calls it for each ID.
	PostFailed func(ctx context.Context, connectionID string, bytes int, err error)
}

// observers calls the observers of one gateway. A panic in one ends only that call.
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
	if list := os.list.Load(); list != nil {
		os.eachOf(*list, callback, tell)
	}
}

func (os *observers) eachOf(list []Observer, callback string, tell func(o *Observer)) {
	if len(list) == 0 {
		return
	}
	defer os.eachOf(list[1:], callback, tell) // in a defer: an observer may end this goroutine
	defer os.guard.recovered(callback)
	tell(&list[0])
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

func (os *observers) connectionClosed(ctx context.Context, c Connection, closeCode int, reason string) {
	os.each("Observer.ConnectionClosed", func(o *Observer) {
		if o.ConnectionClosed != nil {
			o.ConnectionClosed(ctx, c, closeCode, reason)
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

var errDropped = errors.New("the client of the test dropped the connection")
