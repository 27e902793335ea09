package gateway

import (
	"context"
	"fmt"
	"strings"

	"example.com/gateway/internal/mapping"
	"example.com/gateway/internal/nearest"
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

// doubts implements doubter: the identity sources that no client can have.
func (a *RequestAuthorizer) doubts(stageVariables map[string]string) []string {
	const where, refused = "RequestAuthorizer.IdentitySource", "so that every client is refused with 401"
	sources, err := a.sources()
	if err != nil {
		return nil // an error of the route already
	}
	var found []string
	for _, s := range sources {
		switch {
		case s.Place == mapping.StageVariable:
			if doubt := doubtVariable(where, s.Name, refused, stageVariables); doubt != "" {
				found = append(found, doubt)
			}
		case s.Place != mapping.Context:
		case s.Hidden() || strings.HasPrefix(s.Name, "authorizer."):
			found = append(found, fmt.Sprintf("%s: %q has no value yet when the authorizer is asked, %s", where, s.String(), refused))
		case !mapping.IsContextVariable(s.Name):
			meant := nearest.To(s.Name, mapping.ContextVariables())
			found = append(found, fmt.Sprintf("%s: there is no $context variable %q, %s%s", where, s.Name, refused, nearest.Question(meant)))
		}
	}
	return found
}
