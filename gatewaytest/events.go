package gatewaytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/gateway"
)

// Event is one invocation of an integration, or a message that was rejected before
// an integration was asked.
//
// With [New] and [NewTCP] it shows what the integration itself got and returned,
// inside all middleware. With [Serve] and [ServeHandler] it shows what the Gateway
// sees, outside all middleware: the outcome that the client is answered with, also
// when a middleware answered in place of the integration.
type Event struct {
	// Request is what the integration got. Its Body is a copy, and Upgrade is nil.
	// With Serve and ServeHandler it is as the integration left it, and has no Body
	// when the integration has timed out.
	gateway.Request
	Response *gateway.Response // what the integration returned
	// Err is the error that the integration returned, or why the message was rejected. If
	// no route matched, it tells the value of the route selection expression, as
	// [gateway.Request.SelectionValue] does. With Serve and ServeHandler an error of the integration is a
	// *[gateway.IntegrationError] that wraps it.
	Err error
	// Rejected is the status in the error frame of a rejected message: 403 no route
	// matched, 429 it was throttled, 400 it does not fit its model. RouteKey is ""
	// when no route matched. Of an invocation it is 0.
	Rejected int
}

// recorder keeps the events of a Service.
type recorder struct {
	innermost bool // a middleware of ours records the invocations, not the observer

	mu      sync.Mutex        // guards the fields below
	ids     map[string]string // connection ID by the client's address
	refused map[string]error  // why a Gateway refused an upgrade, by the client's address
	ends    map[string]*end   // by connection ID, of every connection that was opened
	events  []Event
	more    chan struct{} // closed and replaced with each change
}

// end is what is known of how a connection ended.
type end struct {
	closed bool
	routed bool // a $disconnect route runs for it
	event  Event
}

func (r *recorder) init() {
	r.ids, r.refused, r.ends, r.more = map[string]string{}, map[string]error{}, map[string]*end{}, make(chan struct{})
}

// middleware records every invocation of next.
func (r *recorder) middleware(next gateway.Integration) gateway.Integration {
	return gateway.IntegrationFunc(func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		e := newEvent(req)
		defer func() { r.add(e) }() // also when next panics
		e.Err = errors.New("gatewaytest: the integration did not return")
		e.Response, e.Err = next.Invoke(ctx, req)
		return e.Response, e.Err
	})
}

// observer records what happens to clients. clientOf returns the address of a client by the
// context of its upgrade, or "" if the client is not one of this recorder's.
func (r *recorder) observer(clientOf func(context.Context) string, hasDisconnect func() bool) *gateway.Observer {
	o := &gateway.Observer{
		UpgradeRejected: func(ctx context.Context, _ *gateway.Request, _ int, err error) {
			if addr := clientOf(ctx); addr != "" {
				r.rejected(addr, err)
			}
		},
		ConnectionOpened: func(ctx context.Context, c gateway.Connection) {
			if addr := clientOf(ctx); addr != "" {
				r.opened(addr, c)
			}
		},
		ConnectionClosed: func(_ context.Context, c gateway.Connection, closeCode int, reason string) {
			r.closed(c, closeCode, reason, hasDisconnect())
		},
		MessageRejected: func(ctx context.Context, req *gateway.Request, statusCode int, err error) {
			if clientOf(ctx) != "" {
				e := newEvent(req)
				e.Err, e.Rejected = withSelectionValue(req, statusCode, err), statusCode
				r.add(e)
			}
		},
	}
	if !r.innermost {
		o.IntegrationDone = func(ctx context.Context, req *gateway.Request, resp *gateway.Response, _ time.Duration, err error) {
			if clientOf(ctx) != "" {
				e := newEvent(req)
				e.Response, e.Err = resp, err
				r.add(e)
			}
		}
	}
	return o
}

// withSelectionValue adds to the error of a message that no route matched what should have
// selected one. A gateway never logs that value, but in a test it is the test's own.
func withSelectionValue(req *gateway.Request, statusCode int, err error) error {
	if statusCode != http.StatusForbidden {
		return err
	}
	if value, ok := req.SelectionValue(); ok {
		return fmt.Errorf("%w: the value of the route selection expression is %.*q", err, shownBytes, value)
	}
	return fmt.Errorf("%w: the message is not JSON, so that only $default could take it", err)
}

func newEvent(req *gateway.Request) Event {
	e := Event{Request: *req}
	e.Body = bytes.Clone(req.Body)
	e.Upgrade = nil
	return e
}

func (r *recorder) add(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	r.changedLocked()
}

func (r *recorder) changedLocked() {
	close(r.more)
	r.more = make(chan struct{})
}

// errRefusedByConnect stands for the error that a Gateway does not have when its
// $connect integration has chosen the status.
var errRefusedByConnect = errors.New("the integration of $connect has returned this")

func (r *recorder) rejected(addr string, err error) {
	if err == nil {
		err = errRefusedByConnect
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused[addr] = err
}

func (r *recorder) opened(addr string, c gateway.Connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids[addr] = c.ID
	r.ends[c.ID] = &end{}
}

func (r *recorder) closed(c gateway.Connection, closeCode int, reason string, routed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.ends[c.ID]
	if e == nil { // it is of another server's client
		return
	}
	e.closed, e.routed = true, routed
	e.event.Request = gateway.Request{
		EventType: gateway.EventDisconnect, ConnectionID: c.ID, Identity: c.Identity, ConnectedAt: c.ConnectedAt,
		DisconnectStatusCode: closeCode, DisconnectReason: reason,
	}
	r.changedLocked()
}

func (r *recorder) idOf(addr string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ids[addr]
}

// refusal returns why a Gateway refused the upgrade of the client at addr.
func (r *recorder) refusal(addr string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused[addr]
}

// endOf returns how a connection ended, as far as is known. ok is false for a
// connection that was never opened.
func (r *recorder) endOf(connectionID string) (e end, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.ends[connectionID]; p != nil {
		return *p, true
	}
	return end{}, false
}

func (r *recorder) all() (events []Event, more <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events, r.more
}

// Events returns a copy of the events so far, in the order in which they ended. With [New]
// and [NewTCP] there is no event for a call that a middleware answered in place of the
// integration.
func (s *Service) Events() []Event {
	events, _ := s.recorder.all()
	return append([]Event(nil), events...)
}

// WaitEvent waits for the first event that match accepts, among those that have
// been and those to come. match is called once for each event.
func (s *Service) WaitEvent(match func(Event) bool) Event {
	s.tb.Helper()
	e, ok := s.await(match, func() (Event, bool) { return Event{}, false })
	if !ok {
		s.tb.Fatalf("gatewaytest: no such event within %v\nevents: %s", s.wait(), s.recorder.describe(""))
	}
	return e
}

// WaitDisconnect waits for the DISCONNECT event of a connection. If its Gateway has no
// $disconnect route, it waits for the end of the connection, and returns an Event that
// Events does not have: with ConnectionID, Identity, ConnectedAt, DisconnectStatusCode
// and DisconnectReason.
func (s *Service) WaitDisconnect(connectionID string) Event {
	s.tb.Helper()
	e, ok := s.await(func(e Event) bool {
		return e.EventType == gateway.EventDisconnect && e.ConnectionID == connectionID
	}, func() (Event, bool) {
		end, _ := s.recorder.endOf(connectionID)
		return end.event, end.closed && !end.routed
	})
	if !ok {
		s.tb.Fatalf("gatewaytest: no $disconnect of connection %q within %v: %s\nevents of the connection: %s",
			connectionID, s.wait(), s.recorder.whyNot(connectionID), s.recorder.describe(connectionID))
	}
	return e
}

// await returns the first event that match accepts, or what instead gives.
func (s *Service) await(match func(Event) bool, instead func() (Event, bool)) (e Event, ok bool) {
	s.tb.Helper()
	mustBeHere(s.tb, s)
	timeout := time.NewTimer(s.wait())
	defer timeout.Stop()
	for seen := 0; ; {
		events, more := s.recorder.all()
		for ; seen < len(events); seen++ {
			if match(events[seen]) {
				return events[seen], true
			}
		}
		if e, ok := instead(); ok {
			return e, true
		}
		select {
		case <-more:
		case <-timeout.C:
			return Event{}, false
		}
	}
}

// mustBeHere fails the test when s is used in another synctest bubble than its own.
func mustBeHere(tb testing.TB, s *Service) {
	tb.Helper()
	if wrong := s.wrongBubble(); wrong != "" {
		tb.Fatalf("gatewaytest: %s", wrong)
	}
}

// noID says why a client has no connection ID.
const noID = "this client has no connection ID: either a handler of yours has accepted its upgrade and not a Gateway, " +
	"or the request that came to the Gateway did not have the context of the client's request, because a middleware or a reverse proxy replaces it: pass the Gateway to Serve"

// whyNot says why a connection has no DISCONNECT event.
func (r *recorder) whyNot(connectionID string) string {
	switch e, ok := r.endOf(connectionID); {
	case connectionID == "":
		return noID
	case !ok:
		return "no client of this server has had a connection with this ID"
	case !e.closed:
		return "the connection has not closed"
	case r.innermost:
		return fmt.Sprintf("the connection has closed with %d %q, but the integration of $disconnect has not returned, or a middleware answered in its place",
			e.event.DisconnectStatusCode, e.event.DisconnectReason)
	default:
		return fmt.Sprintf("the connection has closed with %d %q, but the integration of $disconnect has not returned",
			e.event.DisconnectStatusCode, e.event.DisconnectReason)
	}
}

// describedEvents is how many events a failure shows.
const describedEvents = 10

// describe tells of the last events, for the failure of a wait: those of a connection,
// or of all when connectionID is "".
func (r *recorder) describe(connectionID string) string {
	all, _ := r.all()
	var events []Event
	for _, e := range all {
		if connectionID == "" || e.ConnectionID == connectionID {
			events = append(events, e)
		}
	}
	if len(events) == 0 {
		return "none"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d", len(events))
	if n := len(events); n > describedEvents {
		fmt.Fprintf(&b, ", the last %d of them", describedEvents)
		events = events[n-describedEvents:]
	}
	for _, e := range events {
		b.WriteString("\n\t" + e.describe())
	}
	return b.String()
}

func (e *Event) describe() string {
	switch {
	case e.Rejected != 0:
		return fmt.Sprintf("message %s of %s: rejected with %d: %v", quote(message{string(e.Body), e.Binary}), e.ConnectionID, e.Rejected, e.Err)
	case e.Err != nil:
		return fmt.Sprintf("%s of %s: failed: %v", e.RouteKey, e.ConnectionID, e.Err)
	}
	return fmt.Sprintf("%s of %s", e.RouteKey, e.ConnectionID)
}
