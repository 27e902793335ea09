// Package iam is IAM authorization of an API: who signed a request, and what
// their policy lets them do. It puts AWS Signature Version 4, of package sigv4,
// and policies together:
//
//	auth := &iam.Auth{
//		Verifier: &sigv4.Verifier{Service: "execute-api", Region: "us-east-1", Keys: keys},
//		Policy:   iam.ByAccessKey(map[string]*iam.PolicyDocument{"AKIDEXAMPLE": policy}),
//	}
//	gw, err := gateway.New(gateway.WithManagementAuth(auth))       // execute-api:ManageConnections
//	gw.Handle("$connect", integration, gateway.WithAuthorizer(auth)) // execute-api:Invoke
//
// Where every holder of a key may call @connections, the Verifier alone will do.
// (API Gateway: "Using IAM authorization"; "Use @connections commands in your
// backend service".)
package iam

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"example.com/gateway"
	"example.com/gateway/internal/policy"
	"example.com/gateway/sigv4"
)

// The actions of the service.
const (
	Invoke            = "execute-api:Invoke"
	ManageConnections = "execute-api:ManageConnections"
)

// Auth is a [gateway.Authorizer] for $connect and a [gateway.ManagementAuth]. It
// denies what is not allowed, and all when Verifier or Policy is nil. It is safe
// for concurrent use; its fields must not change once it is used.
type Auth struct {
	// Verifier says who signed.
	Verifier *sigv4.Verifier
	// Policy says what they may do. An error denies too, whatever the decision: it
	// refuses a $connect as one of a [gateway.Authorizer] does, with 500 unless it
	// wraps one that says otherwise, and a call of @connections with 403.
	Policy Policy
	// APIID is that of the resources of @connections; "" means the gateway's, of
	// [gateway.WithAPI].
	APIID string
	// Stage is that of the resources of @connections; "" means the gateway's, of
	// [gateway.WithStage]. The path of the call does not count: whoever calls has
	// chosen it.
	Stage string
	// AccountID is the API's account in resources; "" means the caller's.
	AccountID string
	// Partition is that of resources; "" means aws.
	Partition string
}

var (
	_ gateway.Authorizer     = (*Auth)(nil)
	_ gateway.ManagementAuth = (*Auth)(nil)
)

// Policy decides whether somebody may do something. It may be called
// concurrently.
type Policy func(ctx context.Context, a Access) (Decision, error)

// Access is what somebody wants to do.
type Access struct {
	Caller sigv4.Caller
	Action string // Invoke or ManageConnections
	// Resource is an ARN, arn:aws:execute-api:{region}:{account}:{API ID}/{stage}
	// and /$connect or /{method}/@connections/{connectionId}, of which the last is
	// that very text, as in the service: a policy cannot single a connection out.
	Resource string
	// ConnectionID is the connection that ManageConnections is about, which the
	// service's policies do not see.
	ConnectionID string
}

// Decision is what a policy says. The zero value denies.
type Decision int

// The three decisions.
const (
	ImplicitDeny = Decision(policy.ImplicitDeny) // no statement allows it
	ExplicitDeny = Decision(policy.ExplicitDeny) // a statement denies it, whatever others say
	Allow        = Decision(policy.Allow)
)

// PolicyDocument is an IAM policy.
type PolicyDocument struct{ document *policy.Document }

// ParsePolicy parses an IAM policy of an identity: Version, Id and Statement, and in
// each statement Sid, Effect, Action or NotAction, Resource or NotResource, with *
// and ? in their values.
//
// What could allow more than was meant is an error: a Condition that is not empty,
// and with Version 2012-10-17 a variable such as ${aws:username}, because neither
// is evaluated; a Principal; any other member or one in another case; one that
// comes twice or is null; an action that is neither * nor like execute-api:Invoke,
// and a resource that begins with neither arn: nor *. (IAM: "Grammar of the IAM JSON
// policy language".)
func ParsePolicy(document []byte) (*PolicyDocument, error) {
	d, err := policy.Parse(json.RawMessage(document))
	if err != nil {
		return nil, fmt.Errorf("iam: policy: %w", err)
	}
	return &PolicyDocument{d}, nil
}

// Decide says what the policy says of an action on a resource.
func (p *PolicyDocument) Decide(action, resource string) Decision {
	if p == nil || p.document == nil {
		return ImplicitDeny
	}
	return Decision(p.document.Decide(action, resource))
}

// ByAccessKey returns a Policy that looks the caller's document up by the ID of
// the access key. Callers without one may do nothing. The map must not change.
func ByAccessKey(documents map[string]*PolicyDocument) Policy {
	return func(_ context.Context, a Access) (Decision, error) {
		return documents[a.Caller.AccessKeyID].Decide(a.Action, a.Resource), nil
	}
}

// Authorize implements [gateway.Authorizer]: authorization type AWS_IAM. The
// upgrade is signed in its headers or, by a browser, in its query.
func (a *Auth) Authorize(ctx context.Context, req *gateway.Request) (*gateway.Authorization, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	if req.Upgrade == nil {
		return nil, errNoUpgrade
	}
	signed, err := a.Verifier.Verify(req.Upgrade, nil)
	if err != nil {
		return nil, refused(err)
	}
	err = a.decide(ctx, Access{
		Caller: signed.Caller, Action: Invoke,
		Resource: a.resource(signed, req.APIID, req.Stage+"/"+gateway.RouteKeyConnect),
	})
	if err != nil {
		return nil, err
	}
	c := signed.Caller
	return &gateway.Authorization{Caller: &gateway.Caller{AccountID: c.AccountID, PrincipalID: c.PrincipalID, ARN: c.ARN}}, nil
}

// AuthorizeManagement implements [gateway.ManagementAuth].
func (a *Auth) AuthorizeManagement(ctx context.Context, call *gateway.ManagementCall) error {
	if err := a.Validate(); err != nil {
		return err
	}
	signed, err := a.Verifier.VerifyManagement(call.Request, call.Body)
	if err != nil {
		return err
	}
	path := cmp.Or(a.Stage, call.Stage) + "/" + call.Request.Method + "/@connections/{connectionId}"
	return a.decide(ctx, Access{
		Caller: signed.Caller, Action: ManageConnections, ConnectionID: call.ConnectionID,
		Resource: a.resource(signed, cmp.Or(a.APIID, call.APIID), path),
	})
}

var errNoUpgrade = errors.New("iam: the Request has no Upgrade: only that of $connect does")

// Validate returns an error that names the first field that is missing or makes no
// sense, those of the Verifier included. Package gateway calls it when it gets the
// Auth.
func (a *Auth) Validate() error {
	switch {
	case a.Verifier == nil:
		return errors.New("iam: Auth.Verifier is nil: set it to a sigv4.Verifier, which knows the access keys")
	case a.Policy == nil:
		return errors.New("iam: Auth.Policy is nil: set it to ByAccessKey, or to a Policy of your own")
	}
	if err := a.Verifier.Validate(); err != nil {
		return fmt.Errorf("iam: Auth.Verifier: %w", err)
	}
	return nil
}

func (a *Auth) resource(signed sigv4.Signature, apiID, path string) string {
	return "arn:" + cmp.Or(a.Partition, "aws") + ":execute-api:" + signed.Region + ":" + cmp.Or(a.AccountID, signed.Caller.AccountID) +
		":" + apiID + "/" + path
}

func (a *Auth) decide(ctx context.Context, access Access) error {
	decision, err := a.Policy(ctx, access)
	switch {
	case err != nil:
		return fmt.Errorf("iam: policy: %w", err)
	case decision != Allow:
		return &deniedError{access, decision}
	}
	return nil
}

// refused marks what sigv4 refuses: it is the caller's fault.
func refused(err error) error {
	var own *sigv4.Error
	if errors.As(err, &own) {
		return fmt.Errorf("%w: %w", gateway.ErrForbidden, err)
	}
	return err
}

// deniedError is a refusal by the policy, with the service's text.
type deniedError struct {
	access   Access
	decision Decision
}

// Error implements error.
func (e *deniedError) Error() string {
	_, message := e.PublicError()
	return "iam: " + message
}

// PublicError implements [gateway.PublicError].
func (e *deniedError) PublicError() (code, message string) {
	who := cmp.Or(e.access.Caller.ARN, "anonymous")
	why := " because no identity-based policy allows the " + e.access.Action + " action"
	if e.decision == ExplicitDeny {
		why = " with an explicit deny in an identity-based policy"
	}
	return "AccessDeniedException", "User: " + who + " is not authorized to perform: " + e.access.Action + " on resource: " + masked(e.access.Resource) + why
}

// Unwrap returns [gateway.ErrForbidden].
func (e *deniedError) Unwrap() error { return gateway.ErrForbidden }

// masked hides all but the last four digits of a resource's account, as the
// service does.
func masked(arn string) string {
	fields := strings.SplitN(arn, ":", 6)
	if account := fields[4]; len(account) == 12 {
		fields[4] = "********" + account[8:]
	}
	return strings.Join(fields, ":")
}
