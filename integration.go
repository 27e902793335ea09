package gateway

import (
	"context"
	"net/http"
	"time"

	"example.com/gateway/internal/event"
)

// Integration is the backend of a route.
//
// Invoke gets one event and returns what the service would get from a backend. It may
// run concurrently for different connections. For one connection, Quotas.InFlight says
// how many may run at a time. req and its Body belong to Invoke: it may change them, and
// may keep them, but must not change them after it has returned. It may also give a copy of
// req to another integration, at the same time or later.
//
// ctx has the values of the upgrade request, but not its cancellation. It ends at
// Quotas.IntegrationTimeout, when [Gateway.Close] or an expired [Gateway.Shutdown] cuts
// the connections, and when Invoke returns. It does not end when the client leaves. Work
// that goes on after Invoke has returned needs [context.WithoutCancel] of ctx, or a
// context of its own; the values stay. Such work writes to the client with
// [Gateway.PostToConnection].
//
// The gateway reads the returned Response until the client has its copy, and does not
// change it; its Body must not be changed before that. A nil Response means status 200
// and no body. An error means that the integration failed. The client gets the
// service's fixed text then, never that of the error. A panic is an error, too, and is
// logged with its stack. If Invoke does not return before its timeout, the gateway goes
// on without it: the context has ended, and what Invoke returns later is dropped.
//
//   - CONNECT: a StatusCode of 0 or 2xx accepts the connection. The client gets only
//     the Sec-WebSocket-Protocol of the Header then. A StatusCode from 300 to 599
//     refuses the connection, with this status, the Header and the Body. An error
//     refuses it with 502, a timeout with 504.
//   - MESSAGE: if the route has a route response and the Body is not empty, the Body goes to
//     the client as a text message, or as a binary one if Binary is set. StatusCode and Header
//     are ignored. An error or a timeout becomes an error frame, on every route.
//   - DISCONNECT, JOIN, LEAVE: the result is ignored.
//
// With [WithAnswerCommands] the Header of a successful Response also says what becomes of
// the connection, and who else gets the Body.
//
// An Integration may have a method Validate() error, which returns what is wrong
// with its fields. [Gateway.Handle] and [Gateway.Deploy] call it, so that the
// mistake shows when the route is set and not at the first event. Like a [Middleware] it
// must not call them.
//
// (API Gateway: "Managing connected users and client apps: $connect and
// $disconnect routes"; "Setting up WebSocket API integration responses".)
type Integration interface {
	Invoke(ctx context.Context, req *Request) (*Response, error)
}

// IntegrationFunc is a func that is an [Integration].
type IntegrationFunc func(ctx context.Context, req *Request) (*Response, error)

// Invoke calls f.
func (f IntegrationFunc) Invoke(ctx context.Context, req *Request) (*Response, error) {
	return f(ctx, req)
}

// PublishIntegration is an [Integration] that only hands each event on, for example to a
// queue. The func does that with the client of the queue, so that this module needs none:
//
//	publish := gateway.PublishIntegration(func(ctx context.Context, req *gateway.Request) error {
//		_, err := stream.Publish(ctx, "chat."+req.RouteKey, req.Body)
//		return err
//	})
//	gw.Handle("sendmessage", publish)
//
// If the func returns nil, the event counts as taken: the client gets nothing, also on a
// route with a route response, and a CONNECT is accepted. An error has the effect of an
// error of any other integration: the client gets an error frame, or 502 for its upgrade,
// or 504 if the time of the integration was over. So the func should return only after the
// queue has confirmed that it has the event, and within ctx. The queue should not take
// the same event twice: Request.RequestID is another one for each event, and the same if the
// func tries again.
//
// As with each integration, the Body of req may be kept, for example by a client of a queue
// that sends it later, but must not be changed after the func has returned. ctx ends then.
// Whoever reads the queue answers with [ConnectionsAPI], or over HTTP with @connections. (API
// Gateway: an integration of the type AWS with a queue behind it.)
type PublishIntegration func(ctx context.Context, req *Request) error

// Invoke calls f.
func (f PublishIntegration) Invoke(ctx context.Context, req *Request) (*Response, error) {
	return nil, f(ctx, req)
}

// Middleware wraps an [Integration] in another one. It runs once for each route, when
// the route is set. It must not call [Gateway.Handle] or [Gateway.Deploy], which would wait
// for each other forever. If it panics, so does the Handle or Deploy that has called it, and
// nothing has changed.
type Middleware func(next Integration) Integration

// EventType says what an integration is invoked for.
type EventType string

// The three event types of the service, and the two of groups: see [RouteKeyJoin].
const (
	EventConnect    EventType = "CONNECT"
	EventMessage    EventType = "MESSAGE"
	EventDisconnect EventType = "DISCONNECT"
	EventJoin       EventType = "JOIN"
	EventLeave      EventType = "LEAVE"
)

// Request is one event for an [Integration]. It holds what the service puts into
// the requestContext of its events. (API Gateway: "Set up a WebSocket API
// integration request".)
type Request struct {
	RouteKey     string // the route that was selected
	EventType    EventType
	ConnectionID string // 20 characters that end in "==": escape it in a URL
	RequestID    string // 16 characters, another for each event
	MessageID    string // MESSAGE only
	Body         []byte // MESSAGE only: the client's text, valid UTF-8, not nil; bytes if Binary is set
	// Upgrade is the client's upgrade request, CONNECT only: header, query, cookies, TLS
	// state. It is as the client sent it, including X-Forwarded-For, with one exception:
	// a ";" between parameters of the query has become a "&". Behind a proxy that
	// [WithTrustedProxies] names, RemoteAddr and Host are those of the client. It must not
	// be used after Invoke has returned.
	Upgrade  *http.Request
	Identity Identity
	// Authorizer is what the authorizer returned when the client connected: its context
	// and, if the authorizer gave one, principalId, all strings: see PrincipalID. On CONNECT it also has
	// integrationLatency, an int64: how many milliseconds the authorizer took. It is nil if
	// there is no authorizer, and after IAM authorization, which tells who the client is in
	// Identity.Caller. The map is shared and must not be changed.
	Authorizer map[string]any

	APIID, Stage, DomainName string
	StageVariables           map[string]string // shared: it must not be changed

	ConnectedAt, RequestTime time.Time
	DisconnectStatusCode     int    // DISCONNECT only: a WebSocket close code
	DisconnectReason         string // DISCONNECT only
	Group                    string // JOIN and LEAVE only: the group that the connection has joined or left

	// State is what the connection remembers: see [Gateway.SetState]. It is as it was when
	// the event was made, and on DISCONNECT the last one; nil if there is none. It is
	// shared: it must not be changed.
	State []byte
	// Groups are the groups that the connection is in, as it was when the event was made:
	// see [Gateway.Join]. On DISCONNECT they are the last ones; nil if there are none. It is
	// shared: it must not be changed.
	Groups []string
	// Binary says that the message is binary, and so Body any bytes. Only a gateway with
	// [WithBinaryMessages] serves such a message, on $default.
	Binary bool

	keyUse *keyUse // nil: the client has no API key
	noted  *noted  // what the gateway notes about it; nil: nothing. A copy of a Request leads to the same
}

// SelectionValue returns the value of the route selection expression for a message. It
// says why this route was selected: either it is the route's key, or no route has that
// key and so $default took the message, or no route did.
//
// ok is false where there is no value: the message is not JSON, or the event is not a
// MESSAGE. The value of a message that no route's key matched is only kept for the
// [Observer] of a gateway: if there is none, ok is false for such a message. Nothing
// that an integration does to Body changes the value.
func (req *Request) SelectionValue() (value string, ok bool) {
	switch {
	case req.noted != nil && req.noted.record.unmatched != nil:
		return *req.noted.record.unmatched, true
	case req.EventType != EventMessage, req.RouteKey == RouteKeyDefault, req.RouteKey == "":
		return "", false
	}
	return req.RouteKey, true
}

// PrincipalID returns who the client is, as the authorizer said when the client connected:
// Authorizer["principalId"], and what [User] takes. It is "" if there is no authorizer, or
// if it named nobody; IAM authorization tells who the client is in Identity.Caller.
func (req *Request) PrincipalID() string {
	principal, _ := req.Authorizer[event.PrincipalID].(string)
	return principal
}

// Response is what an [Integration] answers. The zero value means status 200 and
// no body.
type Response struct {
	// StatusCode decides on CONNECT whether the client may connect. For a message it means
	// nothing to the client: to send it an error frame, return an error.
	StatusCode int
	Header     http.Header // CONNECT only, but for the commands of WithAnswerCommands
	Body       []byte
	// Binary makes the answer to a message a binary message. It has an effect only in a
	// gateway with [WithBinaryMessages]; without it, the answer is text.
	Binary bool
}

// preparer is an integration that is compiled with its route.
type preparer interface {
	Integration
	// clone returns a copy that does not change if the caller changes the original.
	clone() preparer
	prepare(r *Route) (Integration, error)
}

// asPreparer returns i if it is a preparer itself. A type that only embeds one may have its
// own Invoke.
func asPreparer(i Integration) (p preparer, ok bool) {
	switch i.(type) {
	case *MockIntegration, *HTTPIntegration, *CustomIntegration:
		p, ok = i.(preparer)
	}
	return p, ok
}

// invokeOnce serves a direct call of a preparer's Invoke.
func invokeOnce(ctx context.Context, p preparer, req *Request) (*Response, error) {
	i, err := p.prepare(&Route{RouteKey: req.RouteKey, RouteResponse: true})
	if err != nil {
		return nil, err
	}
	return i.Invoke(ctx, req)
}
