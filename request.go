package gateway

import (
	"context"
	"maps"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"example.com/gateway/internal/command"
	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/deadline"
	"example.com/gateway/internal/event"
	"example.com/gateway/internal/inbox"
	"example.com/gateway/internal/wsconn"
)

// This file has what the gateway knows of an event while it serves it, and makes the
// Request that integrations, authorizers, observers and the log get of it.

// upgrade is an upgrade request that is being served.
type upgrade struct {
	g            *Gateway
	w            http.ResponseWriter
	r            *http.Request
	parent       connectionContext // becomes that of the connection
	ctx          context.Context   //nolint:containedctx // &parent
	connectionID string
	requestID    string
	now          time.Time

	sourceIP, userAgent, host string // kept, because an integration may change r

	table       *routeTable
	handshake   *wsconn.Handshake
	admission   admission
	subprotocol string
	lent        bool              // an authorizer or an integration that was given up still uses r
	counted     bool              // it counts as a connection of its source
	connected   bool              // the $connect integration has accepted it
	bodyDropped bool              // that integration returned a body, which nobody gets
	greeting    outgoing          // that body, if its commands say who gets it
	greeted     posting           // what became of it
	closing     *closing          // the end of the connection, if the commands of that integration close it
	accepted    bool              // it has become a connection
	logged      bool              // the failure for which it is refused is in the log
	commands    *command.Commands // of the answer of the $connect integration; nil: none
	connectCall *record           // of the call of the $connect integration; nil: it was not called
}

// admission is what the upgrade has found out about the client.
type admission struct {
	authorizer     map[string]any // Request.Authorizer, which may be nil
	authorizerTook time.Duration
	usageKey       string // the API key that the authorizer returned
	caller         *Caller
	keyUse         *keyUse // nil: the client has no API key
}

// ofConnect returns Request.Authorizer for the CONNECT event. No other event says how long
// the authorizer took.
func (a *admission) ofConnect() map[string]any {
	if a.authorizer == nil {
		return nil
	}
	m := maps.Clone(a.authorizer)
	m[event.IntegrationLatency] = a.authorizerTook.Milliseconds()
	return m
}

// request returns a new CONNECT request, for the authorizer or the integration.
func (u *upgrade) request() *Request {
	return note(&Request{
		RouteKey: RouteKeyConnect, EventType: EventConnect,
		ConnectionID: u.connectionID, RequestID: u.requestID,
		Upgrade: u.r, Identity: u.identity(), Authorizer: u.admission.ofConnect(), keyUse: u.admission.keyUse,
		APIID: u.g.apiID, Stage: u.g.stage, DomainName: u.domainName(), StageVariables: u.table.stageVariables,
		ConnectedAt: u.now.Round(0), RequestTime: u.now,
	})
}

// safeRequest returns a new CONNECT Request for the observers and the log, because the
// integration that was given up may still change the first one. It has no Upgrade, because
// that may change, too.
func (u *upgrade) safeRequest() *Request {
	req := u.request()
	req.Upgrade = nil
	return req
}

// refused returns the CONNECT request of an upgrade that is refused with answer, for the
// observers. err is nil if the $connect integration itself has chosen the answer.
func (u *upgrade) refused(answer errorAnswer, err error) *Request {
	req := u.request()
	if u.lent {
		req.Upgrade = nil
	}
	r := &req.noted.record
	if u.connectCall != nil {
		r.failure = u.connectCall.failure
		r.setOutcome(u.connectCall.outcome())
	}
	if err != nil {
		r.fail(err)
	}
	r.setStatus(answer.status)
	return req
}

// disconnectRequest returns the DISCONNECT request for a connection that $connect has
// accepted but that could not begin.
func (u *upgrade) disconnectRequest(t *routeTable, code int, reason string) *Request {
	req := u.safeRequest()
	req.RouteKey, req.EventType, req.RequestID = RouteKeyDisconnect, EventDisconnect, connid.NewRequest()
	req.Authorizer, req.StageVariables, req.RequestTime = u.admission.authorizer, t.stageVariables, time.Now()
	req.DisconnectStatusCode, req.DisconnectReason = code, reason
	return req
}

func (u *upgrade) identity() Identity {
	return Identity{
		SourceIP: u.sourceIP, UserAgent: u.userAgent,
		Caller: u.admission.caller, APIKeyID: u.admission.keyUse.keyID(),
	}
}

func (u *upgrade) domainName() string {
	if u.g.domainName != "" {
		return u.g.domainName
	}
	return u.host
}

// call is one message and the call of its integration. Context, request and IDs lie in
// one allocation.
type call struct {
	// from the time when the message arrived, or left the inbox, to the integration's timeout
	deadline.Context[*connectionContext]
	noted // its Request is the integration's own until it returns: nobody else may look at it
	ids   connid.IDs
}

// callOf makes the call of a message for the route r.
func (c *connection) callOf(t *routeTable, r *route, message inbox.Message, now time.Time) *call {
	call := new(call)
	call.route = r
	call.Init(&c.ctx, now, c.g.quotas.IntegrationTimeout)
	c.fill(&call.req, t.stageVariables, r, EventMessage, now)
	call.req.RequestID, call.req.MessageID = call.ids.Make(c.tail)
	call.req.Body, call.req.Binary, call.req.noted = message.Data, message.Binary, &call.noted
	return call
}

// keep keeps the value of the route selection expression for the observers. It is a
// copy, because the integration may change the message.
func (call *call) keep(value []byte) {
	kept := string(value)
	call.record.unmatched = &kept
}

// safeRequest returns a new Request for the log and the observers, because the integration
// that was given up may still change the first one. It has no Body, because that may
// change, too.
func (call *call) safeRequest(c *connection) *Request {
	req := note(new(Request))
	vars := call.route.stageVariables
	if call.route == unrouted {
		vars = c.g.routes.Load().stageVariables
	}
	c.fill(req, vars, call.route, EventMessage, call.Start())
	req.RequestID, req.MessageID = call.ids.Strings()
	req.noted.record.unmatched = call.record.unmatched
	return req
}

// fill sets all fields of req that are the same for every event of the connection.
func (c *connection) fill(req *Request, stageVariables map[string]string, r *route, event EventType, now time.Time) {
	req.RouteKey, req.EventType = r.RouteKey, event
	req.ConnectionID = c.id
	req.Identity, req.Authorizer, req.keyUse = c.identity(), c.authorizer, c.keyUse
	if x := c.extras.Load(); x != nil {
		if req.State = x.state; x.groups != nil {
			req.Groups = *x.groups
		}
	}
	req.APIID, req.Stage, req.DomainName, req.StageVariables = c.g.apiID, c.g.stage, c.domainName, stageVariables
	req.ConnectedAt, req.RequestTime = time.Unix(0, c.connectedAt), now
}

// identity returns who the client is.
func (c *connection) identity() Identity {
	return Identity{SourceIP: c.sourceIP, UserAgent: c.userAgent, Caller: c.caller, APIKeyID: c.keyUse.keyID()}
}

// presenceRequest returns the JOIN or LEAVE request of the connection.
func (c *connection) presenceRequest(t *routeTable, r *route, group string, joins bool) *Request {
	event := EventLeave
	if joins {
		event = EventJoin
	}
	req := note(&Request{RequestID: connid.NewRequest(), Group: group})
	c.fill(req, t.stageVariables, r, event, time.Now())
	return req
}

// disconnectRequest returns the DISCONNECT request of the connection.
func (c *connection) disconnectRequest(t *routeTable, code int, reason string) *Request {
	req := note(&Request{RequestID: connid.NewRequest(), DisconnectStatusCode: code, DisconnectReason: reason})
	c.fill(req, t.stageVariables, t.disconnect, EventDisconnect, time.Now())
	return req
}

// invocation is the outcome of one call of an integration.
type invocation struct {
	resp     *Response         // nil: as the zero value
	commands *command.Commands // of the answer, if they are still to be done; nil: none
	err      error             // nil or *IntegrationError; any error if rejected
	rejected bool              // the request was answered before its integration was called
	gaveUp   bool              // the integration has not returned, and still has its request
}

func (out *invocation) body() []byte {
	if out.resp == nil {
		return nil
	}
	return out.resp.Body
}

// toSend returns the body of an integration's answer, which may be nil, as a message.
func (g *Gateway) toSend(resp *Response) outgoing {
	if resp == nil {
		return outgoing{}
	}
	return outgoing{resp.Body, resp.Binary && g.binary}
}

// accepts reports whether this outcome of a $connect integration accepts the connection.
func (out *invocation) accepts() bool {
	if out.err != nil || out.resp == nil {
		return out.err == nil
	}
	status := out.resp.StatusCode
	return status == 0 || status >= 200 && status <= 299
}

// noted is a request and what the gateway itself notes about it. The integration may change,
// copy and keep its Request. A copy leads to the same noted, but is not the request in it:
// nothing is ever noted about a copy, and no integration sees what was noted.
type noted struct {
	req    Request
	record record
	route  *route // of a message; nil: another event
}

// note returns a copy of req about which something can be noted.
func note(req *Request) *Request {
	n := &noted{req: *req}
	n.req.noted = n
	return &n.req
}

// ownRecord returns the record of req. It is nil if req is a copy, or does not come from a
// gateway.
func (req *Request) ownRecord() *record {
	if req.noted == nil || req != &req.noted.req {
		return nil
	}
	return &req.noted.record
}

// record is what the gateway notes about a request. It is small, because every message has
// one. Before the integration is called, unmatched is set. The rest follows after the
// integration has returned. Only an integration with a Transform notes something itself.
type record struct {
	unmatched *string       // see Request.SelectionValue; nil: RouteKey says it, or there is no value
	failure   *error        // that the request is answered with; nil: none so far
	packed    atomic.Uint64 // an outcome: see its method pack
}

// outcome is what an answer, and the integration behind it, have come to.
type outcome struct {
	status            uint16 // of the answer; 0: not known yet
	integrationStatus uint16 // that the integration returned; 0: none
	took              uint32 // how many milliseconds the integration took, plus 1; 0: none was called
}

// pack returns o in one word. So two goroutines with one Request do not race.
func (o outcome) pack() uint64 {
	return uint64(o.status)<<48 | uint64(o.integrationStatus)<<32 | uint64(o.took)
}

func (r *record) outcome() outcome {
	word := r.packed.Load()
	return outcome{uint16(word >> 48), uint16(word >> 32), uint32(word)}
}

func (r *record) setOutcome(o outcome) { r.packed.Store(o.pack()) }

func (r *record) setStatus(status int) {
	o := r.outcome()
	o.status = uint16(status)
	r.setOutcome(o)
}

// latency returns how long the integration took, and whether one was called.
func (o outcome) latency() (took time.Duration, called bool) {
	return time.Duration(max(o.took, 1)-1) * time.Millisecond, o.took > 0
}

// calledFor is the outcome of an integration, or of the backend of one, that was called for
// this time. What it returned does not matter if err is not nil.
func calledFor(took time.Duration, resp *Response, err error) outcome {
	o := outcome{took: 1 + uint32(min(max(took.Milliseconds(), 0), math.MaxUint32-1))}
	if err == nil {
		o.integrationStatus = statusOf(resp)
	}
	return o
}

// backendReturned notes the outcome of the backend of an integration. The first one counts.
func (r *record) backendReturned(o outcome) { r.packed.CompareAndSwap(0, o.pack()) }

// settle notes the outcome of an integration that was called.
func (r *record) settle(out invocation, took time.Duration) {
	o := r.outcome()
	if o.took == 0 { // else the time of its backend is known
		o = calledFor(took, out.resp, out.err)
	}
	o.status = statusOf(out.resp)
	r.setOutcome(o)
	if out.err != nil {
		r.fail(out.err)
	}
}

// fail records that the request was answered with the error err.
func (r *record) fail(err error) {
	r.failure = &err
	r.setStatus(answerOf(err).status)
}

// statusOf returns the status code of a response. nil means 200.
func statusOf(resp *Response) uint16 {
	if resp == nil || resp.StatusCode == 0 {
		return http.StatusOK
	}
	return uint16(min(max(resp.StatusCode, 0), math.MaxUint16))
}

// connectionContext is the parent of the contexts of a connection's integrations. It has
// the values of the upgrade request. Its cancellation comes only from the gateway, never
// from that request.
type connectionContext struct {
	context.Context //nolint:containedctx // this is a context: the gateway's root
	request         context.Context
}

// Value asks the gateway's context first. That has no values except those that package
// context keeps there about the cancellation. If the request's were found instead,
// [context.Cause] would report the end of the request, and each child of this context
// would need a goroutine that watches its parent.
func (c *connectionContext) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.request.Value(key)
}
