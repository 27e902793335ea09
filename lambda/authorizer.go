package lambda

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"example.com/gateway"
	"example.com/gateway/internal/event"
)

// Authorizer is a Lambda authorizer of type REQUEST, for [gateway.WithAuthorizer].
// [NewAuthorizer], [WrapAuthorizer] and [Function.Authorizer] make it. Its fields must not change once it
// is used.
//
// The function gets the service's event, [AuthorizerRequest], and returns principalId,
// policyDocument, context and usageIdentifierKey: see [Decide]. The upgrade is answered
// as in the service:
//
//	the policy allows the methodArn                             the upgrade goes on
//	the function raised an error with the message Unauthorized  401
//	the policy denies the methodArn, or does not allow it       403
//	the result is not valid                                     500, with a message that is null
//	anything else fails                                         500
//
// For identity sources, put it into a [gateway.RequestAuthorizer]. (API Gateway:
// "Create a Lambda REQUEST authorizer function".)
type Authorizer struct {
	// Region and AccountID are the region and the account in the methodArn,
	// arn:aws:execute-api:{region}:{account}:{API ID}/{stage}/$connect. API ID and stage
	// are the gateway's: see [gateway.WithAPI] and [gateway.WithStage]. "" means
	// us-east-1 and 123456789012.
	Region, AccountID string

	invoker Invoker
}

var _ gateway.Authorizer = (*Authorizer)(nil)

// WrapAuthorizer makes an authorizer from any Lambda handler that [Wrap] takes. It
// panics for anything else.
func WrapAuthorizer(handler any) *Authorizer { return NewAuthorizer(NewInvoker(handler)) }

// NewAuthorizer makes an authorizer that calls a function.
func NewAuthorizer(i Invoker) *Authorizer { return &Authorizer{invoker: i} }

var errNoFunction = errors.New("lambda: the Authorizer has no function: make it with NewAuthorizer, WrapAuthorizer or Function.Authorizer")

// Validate returns what is wrong with the authorizer, or with the [Invoker] that it was
// made of. [gateway.Gateway.Handle] calls it.
func (a *Authorizer) Validate() error {
	if a.invoker == nil {
		return errNoFunction
	}
	return validate(a.invoker)
}

// Authorize implements [gateway.Authorizer].
func (a *Authorizer) Authorize(ctx context.Context, req *gateway.Request) (*gateway.Authorization, error) {
	if a.invoker == nil {
		return nil, errNoFunction
	}
	methodARN := a.methodARN(req)
	result, err := call(ctx, a.invoker, req, appendAuthorizerEvent(nil, req, methodARN))
	var raised *FunctionError
	switch {
	case errors.As(err, &raised) && raised.Message == "Unauthorized":
		return nil, fmt.Errorf("%w: %w", gateway.ErrUnauthorized, raised)
	case err != nil:
		return nil, failure{err}
	}
	r, err := Decide(result, methodARN)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", gateway.ErrInvalidAuthorization, err)
	case r.Decision != Allow:
		return nil, &deniedError{r.Decision}
	}
	authorization := &gateway.Authorization{PrincipalID: r.PrincipalID, UsageIdentifierKey: r.UsageIdentifierKey}
	for name, text := range r.Context {
		if authorization.Context == nil {
			authorization.Context = make(map[string]any, len(r.Context))
		}
		authorization.Context[name] = text
	}
	return authorization, nil
}

func (a *Authorizer) methodARN(req *gateway.Request) string {
	return "arn:aws:execute-api:" + cmp.Or(a.Region, "us-east-1") + ":" + cmp.Or(a.AccountID, "123456789012") +
		":" + req.APIID + "/" + req.Stage + "/" + gateway.RouteKeyConnect
}

// appendAuthorizerEvent appends the event that the service would make from req for an
// authorizer.
func appendAuthorizerEvent(dst []byte, req *gateway.Request, methodARN string) []byte {
	e := eventOf(req)
	e.Upgrade, e.MethodARN = upgrade(req), methodARN
	return event.AppendAuthorizer(dst, &e)
}

// deniedError is the denial of a policy.
type deniedError struct{ decision Decision }

// Error implements error.
func (e *deniedError) Error() string {
	return "lambda: the authorizer's policy: " + e.decision.Message()
}

// PublicError implements [gateway.PublicError].
func (e *deniedError) PublicError() (code, message string) {
	return "AccessDeniedException", e.decision.Message()
}

// Unwrap returns [gateway.ErrForbidden].
func (e *deniedError) Unwrap() error { return gateway.ErrForbidden }

// failure is the error of a failed call. It does not unwrap: if the function's error
// wraps an error of the gateway, such as ErrForbidden, that decides nothing.
type failure struct{ err error }

// Error implements error.
func (e failure) Error() string { return e.err.Error() }

// StackTrace returns the stack of a panic, for the gateway's log.
func (e failure) StackTrace() []byte {
	var raised *FunctionError
	if errors.As(e.err, &raised) {
		return raised.Stack
	}
	return nil
}
