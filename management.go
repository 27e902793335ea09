package gateway

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"time"
	"unicode/utf8"

	"example.com/gateway/internal/apicall"
	"example.com/gateway/internal/outbox"
	"example.com/gateway/internal/wsconn"
)

// ConnectionsAPI is what a backend can do with connections. [Gateway] has it in
// process; [Gateway.ManagementHandler] is the same over HTTP. The methods are described
// at Gateway. A fake for a test may embed the interface and have only the methods that the
// backend calls.
type ConnectionsAPI interface {
	PostToConnection(ctx context.Context, connectionID string, data []byte) error
	PostToConnections(ctx context.Context, connectionIDs []string, data []byte) []error
	GetConnection(ctx context.Context, connectionID string) (Connection, error)
	DeleteConnection(ctx context.Context, connectionID string) error

	PostTo(ctx context.Context, to Audience, data []byte, opts ...PostOption) (Delivery, error)
	CloseAll(ctx context.Context, of Audience, code int, reason string, opts ...CloseOption) (Delivery, error)
	Count(ctx context.Context, of Audience) (int, error)
	List(ctx context.Context, of Audience, page Page) ([]Connection, Page, error)
	Join(ctx context.Context, connectionID, group string) error
	Leave(ctx context.Context, connectionID, group string) error
	SetState(ctx context.Context, connectionID string, state []byte, opts ...StateOption) error
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
	// With [WithManagementExtensions] an ActionGetConnection that is allowed has a second
	// question, about an ActionList of that connection, if the connection has a principal,
	// a group or a state: they are in the answer only if AuthorizeManagement returns nil for
	// that, too. So one request may make two calls, also in what counts or logs them.
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

// The three operations of the service. (Amazon API Gateway Management API reference:
// "Actions".)
const (
	ActionPostToConnection ManagementAction = "PostToConnection" // POST
	ActionGetConnection    ManagementAction = "GetConnection"    // GET
	ActionDeleteConnection ManagementAction = "DeleteConnection" // DELETE
)

// The operations that the service does not have. [WithManagementExtensions] opens them. Each
// is named after the method of [Gateway] that it calls, but two have none of their own: an
// ActionGetState is a part of GetConnection, and an ActionPostBatch is a PostTo for each line.
const (
	ActionList      ManagementAction = "List"      // GET @connections
	ActionCount     ManagementAction = "Count"     // GET @connections?count=true
	ActionPostTo    ManagementAction = "PostTo"    // POST @connections?…
	ActionPostBatch ManagementAction = "PostBatch" // POST @connections with lines: see ManagementHandler
	ActionCloseAll  ManagementAction = "CloseAll"  // DELETE @connections?…
	ActionJoin      ManagementAction = "Join"      // PUT @connections/{connectionId}/groups/{group}
	ActionLeave     ManagementAction = "Leave"     // DELETE @connections/{connectionId}/groups/{group}
	ActionGetState  ManagementAction = "GetState"  // GET @connections/{connectionId}/state
	ActionSetState  ManagementAction = "SetState"  // PUT and DELETE @connections/{connectionId}/state
)

// IsExtension reports whether a is none of the three operations of the service. A
// [ManagementAuth] that was written for these refuses extensions with one line:
//
//	if call.Action.IsExtension() {
//		return gateway.ErrForbidden
//	}
func (a ManagementAction) IsExtension() bool {
	return a != ActionPostToConnection && a != ActionGetConnection && a != ActionDeleteConnection
}

// ManagementCall is a call of the @connections API that a [ManagementAuth] decides on.
type ManagementCall struct {
	// Action is the operation that the caller asks for.
	Action ManagementAction
	// APIID and Stage are those of [WithAPI] and [WithStage]: an IAM policy names them.
	// Do not take them from the path of the request, which the caller chooses.
	APIID, Stage string
	// ConnectionID is the ID of the connection. It has the form of an ID of this package,
	// but the connection may have closed already. It is "" if the call is about an Audience
	// or has many lines.
	ConnectionID string
	// Audience is whom an ActionList, ActionCount, ActionPostTo or ActionCloseAll is about:
	// see [Audience.Query]. Each line of an ActionPostBatch has an audience of its own, which
	// is in Body only.
	Audience Audience
	// Group is the group of an ActionJoin or ActionLeave.
	Group string
	// Request is the HTTP request. RequestURI, Host and Header are as the caller sent
	// them. Request.Body has been read already: see the field Body. The request must not
	// be changed, and not be used after AuthorizeManagement has returned.
	Request *http.Request
	// Body is the whole body of the request, at most Quotas.MessageBytes long, or 1 MiB for
	// an ActionPostBatch. In any other POST it is the message to the client. It must not be
	// changed or kept.
	Body []byte
}

type allowAll struct{}

func (allowAll) AuthorizeManagement(context.Context, *ManagementCall) error { return nil }

// PostToConnection queues data as one text message for the client of
// connectionID and returns without waiting for the network. data is copied. Each byte that
// is not valid UTF-8 becomes U+FFFD, and counts as its 3 bytes. Messages to one connection
// arrive in the order of the calls that returned nil. nil means accepted, not received: a
// connection may break off while messages are still queued.
//
// It returns the error of a ctx that has ended; [ErrGone] if the connection has closed, or
// its $connect has not returned; [ErrPayloadTooLarge] above Quotas.MessageBytes;
// [ErrLimitExceeded] if the client's send buffer is full. A greeting therefore cannot be
// posted from the integration of $connect: post it from [Observer.ConnectionOpened]. It is
// safe for concurrent use. (API Gateway: "Use @connections commands in your backend
// service".)
func (g *Gateway) PostToConnection(ctx context.Context, connectionID string, data []byte) error {
	err := g.checkSize(outgoing{data: data})
	if err == nil {
		err = g.post(ctx, connectionID, data, nil, time.Now())
	}
	g.posted(ctx, connectionID, outgoing{data: data}, err)
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
	tooLarge := g.checkSize(outgoing{data: data})
	shared := outbox.Share(data, false)
	var errs []error
	told := g.newReceipts(outgoing{data: data})
	now := time.Now()
	for n, id := range connectionIDs {
		err := tooLarge
		if err == nil {
			err = g.post(ctx, id, data, shared, now)
		}
		told.add(id, err)
		if err != nil {
			if errs == nil {
				errs = make([]error, len(connectionIDs))
			}
			errs[n] = err
		}
	}
	told.tell(ctx)
	return errs
}

// post queues data for a connection. shared is nil, or the same message for many
// connections.
func (g *Gateway) post(ctx context.Context, connectionID string, data []byte, shared *outbox.Shared, now time.Time) error {
	at, err := g.locate(ctx, connectionID)
	if err != nil {
		return err
	}
	return at.post(ctx, data, shared, now)
}

// GetConnection describes a connection. It returns [ErrGone] if the connection has closed,
// or its $connect has not returned, or the error of a ctx that has ended. It does not count
// as activity of the connection. It is safe for concurrent use.
func (g *Gateway) GetConnection(ctx context.Context, connectionID string) (Connection, error) {
	at, err := g.locate(ctx, connectionID)
	if err != nil {
		return Connection{}, err
	}
	return at.describe(ctx)
}

// DeleteConnection closes a connection with 1000 "Connection Closed Normally", after the
// messages that are queued for it. It does not wait for that: when it returns, the
// connection is gone for all other calls, and no message of it begins any more. If a shutdown or a quota of time is already
// closing the connection with 1001 and waits for its replies, that wait ends, and the code
// stays 1001. It returns [ErrGone] if the connection was gone already, or the error of a
// ctx that has ended. It is safe for concurrent use.
//
// To close with another code, use [Gateway.CloseAll] with Connections(connectionID): its
// error is about the call as a whole, and ErrGone is then in Delivery.Errors[connectionID].
func (g *Gateway) DeleteConnection(ctx context.Context, connectionID string) error {
	at, err := g.locate(ctx, connectionID)
	if err != nil {
		return err
	}
	return at.close(ctx, cause{code: deletedCode, reason: deletedReason})
}

// What DeleteConnection says in the Close frame.
const (
	deletedCode   = wsconn.CloseNormal
	deletedReason = "Connection Closed Normally"
)

// Join makes a connection a member of a group, which is an [Audience]. A group need not be
// made: it exists while it has members, and its members are all that is kept of it. To join
// a group again is not an error. A connection that has joined gets what is posted to the
// group from then on. The membership ends with Leave, or when the connection closes, before its $disconnect.
//
// The name of a group is 1 to 128 bytes of UTF-8 without control characters, but not "." or
// "..", which no path of a URL can have. A connection
// may be in up to Quotas.GroupsPerConnection groups.
//
// Join returns [ErrInvalidArgument] for another name; [ErrGone] if the connection has
// closed, or its $connect has not returned; [ErrLimitExceeded] if the connection is in too
// many groups, or has just left too many (see [RouteKeyJoin]); or the error of a ctx that has
// ended. Then nothing has changed. It does not count as activity of the connection. It is safe
// for concurrent use. The service has no groups.
//
// Join waits for nobody, also not for the integration of $join.
func (g *Gateway) Join(ctx context.Context, connectionID, group string) error {
	at, err := g.locateFor(ctx, connectionID, group)
	if err != nil {
		return err
	}
	return at.join(ctx, group)
}

// Leave ends the membership of a connection in a group. To leave a group that one is not
// in is no error. The errors are those of [Gateway.Join], but [ErrLimitExceeded], and it waits as little. It
// is safe for concurrent use.
func (g *Gateway) Leave(ctx context.Context, connectionID, group string) error {
	at, err := g.locateFor(ctx, connectionID, group)
	if err != nil {
		return err
	}
	return at.leave(ctx, group)
}

// locateFor is locate for a call that names a group.
func (g *Gateway) locateFor(ctx context.Context, connectionID, group string) (place, error) {
	if err := checkGroup(group); err != nil {
		return place{}, err
	}
	return g.locate(ctx, connectionID)
}

// PostTo queues data as one text message, or with [Binary] as a binary one, for each
// connection of an audience, and returns without waiting for the network. Each connection
// gets the message once. The message is encoded once, and a client that reads too slowly
// delays nobody. For each connection all of [Gateway.PostToConnection] holds; what became of
// the message is in the Delivery.
//
// A join or a leave that has returned before the call counts. A connection that joins or
// leaves a group during the call may or may not get the message. The members of a group,
// and the connections of a user, are taken at one moment. Everyone is not: the call goes
// through the connections while others open and close.
//
// The error is about the call as a whole. It is [ErrInvalidArgument] for an audience that
// is not valid, [ErrPayloadTooLarge] above Quotas.MessageBytes, and then nobody has got the
// message; or the error of a ctx that has ended, and then the Delivery says who has got it.
// It is safe for concurrent use. The service has no such call.
func (g *Gateway) PostTo(ctx context.Context, to Audience, data []byte, opts ...PostOption) (Delivery, error) {
	done := g.postTo(ctx, to, data, opts)
	done.receipts.tell(ctx)
	return done.Delivery, done.err
}

// postTo is PostTo without the call of tell.
func (g *Gateway) postTo(ctx context.Context, to Audience, data []byte, opts []PostOption) posting {
	settings, err := apicall.Apply(opts, ErrInvalidArgument)
	if err == nil && settings.Binary && !g.binary {
		err = errNoBinary
	}
	if err != nil {
		return posting{err: err}
	}
	at, err := g.locateAll(ctx, to)
	if err == nil {
		err = g.checkSize(outgoing{data, settings.Binary})
	}
	if err != nil {
		return posting{err: err}
	}
	return at.post(ctx, data, outbox.Share(data, settings.Binary), time.Now())
}

// CloseAll closes each connection of an audience with a code and a reason, after the
// messages that are queued for it. $disconnect and [Observer.ConnectionClosed] get the same
// code and reason. It waits for no client: when it returns, the connections are gone for
// all other calls, and out of their groups, and no message of them begins any more. With [Cut] no Close frame is sent.
//
// The code is 1000, 1001, 1008, 1011 to 1014, or 3000 to 4999, of which 4000 to 4999 are
// free for the program. The reason is at most 123 bytes of UTF-8, and may be "". If a
// shutdown or a quota of time is already closing a connection with 1001, its code stays
// 1001, as with [Gateway.DeleteConnection].
//
// The error is [ErrInvalidArgument] for an audience, code or reason that is not valid, and
// then nothing is closed; or the error of a ctx that has ended, and then the Delivery says
// who was closed. It is safe for concurrent use. The $disconnect of all these connections
// may run at the same time: to close very many, take them page by page from [Gateway.List].
// The service has no such call.
func (g *Gateway) CloseAll(ctx context.Context, of Audience, code int, reason string, opts ...CloseOption) (Delivery, error) {
	settings, err := apicall.Apply(opts, ErrInvalidArgument)
	if err == nil {
		err = checkClose(code, reason)
	}
	if err != nil {
		return Delivery{}, err
	}
	at, err := g.locateAll(ctx, of)
	if err != nil {
		return Delivery{}, err
	}
	cs := cause{code: code, reason: reason}
	if settings.Cut {
		cs.how = abrupt
	}
	return at.close(ctx, cs)
}

// Count returns how many open connections an audience has. For a group, a user and
// everyone it takes the same time however many there are. [Gateway.Len] also counts those
// that are closing. The error is [ErrInvalidArgument], or that of a ctx that has ended. It is
// safe for concurrent use. The service has no such call.
func (g *Gateway) Count(ctx context.Context, of Audience) (int, error) {
	at, err := g.locateAll(ctx, of)
	if err != nil {
		return 0, err
	}
	return at.count(), nil
}

// List describes connections of an audience, page by page:
//
//	page := gateway.Page{}
//	for more := true; more; more = page.After != "" {
//		connections, next, err := gw.List(ctx, gateway.Everyone(), page)
//		…
//		page = next
//	}
//
// The order is always the same, and depends only on the IDs. So every connection that is in
// the audience during the whole walk is seen exactly once, whoever comes and goes
// meanwhile. A page may be empty. [Gateway.Connections] is quicker for all connections. The error is [ErrInvalidArgument] for an audience, a
// limit or a cursor that is not valid, or that of a ctx that has ended. Listing does not count
// as activity of a connection. It is safe for concurrent use. The service has no such call.
func (g *Gateway) List(ctx context.Context, of Audience, page Page) ([]Connection, Page, error) {
	limit, err := page.check()
	if err != nil {
		return nil, Page{}, err
	}
	at, err := g.locateAll(ctx, of)
	if err != nil {
		return nil, Page{}, err
	}
	list, more := at.list(page.After, limit)
	next := Page{Limit: page.Limit}
	if more {
		next.After = list[len(list)-1].ID
	}
	return list, next, nil
}

// SetState makes the connection remember a text, JSON by habit: each later event has it as
// [Request].State, also those of a backend in another language, and so does
// [Gateway.GetConnection]. So a backend needs no table of connections. An empty state
// removes it. state is copied.
//
// The state ends with the connection; $disconnect gets the last one. There is no history,
// and no other place keeps it: what must outlive a connection belongs in a database. It
// costs its own length, which Go's allocator rounds up, and 48 bytes of memory. A change
// does not count as activity of the connection, and the client does not learn of it.
//
// It returns [ErrGone] if the connection has closed, or its $connect has not returned;
// [ErrPayloadTooLarge] above Quotas.StateBytes; [ErrConflict] with [IfState];
// [ErrInvalidArgument] if state is not valid UTF-8; or the error of a ctx that has ended.
// Then nothing has changed. Changes of one connection are made one after the other. It is safe for concurrent use.
// The service has no such call.
func (g *Gateway) SetState(ctx context.Context, connectionID string, state []byte, opts ...StateOption) error {
	settings, err := apicall.Apply(opts, ErrInvalidArgument)
	if err == nil {
		err = g.checkState(state)
	}
	if err != nil {
		return err
	}
	at, err := g.locate(ctx, connectionID)
	if err != nil {
		return err
	}
	return at.setState(ctx, &stateChange{state, settings})
}

// checkState returns what is wrong with a state.
func (g *Gateway) checkState(state []byte) error {
	if limit := g.quotas.StateBytes; limit > 0 && len(state) > limit {
		return fmt.Errorf("%w: the state has %d bytes, Quotas.StateBytes is %d", ErrPayloadTooLarge, len(state), limit)
	}
	if !utf8.Valid(state) {
		return errStateText
	}
	return nil
}

// Connections yields the open connections of this node, in no particular order. A
// connection that opens or closes during the loop may or may not be yielded. The body of
// the loop may call any method of the Gateway. For a group or a user, page by page, or over
// HTTP, use [Gateway.List]. To post to all, use [Gateway.PostTo] with [Everyone].
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
// can call it often. For those that accept messages, and for groups and users, use
// [Gateway.Count]. It is safe for concurrent use.
func (g *Gateway) Len() int { return g.connections.Len() }
