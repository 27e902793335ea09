package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"example.com/gateway/internal/bounded"
	"example.com/gateway/internal/event"
	"example.com/gateway/internal/jsonpath"
	"example.com/gateway/internal/limit"
	"example.com/gateway/internal/selection"
)

// This file decides whether something may go on: an upgrade, a message or a call of
// @connections. The steps of an upgrade come first. Their order is upgradeSteps in
// upgrade.go. For a message the order is admit.

// Why an upgrade is refused before the authorizer is asked.
var (
	errNewConnections = fmt.Errorf("%w: new connections are above Quotas.NewConnections", errThrottled)
	errConnections    = fmt.Errorf("%w: connections are at Quotas.Connections", errThrottled)
	errSource         = fmt.Errorf("%w: connections of the source IP are at Quotas.ConnectionsPerSourceIP", errThrottled)
)

func (u *upgrade) countConnection() error {
	if !u.g.throttles.newConnections.Allow(u.now) {
		return errNewConnections
	}
	err := u.g.sources.Add(u.sourceIP)
	u.counted = err == nil
	switch {
	case errors.Is(err, limit.ErrAll):
		return errConnections
	case err != nil:
		return errSource
	}
	return nil
}

// authorize asks $connect's Authorizer, if it has one.
func (u *upgrade) authorize() error {
	r := u.table.connect
	if r == nil || r.Authorizer == nil {
		return nil
	}
	start := time.Now()
	d, err := bounded.Run(u.ctx, &u.g.running, u.g.quotas.IntegrationTimeout, &authorizerCall{u, r.Authorizer, u.request()})
	u.admission.authorizerTook = time.Since(start)
	if err != nil { // it did not return in time
		u.lent = true
		d = decision{refused: refusedByAuthorizer(err)}
	}
	if d.refused != nil {
		if d.refused.answer.level == slog.LevelError { // else the refusal is the authorizer's decision
			u.logged = true
			u.g.logFailure(u.ctx, "authorizer failed", u.safeRequest(), d.refused.err)
		}
		return d.refused
	}
	u.admission.authorizer = d.context
	u.admission.caller = d.authorization.Caller
	u.admission.usageKey = d.authorization.UsageIdentifierKey
	return nil
}

// decision is what an authorizer returned.
type decision struct {
	authorization *Authorization
	context       map[string]any // what authorizerContext makes of it
	refused       *refusal       // nil: the client may connect
}

// authorizerCall is the call of an authorizer. Do looks at what the authorizer returned,
// too, because the methods of its error are the program's own code.
type authorizerCall struct {
	u          *upgrade
	authorizer Authorizer
	req        *Request
}

func (c *authorizerCall) Do(ctx context.Context) (d decision) {
	defer func() {
		if p := recover(); p != nil {
			d = decision{refused: refusedByAuthorizer(&panicError{p, debug.Stack()})}
		}
	}()
	authorization, err := c.authorizer.Authorize(ctx, c.req)
	if err == nil {
		err = ctx.Err() // it returned in the same moment in which its time ended
	}
	if err == nil {
		d.authorization = authorization
		d.context, err = authorizerContext(authorization)
	}
	if err != nil {
		d.refused = refusedByAuthorizer(err)
	}
	return d
}

func (c *authorizerCall) Ended() decision { return decision{refused: refusedByAuthorizer(errGoexit)} }

func (c *authorizerCall) Done(decision) {}

func (c *authorizerCall) Late(d decision) {
	if d.refused != nil {
		c.u.g.logLate(c.u.ctx, c.u.safeRequest(), d.refused)
	}
}

// refusedByAuthorizer returns the answer to an upgrade whose authorizer returned err:
// either the authorizer refused the client, or it failed, which is 500.
func refusedByAuthorizer(err error) *refusal {
	var public PublicError
	isPublic := errors.As(err, &public)
	row := errAuthorizer
	switch {
	case errors.Is(err, ErrUnauthorized):
		row = ErrUnauthorized
	case isPublic, errors.Is(err, ErrForbidden):
		row = ErrForbidden
	case errors.Is(err, ErrInvalidAuthorization):
		row = ErrInvalidAuthorization
	}
	refused := &refusal{answer: answerOf(row), err: fmt.Errorf("authorizer: %w", err)}
	if isPublic {
		_, refused.answer.text = public.PublicError()
	}
	return refused
}

// authorizerContext makes Request.Authorizer, without the latency. It is nil after IAM
// authorization, which has no context.
func authorizerContext(a *Authorization) (map[string]any, error) {
	if a == nil {
		return nil, errors.New("it returned neither an Authorization nor an error")
	}
	if a.Caller != nil && a.PrincipalID == "" && len(a.Context) == 0 {
		return nil, nil
	}
	texts, err := event.AuthorizerContext(a.PrincipalID, a.Context)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidAuthorization, err)
	}
	return texts, nil
}

var (
	errNoKey      = fmt.Errorf("%w: the upgrade request has no API key", ErrForbidden)
	errTwoKeys    = fmt.Errorf("%w: the upgrade request has more than one x-api-key header", ErrForbidden)
	errInvalidKey = fmt.Errorf("%w: the API key is not valid for this stage", ErrForbidden)
)

// checkAPIKey finds the client's API key, if $connect requires one.
func (u *upgrade) checkAPIKey() error {
	if r := u.table.connect; r == nil || !r.APIKeyRequired {
		return nil
	}
	value := string(u.table.apiKey.Append(nil, &selection.Input{
		RequestHeader: u.r.Header, UsageIdentifierKey: u.admission.usageKey,
	}))
	length := utf8.RuneCountInString(value)
	switch {
	case !u.table.apiKey.UsesAuthorizerKey() && len(u.r.Header.Values("X-Api-Key")) > 1:
		return invalidKey(errTwoKeys) // the gateway and its backends could take different ones
	case value == "":
		return invalidKey(errNoKey)
	case length < minKeyValue || length > maxKeyValue:
		return invalidKey(fmt.Errorf("%w: the API key has %d characters: %d to %d are valid", ErrForbidden, length, minKeyValue, maxKeyValue))
	}
	var key APIKey
	err := u.askStore(func(ctx context.Context) (then func(), err error) {
		found, err := u.g.usageStore.FindAPIKey(ctx, value)
		switch {
		case errors.Is(err, ErrForbidden), err == nil && found.UsagePlanID == "":
			return nil, invalidKey(errInvalidKey)
		case err == nil:
			err = found.check()
		}
		if err != nil {
			return nil, storeFailed(fmt.Errorf("%w: finding an API key: %w", errUsageStore, err))
		}
		return func() { key = found }, nil
	})
	if err != nil {
		return err
	}
	u.admission.keyUse = u.g.keyUses.use(&key, value, u.now)
	return nil
}

func invalidKey(err error) error {
	return &refusal{answer: answerOf(errAPIKey), err: err}
}

// countRequest counts the upgrade against the quota of the client's usage plan.
func (u *upgrade) countRequest() error {
	if u.admission.keyUse == nil {
		return nil
	}
	return u.askStore(func(ctx context.Context) (func(), error) {
		err := u.admission.keyUse.count(ctx, u.now)
		if err != nil && err != errQuota { //nolint:errorlint // that is never wrapped, and err may be the store's
			err = storeFailed(err)
		}
		return nil, err
	})
}

// askStore runs ask, which calls the usage store, with the time limit of integrations. ask
// also examines the error of the store, because the methods of that error are the store's
// own code. The func that ask returns runs only if ask returned in time.
func (u *upgrade) askStore(ask func(ctx context.Context) (then func(), err error)) error {
	a, err := bounded.Run(u.ctx, &u.g.running, u.g.quotas.IntegrationTimeout, &storeCall{u, ask})
	if err != nil {
		a.err = storeFailed(fmt.Errorf("%w: %w", errUsageStore, err))
	}
	var refused *refusal
	if errors.As(a.err, &refused) && refused.answer.level == slog.LevelError {
		u.logged = true
		u.g.logFailure(u.ctx, "usage store failed", u.safeRequest(), refused.err)
	}
	if a.then != nil {
		a.then()
	}
	return a.err
}

// storeCall is one call of a usage store.
type storeCall struct {
	u   *upgrade
	ask func(ctx context.Context) (then func(), err error)
}

// storeAnswer is the result of a storeCall: what to do next, and the error that refuses
// the upgrade.
type storeAnswer struct {
	then func()
	err  error
}

func (c *storeCall) Do(ctx context.Context) (a storeAnswer) {
	defer func() {
		if p := recover(); p != nil {
			a = storeAnswer{err: storeFailed(fmt.Errorf("%w: %w", errUsageStore, &panicError{p, debug.Stack()}))}
		}
	}()
	a.then, a.err = c.ask(ctx)
	return a
}

func (c *storeCall) Ended() storeAnswer {
	return storeAnswer{err: storeFailed(fmt.Errorf("%w: %w", errUsageStore, errGoexit))}
}

func (c *storeCall) Done(storeAnswer) {}

func (c *storeCall) Late(a storeAnswer) { c.u.g.logLate(c.u.ctx, c.u.safeRequest(), a.err) }

func storeFailed(err error) *refusal {
	return &refusal{answer: answerOf(errUsageStore), err: err}
}

// throttle is the step of an upgrade. Without a $connect route, the stage's throttle
// applies.
func (u *upgrade) throttle() error {
	r := u.table.connect
	if r == nil {
		r = &route{Route: Route{RouteKey: RouteKeyConnect}}
	}
	return u.g.throttle(u.table, r, u.admission.keyUse, u.now)
}

// checkRequest refuses an upgrade if a required request parameter is missing or blank.
// (API Gateway: "Request validation for REST APIs": "included and not blank".)
func (u *upgrade) checkRequest() error {
	r := u.table.connect
	if r == nil || len(r.required) == 0 {
		return nil
	}
	in := &resolver{req: u.request(), asAuthorizer: true}
	var missing []string
	for _, source := range r.required {
		if strings.TrimSpace(source.Value(in)) == "" {
			missing = append(missing, source.Name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	text := answerOf(errMissingParam).text + ": [" + strings.Join(missing, ", ") + "]"
	return &refusal{answer: answerOf(errMissingParam).withText(text), err: fmt.Errorf("required request parameters are missing: %q", missing)}
}

// admit decides whether a message reaches its integration: throttles and quota, then
// the route itself, then the model.
func (c *connection) admit(t *routeTable, call *call) (out invocation) {
	out.rejected = true // matters only if there is an error
	defer func() {
		if p := recover(); p != nil { // of a Model or a UsageStore
			out.err = &panicError{p, debug.Stack()}
		}
	}()
	out.err = c.g.throttle(t, call.route, c.keyUse, call.Start())
	if out.err == nil {
		out.err = c.keyUse.count(call, call.Start())
	}
	switch {
	case out.err != nil:
	case call.route == unrouted: // only now: the throttles count such a message, too
		out.err = errNoRoute
	default:
		out.err = call.route.validate(&call.req)
	}
	return out
}

// throttle takes a token for a connect or a message from each throttle, in the service's
// order, from the narrowest to the widest. If one refuses the request, the tokens of the
// earlier ones are spent. A route has its own throttle or shares the stage's. (API
// Gateway: "Throttle requests to your REST APIs for better throughput".)
func (g *Gateway) throttle(t *routeTable, r *route, k *keyUse, now time.Time) error {
	if k != nil {
		if err := k.throttle(r.RouteKey, now); err != nil {
			return err
		}
	}
	switch {
	case r.bucket == nil && !t.bucket.Allow(now):
		return errStageThrottle
	case !r.bucket.Allow(now):
		return errRouteThrottle
	case !g.throttles.account.Allow(now):
		return errAccountThrottle
	}
	return nil
}

// validate checks a message against the model it selects. A binary message selects only by
// what is not in it.
func (r *route) validate(req *Request) error {
	if r.selection == nil {
		return nil
	}
	message := req.Body
	in := selection.Input{Body: message, BodyValid: !req.Binary && jsonpath.Valid(message)}
	key := string(r.selection.Append(nil, &in))
	model := r.RequestModels[key]
	if model == nil {
		key = defaultModel
		model = r.RequestModels[key]
	}
	if model == nil {
		return &ValidationError{RouteKey: r.RouteKey, Err: errNoModel}
	}
	if err := model.Validate(message); err != nil {
		return &ValidationError{RouteKey: r.RouteKey, Model: key, Err: err}
	}
	return nil
}

// throttleManagement is throttle for a call of @connections, which has no route. It has
// the limits of the stage's throttle, but a bucket of its own: clients that send many
// messages must not stop the backend, and a busy backend must not stop the clients.
func (g *Gateway) throttleManagement(now time.Time) error {
	switch {
	case !g.routes.Load().management.Allow(now):
		return errStageThrottle
	case !g.throttles.account.Allow(now):
		return errAccountThrottle
	}
	return nil
}
