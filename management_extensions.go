package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"example.com/gateway/internal/apicall"
)

// This file serves the calls of @connections that the service does not have. Their forms
// are read in internal/apicall. What each does is in management.go.

// extension is what a call asks for that the service does not have.
type extension struct {
	resource   apicall.Resource
	query      apicall.Query
	conditions apicall.Conditions
	audience   Audience
	batch      bool // the body has many messages
	remove     bool // a DELETE, whose body does not matter
}

// parseExtension returns what a request asks for that is no call of the service, except for
// its body and its query, and the operation, or "" if it is none of ours.
func parseExtension(r *http.Request) (*extension, ManagementAction) {
	x := &extension{resource: apicall.ParsePath(r.URL.EscapedPath())}
	x.batch, x.remove = apicall.IsBatch(r.Header.Get("Content-Type")), r.Method == http.MethodDelete
	return x, x.action(r)
}

// action returns the operation of a call, or "".
func (x *extension) action(r *http.Request) ManagementAction {
	switch x.resource.Kind {
	case apicall.Collection:
		switch r.Method {
		case http.MethodGet:
			return ActionList
		case http.MethodPost:
			if x.batch {
				return ActionPostBatch
			}
			return ActionPostTo
		case http.MethodDelete:
			return ActionCloseAll
		}
	case apicall.Membership:
		switch r.Method {
		case http.MethodPut:
			return ActionJoin
		case http.MethodDelete:
			return ActionLeave
		}
	case apicall.State:
		switch r.Method {
		case http.MethodGet:
			return ActionGetState
		case http.MethodPut, http.MethodDelete:
			return ActionSetState
		}
	default:
	}
	return ""
}

// largestBody returns how many bytes the body of a call has at most. 0 or less is any
// number.
func (g *Gateway) largestBody(x *extension) int {
	switch {
	case x == nil:
		return g.quotas.MessageBytes
	case x.batch && x.resource.Kind == apicall.Collection:
		return apicall.BatchBytes
	case x.resource.Kind == apicall.State:
		return g.quotas.StateBytes
	default:
		return g.quotas.MessageBytes
	}
}

// readExtension reads the query and the conditions of a call, and checks its names. The
// error says which field is wrong.
func (c *managementRequest) readExtension(r *http.Request) error {
	x := c.more
	var bad *apicall.FieldError
	if n := len(r.Header["Content-Type"]); n > 1 && x.resource.Kind == apicall.Collection && r.Method == http.MethodPost { // is it a batch?
		return &callError{&apicall.FieldError{Field: "Content-Type", Why: fmt.Sprintf("the header is given %d times", n)}}
	}
	if x.query, bad = apicall.ParseQuery(r.URL.RawQuery, parametersOf(c.action)); bad == nil && x.resource.Kind == apicall.State {
		x.conditions, bad = apicall.ParseConditions(r.Header)
	}
	if bad != nil {
		return &callError{bad}
	}
	if x.query.Count {
		c.action = ActionCount
	}
	x.audience = calledAudience(&x.query.To)
	if err := x.audience.check(); err != nil {
		return argument("", err)
	}
	if x.resource.Kind == apicall.Membership {
		return argument("", checkGroup(x.resource.Group))
	}
	return nil
}

// parametersOf returns the parameters of the query that an operation has.
func parametersOf(action ManagementAction) string {
	switch action {
	case ActionList:
		return apicall.ListNames
	case ActionPostTo:
		return apicall.PostNames
	case ActionCloseAll:
		return apicall.CloseAllNames
	case ActionDeleteConnection:
		return apicall.CloseNames
	default:
		return apicall.NoNames
	}
}

func calledAudience(a *apicall.Audience) (named Audience) {
	switch {
	case a.IDs != nil:
		named = Connections(a.IDs...)
	case a.Group != nil:
		named = Group(*a.Group)
	case a.User != nil:
		named = User(*a.User)
	case a.All:
		named = Everyone()
	}
	if len(a.Except) > 0 {
		named = named.Except(a.Except...)
	}
	return named
}

// callError is a call with a field that is wrong: 400, with a text that names the field.
type callError struct{ bad *apicall.FieldError }

// Error implements error. The text is for the log, which gets nothing that a caller wrote.
func (e *callError) Error() string { return "wrong call of @connections: " + e.bad.Safe() }

// errorAnswer implements [answered].
func (e *callError) errorAnswer() errorAnswer {
	return answerOf(errConnectionID).withText(e.bad.Error()) // the same status and the same name
}

// argument returns an [ErrInvalidArgument] as a callError. prefix stands before the name
// of the field. Any other error stays what it is.
func argument(prefix string, err error) error {
	text, ok := strings.CutPrefix(fmt.Sprint(err), ErrInvalidArgument.Error()+": ")
	field, why, named := strings.Cut(text, ": ")
	if !ok || !named {
		return err
	}
	return &callError{&apicall.FieldError{Field: prefix + field, Why: why}}
}

// doExtension does what a call asks for that the service does not have, and answers. It does
// not answer if it returns an error.
func (m *managementAnswer) doExtension(ctx context.Context, c managementRequest) error {
	var answer any
	var err error
	x := c.more
	switch c.action {
	case ActionList:
		answer, err = m.g.listPage(ctx, x)
	case ActionCount:
		var n int
		n, err = m.g.Count(ctx, x.audience)
		answer = apicall.Count{Count: n}
	case ActionPostTo:
		answer, err = wireDelivery(m.g.PostTo(ctx, x.audience, c.body, postOptions(x.query.Binary)...))
	case ActionPostBatch:
		err = m.postBatch(ctx, c.body)
	case ActionCloseAll:
		answer, err = wireDelivery(m.g.closeAsAsked(ctx, x.audience, &x.query))
	case ActionDeleteConnection:
		err = m.g.closeOne(ctx, c.id, &x.query)
	case ActionJoin:
		err = m.g.Join(ctx, c.id, x.resource.Group)
	case ActionLeave:
		err = m.g.Leave(ctx, c.id, x.resource.Group)
	case ActionGetState:
		err = m.getState(ctx, c.id, &x.conditions)
	case ActionSetState:
		if x.remove {
			c.body = nil
		}
		err = m.setState(ctx, c.id, c.body, &x.conditions)
	default: // of the service
	}
	switch {
	case err != nil:
		return err
	case answer != nil:
		m.json(answer)
	case c.action != ActionPostBatch && c.action != ActionGetState: // these have answered
		m.w.WriteHeader(http.StatusNoContent)
	}
	return nil
}

func (g *Gateway) listPage(ctx context.Context, x *extension) (page apicall.Page, err error) {
	list, next, err := g.List(ctx, x.audience, Page{Limit: x.query.Limit, After: x.query.After})
	if err != nil {
		return page, err
	}
	page = apicall.Page{Items: make([]apicall.Item, len(list)), Next: next.After}
	for n := range list {
		page.Items[n] = itemOf(&list[n])
	}
	return page, nil
}

// itemOf describes a connection. A state is always valid UTF-8.
func itemOf(c *Connection) apicall.Item {
	return apicall.Item{
		ConnectionID: c.ID, Identity: apicall.Identity{SourceIP: c.Identity.SourceIP, UserAgent: c.Identity.UserAgent},
		ConnectedAt: apicall.Time(c.ConnectedAt), LastActiveAt: apicall.Time(c.LastActiveAt),
		PrincipalID: c.PrincipalID, Groups: c.Groups, State: string(c.State),
	}
}

// closeAsAsked closes an audience. Without a code and a reason it closes as
// DeleteConnection does.
func (g *Gateway) closeAsAsked(ctx context.Context, of Audience, q *apicall.Query) (Delivery, error) {
	code, reason := q.Code, q.Reason
	if code == 0 {
		if code = deletedCode; reason == "" {
			reason = deletedReason
		}
	}
	var opts []CloseOption
	if q.Cut {
		opts = append(opts, Cut())
	}
	return g.CloseAll(ctx, of, code, reason, opts...)
}

func (g *Gateway) closeOne(ctx context.Context, id string, q *apicall.Query) error {
	d, err := g.closeAsAsked(ctx, Connections(id), q)
	if err == nil {
		err = d.Errors[id]
	}
	return err
}

// postBatch posts each line of a batch, and answers with one line for each. A line that is
// wrong, or that does not get through the throttle, does not hinder the others.
func (m *managementAnswer) postBatch(ctx context.Context, body []byte) error {
	if n := apicall.CountLines(body); n > apicall.BatchLines {
		return fmt.Errorf("%w: the batch has more than %d lines", ErrPayloadTooLarge, apicall.BatchLines)
	}
	m.w.Header()["Content-Type"] = []string{apicall.BatchType}
	m.w.WriteHeader(http.StatusOK)
	m.postLines(ctx, body, 0, apicall.BatchErrors)
	return nil
}

// postLines posts the lines of a batch from a number on, and answers with one line for each.
// room is how many errors they have beside one for each.
func (m *managementAnswer) postLines(ctx context.Context, body []byte, from, room int) {
	out := bufio.NewWriter(m.patience)
	last, returned := 0, false
	defer func() {
		_ = out.Flush() // an error means that the caller has left
		if !returned {  // an observer ends this goroutine, so the server will not send the answer
			m.postLines(ctx, body, last+1, room)
			_ = http.NewResponseController(m.w).Flush()
		}
	}()
	var text []byte
	first := from == 0 // its token was taken for the call
	for number, line := range apicall.Lines(body) {
		if last = number; number < from {
			continue
		}
		outcome := apicall.Outcome{Line: number}
		done := m.g.postLine(ctx, line, first)
		if first = false; done.err != nil {
			outcome.Error = wireError(done.err)
		} else {
			outcome.Delivery = deliveryOf(&done.Delivery)
			room = outcome.Delivery.Keep(room)
		}
		text = apicall.AppendOutcome(text[:0], &outcome)
		_, err := out.Write(text)
		if done.receipts.tell(ctx); err != nil || ctx.Err() != nil {
			break // the caller has left
		}
	}
	returned = true
}

func postOptions(binary bool) []PostOption {
	if binary {
		return []PostOption{Binary()}
	}
	return nil
}

func (g *Gateway) postLine(ctx context.Context, line []byte, paid bool) posting {
	if !paid {
		if err := g.throttleManagement(time.Now()); err != nil {
			return posting{err: err}
		}
	}
	message, bad := apicall.ParseMessage(line)
	if bad != nil {
		return posting{err: &callError{bad}}
	}
	done := g.postTo(ctx, calledAudience(&message.To), message.Data, postOptions(message.Binary))
	prefix := "to."
	if errors.Is(done.err, errNoBinary) {
		prefix = ""
	}
	done.err = argument(prefix, done.err)
	return done
}

func (m *managementAnswer) getState(ctx context.Context, id string, conditions *apicall.Conditions) error {
	c, err := m.g.GetConnection(ctx, id)
	if err != nil {
		return err
	}
	if len(c.State) > 0 {
		m.w.Header().Set("ETag", apicall.ETag(c.State))
	}
	switch verdict := conditions.Check(c.State); {
	case verdict == apicall.Failed:
		return ErrConflict
	case verdict == apicall.Same:
		m.w.WriteHeader(http.StatusNotModified)
	case len(c.State) == 0:
		m.w.WriteHeader(http.StatusNoContent)
	default:
		if !json.Valid(c.State) {
			m.w.Header()["Content-Type"] = []string{"text/plain; charset=utf-8"}
		}
		_, _ = m.patience.Write(c.State)
	}
	return nil
}

// setState makes a change if the conditions hold for the state that it replaces.
func (m *managementAnswer) setState(ctx context.Context, id string, state []byte, conditions *apicall.Conditions) (err error) {
	if !conditions.Any() {
		err = m.g.SetState(ctx, id, state)
	} else {
		err = ErrConflict
		for tries := 0; errors.Is(err, ErrConflict) && tries < mostTries; tries++ {
			c, gone := m.g.GetConnection(ctx, id)
			if gone != nil {
				return gone
			}
			if conditions.Check(c.State) != apicall.Holds {
				return ErrConflict
			}
			err = m.g.SetState(ctx, id, state, IfState(c.State))
		}
	}
	if err == nil && len(state) > 0 {
		m.w.Header().Set("ETag", apicall.ETag(state))
	}
	return err
}

// mostTries is how often setState looks at the state again after others have changed it.
// Only If-Match: * and a list of tags can need that.
const mostTries = 100

// json answers with a value.
func (m *managementAnswer) json(v any) {
	b, err := json.Marshal(v)
	if err != nil { // of strings and numbers: cannot fail
		panic(err)
	}
	_, _ = m.patience.Write(b)
}

func wireDelivery(d Delivery, err error) (*apicall.Delivery, error) {
	if err != nil {
		return nil, err
	}
	return deliveryOf(&d), nil
}

func deliveryOf(d *Delivery) *apicall.Delivery {
	w := &apicall.Delivery{Accepted: d.Accepted, Refused: d.Refused, Gone: d.Gone, Errors: make(map[string]apicall.Error, len(d.Errors)), Missing: d.Missing}
	if w.Missing == nil {
		w.Missing = []string{}
	}
	for id, err := range d.Errors {
		w.Errors[id] = *wireError(err)
	}
	return w
}

// wireError returns what a caller may know of an error: what the answer to a call of the
// service would say. Where the service says nothing, it says what is wrong.
func wireError(err error) *apicall.Error {
	a := extensionAnswer(err)
	return &apicall.Error{Type: a.name, Message: a.text}
}

// answerTo is [answerOf] for an error of a call.
func (c *managementRequest) answerTo(err error) errorAnswer {
	switch {
	case c.more == nil:
		return answerOf(err)
	case c.more.resource.Kind == apicall.Connection: // which answers as the service
		return answerOf(argument("", err))
	default:
		return extensionAnswer(err)
	}
}

// extensionAnswer is [answerOf] for a call that the service does not have: every error has a
// name and a text.
func extensionAnswer(err error) errorAnswer {
	a := answerOf(argument("", err))
	switch {
	case errors.Is(err, ErrGone):
		a.text = "The connection is gone, or not open yet"
	case errors.Is(err, ErrPayloadTooLarge):
		a.name, a.text = "PayloadTooLargeException", ownText(err)
	case errors.Is(err, ErrLimitExceeded):
		a.text = ownText(err)
	case errors.Is(err, ErrConflict):
		a = errorAnswer{http.StatusPreconditionFailed, "PreconditionFailedException", ownText(err), "", slog.LevelDebug}
	}
	if a.text == "" {
		a.text = http.StatusText(a.status)
	}
	return a
}

// ownText returns the text of an error that this package has made, for a caller.
func ownText(err error) string { return strings.TrimPrefix(err.Error(), "gateway: ") }
