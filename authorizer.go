package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"example.com/gateway/internal/bounded"
	"example.com/gateway/internal/event"
	"example.com/gateway/internal/mapping"
)

// Authorizer decides who may connect. It belongs to the $connect route. Its decision
// holds for the life of the connection.
//
// Authorize gets the CONNECT request, before the integration of $connect does. It
// returns what integrations are to know of the client. If it returns
// [ErrUnauthorized], the upgrade is refused with 401; [ErrForbidden] means 403. Any
// other error, a panic, a nil Authorization without an error, and a call that lasts
// longer than Quotas.IntegrationTimeout mean 500. A [PublicError] has its own text for
// the client. Authorize may run concurrently. It is called for each upgrade: the
// gateway never caches its result. ctx has the values of the upgrade request, and ends at
// Quotas.IntegrationTimeout. (API Gateway: "Create a Lambda REQUEST authorizer
// function"; "Controlling and managing access to a WebSocket API".)
//
// An Authorizer may have a method Validate() error, which returns what is wrong
// with its fields. [Gateway.Handle] and [Gateway.Deploy] call it, so that the
// mistake shows when the route is set and not at the first upgrade.
type Authorizer interface {
	Authorize(ctx context.Context, req *Request) (*Authorization, error)
}

// AuthorizerFunc is a func that is an [Authorizer].
type AuthorizerFunc func(ctx context.Context, req *Request) (*Authorization, error)

// Authorize calls f.
func (f AuthorizerFunc) Authorize(ctx context.Context, req *Request) (*Authorization, error) {
	return f(ctx, req)
}

// Authorization says that a client may connect, and what the [Authorizer] knows of it.
// The zero value lets the client in and tells integrations nothing.
type Authorization struct {
	// PrincipalID says who the client is. "" means that integrations are told nothing.
	PrincipalID string
	// Context is passed on in Request.Authorizer. Its values are strings, numbers or
	// booleans, and are passed on as text. A nil value is left out. A value of another
	// kind, such as a map, makes the authorization invalid, as in the service: 500. So do
	// the names principalId and integrationLatency, which the gateway writes itself:
	// otherwise a context made of all the claims of a token could say who the client is.
	Context map[string]any
	// UsageIdentifierKey is the client's API key, for an API that takes the key from the
	// authorizer: see [WithAPIKeySelectionExpression]. It has 20 to 128 characters; with
	// any other the client is refused with 403. It is a secret and is not passed on.
	UsageIdentifierKey string
	// Caller is who signed the upgrade, for IAM authorization.
	Caller *Caller
}

// Caller is an IAM identity.
type Caller struct {
	AccountID   string // 12 digits
	PrincipalID string // unique ID of the user or role session
	ARN         string
}

// WithAuthorizer sets Route.Authorizer. A nil Authorizer panics: it would let every
// client in.
func WithAuthorizer(a Authorizer) RouteOption {
	if isNil(a) {
		panic(fmt.Errorf("%w: WithAuthorizer: the Authorizer is nil: leave WithAuthorizer out to let every client in", ErrInvalidOption))
	}
	return func(r *Route) { r.Authorizer = a }
}

// RequestAuthorizer is a REQUEST authorizer of the service. It asks its Authorizer only
// if the upgrade has a value for every identity source. If a value is missing or empty,
// the upgrade is refused with 401.
//
// A source is route.request.header.{name} or route.request.querystring.{name}, of
// which the last value counts, stageVariables.{name} or context.{name}. The headers are
// those that a Lambda authorizer sees. They include what the front end adds, such as
// X-Forwarded-For, which ends with the client's address. As in the service,
// context.eventType and context.messageDirection never have a value. (API Gateway:
// "Create a Lambda REQUEST authorizer function".)
//
// A RequestAuthorizer must not be changed once its route is set.
type RequestAuthorizer struct {
	Authorizer     Authorizer
	IdentitySource []string
}

var _ Authorizer = (*RequestAuthorizer)(nil)

// Authorize returns [ErrUnauthorized] if a source has no value, and otherwise what
// a.Authorizer returns.
func (a *RequestAuthorizer) Authorize(ctx context.Context, req *Request) (*Authorization, error) {
	sources, err := a.sources()
	if err != nil {
		return nil, err
	}
	in := &resolver{req: req, asAuthorizer: true}
	for _, source := range sources {
		if source.Value(in) == "" {
			return nil, fmt.Errorf("%w: identity source %q is missing or empty", ErrUnauthorized, source.String())
		}
	}
	return a.Authorizer.Authorize(ctx, req)
}

// Validate returns what is wrong with the identity sources, or with a.Authorizer
// if that has a method Validate too. The error is an [ErrInvalidOption].
func (a *RequestAuthorizer) Validate() error {
	if _, err := a.sources(); err != nil {
		return err
	}
	return validate("RequestAuthorizer.Authorizer", a.Authorizer)
}

// sources compiles the identity sources.
func (a *RequestAuthorizer) sources() ([]mapping.Source, error) {
	if isNil(a.Authorizer) {
		return nil, fmt.Errorf("%w: RequestAuthorizer.Authorizer is nil: set it to the Authorizer that decides", ErrInvalidOption)
	}
	sources := make([]mapping.Source, len(a.IdentitySource))
	for n, text := range a.IdentitySource {
		var err error
		if sources[n], err = mapping.Identity().Source(text); err != nil {
			return nil, invalid("RequestAuthorizer.IdentitySource", err)
		}
	}
	return sources, nil
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
			u.g.logFailure(u.ctx, "authorizer failed", u.told(), d.refused.err)
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
		err = ctx.Err() // it is only just too late
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
		c.u.g.cameLate(c.u.ctx, c.u.told(), d.refused)
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
