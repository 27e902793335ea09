// Package iam is IAM authorization for an API. It finds out who signed a request, and
// what their policy allows them to do. It joins AWS Signature Version 4, which is in
// package sigv4, with policies:
//
//	auth := &iam.Auth{
//		Verifier: &sigv4.Verifier{Service: "execute-api", Region: "us-east-1", Keys: keys},
//		Policy:   iam.ByAccessKey(map[string]*iam.PolicyDocument{"AKIDEXAMPLE": policy}),
//	}
//	gw, err := gateway.New(gateway.WithManagementAuth(auth))       // execute-api:ManageConnections
//	gw.Handle("$connect", integration, gateway.WithAuthorizer(auth)) // execute-api:Invoke
//
// If everyone who has a key may call @connections, use the Verifier alone.
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
	"example.com/gateway/internal/apicall"
	"example.com/gateway/internal/policy"
	"example.com/gateway/sigv4"
)

// The actions of the service.
const (
	Invoke            = "execute-api:Invoke"
	ManageConnections = "execute-api:ManageConnections"
)

// ManageExtensions is the action of the calls of @connections that the service does not
// have: see [gateway.WithManagementExtensions]. It is not one of execute-api, so that a
// policy written for the service, even one for execute-api:*, allows none of them.
//
// A policy that denies [ManageConnections] for a path denies this action, too: who may not
// close a connection by its ID must not close it as one of an audience either.
const ManageExtensions = "gateway:ManageConnections"

// Auth is a [gateway.Authorizer] for $connect and a [gateway.ManagementAuth]. It
// denies everything that the Policy does not allow. It is safe for concurrent use. Its
// fields must not change once it is used.
type Auth struct {
	// Verifier finds out who signed a request. It is required.
	Verifier *sigv4.Verifier
	// Policy decides what they may do. It is required. An error denies, whatever the
	// decision is. For $connect the error has the effect of an error of a
	// [gateway.Authorizer]: 500, unless it wraps [gateway.ErrUnauthorized] or
	// [gateway.ErrForbidden]. A call of @connections is refused with 403.
	Policy Policy
	// APIID is the API ID in the resources of @connections. "" means the gateway's API
	// ID, of [gateway.WithAPI].
	APIID string
	// Stage is the stage in the resources of @connections. "" means the gateway's stage,
	// of [gateway.WithStage]. The path of the call is not used, because the caller has
	// chosen it.
	Stage string
	// AccountID is the account of the API in resources. "" means the caller's account.
	AccountID string
	// Partition is the partition in resources. "" means aws.
	Partition string
}

var (
	_ gateway.Authorizer     = (*Auth)(nil)
	_ gateway.ManagementAuth = (*Auth)(nil)
)

// Policy decides whether a caller may do what they ask for. It may be called
// concurrently.
type Policy func(ctx context.Context, a Access) (Decision, error)

// Access describes what a caller wants to do.
type Access struct {
	Caller sigv4.Caller
	Action string // Invoke, ManageConnections or ManageExtensions
	// Resource is the ARN arn:aws:execute-api:{region}:{account}:{API ID}/{stage},
	// followed by /$connect or by /{method}/@connections/{connectionId}. As in the
	// service, "{connectionId}" is there literally: a policy cannot name one connection.
	// For ManageExtensions it may also be /{method}/@connections for an audience, and
	// /@connections/{connectionId} may be followed by /state, or by /groups: and the name
	// of the group. Everything in the name but letters and digits of ASCII and -_.~ is
	// escaped as in a URL, a slash as %2F: the * of a policy also matches slashes, so
	// a group must not be able to look like another resource.
	Resource string
	// ConnectionID is the connection of the call, for ManageConnections and
	// ManageExtensions, or "" for an audience. Policies of the service do not see it.
	ConnectionID string
	// Call is the call of @connections: with Call.Action and Call.Audience a Policy of your
	// own can decide more finely than by the path. It is nil for Invoke.
	Call *gateway.ManagementCall
}

// Decision is the decision of a policy. The zero value denies.
type Decision int

// The three decisions.
const (
	ImplicitDeny = Decision(policy.ImplicitDeny) // no statement allows it
	ExplicitDeny = Decision(policy.ExplicitDeny) // a statement denies it, even if another allows it
	Allow        = Decision(policy.Allow)
)

// PolicyDocument is an IAM policy.
type PolicyDocument struct{ document *policy.Document }

// ParsePolicy parses an IAM policy of an identity. It reads Version, Id and Statement,
// and in each statement Sid, Effect, Action or NotAction, Resource or NotResource. Their
// values may contain * and ?.
//
// It returns an error for everything that could allow more than was meant:
//
//   - a Condition that is not empty, and with Version 2012-10-17 a variable such as
//     ${aws:username}, because neither is evaluated;
//   - a Principal, an unknown member, and a member whose name has another case;
//   - a member that occurs twice or is null;
//   - an action that is neither * nor of the form execute-api:Invoke;
//   - a resource that begins with neither arn: nor *.
//
// (IAM: "Grammar of the IAM JSON policy language".)
func ParsePolicy(document []byte) (*PolicyDocument, error) {
	d, err := policy.Parse(json.RawMessage(document))
	if err != nil {
		return nil, fmt.Errorf("iam: policy: %w", err)
	}
	return &PolicyDocument{d}, nil
}

// Decide returns the policy's decision about an action on a resource. A nil policy
// denies.
func (p *PolicyDocument) Decide(action, resource string) Decision {
	if p == nil || p.document == nil {
		return ImplicitDeny
	}
	return Decision(p.document.Decide(action, resource))
}

// ByAccessKey returns a Policy that looks up the caller's document by access key ID.
// Callers without a document may do nothing. The map must not change afterwards.
func ByAccessKey(documents map[string]*PolicyDocument) Policy {
	return func(_ context.Context, a Access) (Decision, error) {
		return documents[a.Caller.AccessKeyID].Decide(a.Action, a.Resource), nil
	}
}

// Authorize implements [gateway.Authorizer]: authorization type AWS_IAM. The signature
// of the upgrade is in its headers or, from a browser, in its query.
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
	resource := func(path string) string {
		return a.resource(signed, cmp.Or(a.APIID, call.APIID), cmp.Or(a.Stage, call.Stage)+"/"+call.Request.Method+"/@connections"+path)
	}
	access := Access{
		Caller: signed.Caller, Action: ManageConnections, ConnectionID: call.ConnectionID,
		Resource: resource("/{connectionId}"), Call: call,
	}
	if !call.Action.IsExtension() {
		return a.decide(ctx, access)
	}
	if err := a.notDenied(ctx, access); err != nil {
		return err
	}
	access.Action, access.Resource = ManageExtensions, resource(pathOf(call))
	return a.decide(ctx, access)
}

// notDenied refuses what a policy denies explicitly.
func (a *Auth) notDenied(ctx context.Context, access Access) error {
	decision, err := a.Policy(ctx, access)
	switch {
	case err != nil:
		return fmt.Errorf("iam: policy: %w", err)
	case decision != Allow && decision != ImplicitDeny:
		return &deniedError{access, decision}
	}
	return nil
}

// pathOf returns what stands behind @connections in the resource of a call that the service
// does not have. No pattern that ends in the last segment of one kind of resource matches
// another kind, whatever the name of a group: the last segment of a membership is groups:
// and the name, in which no slash is left.
func pathOf(call *gateway.ManagementCall) string {
	switch call.Action {
	case gateway.ActionJoin, gateway.ActionLeave:
		return "/{connectionId}/groups:" + apicall.Escape(call.Group)
	case gateway.ActionGetState, gateway.ActionSetState:
		return "/{connectionId}/state"
	default:
		return ""
	}
}

var errNoUpgrade = errors.New("iam: the Request has no Upgrade: only the Request of $connect has one")

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

// refused marks a refusal of sigv4 as forbidden: it is the caller's fault.
func refused(err error) error {
	var own *sigv4.Error
	if errors.As(err, &own) {
		return fmt.Errorf("%w: %w", gateway.ErrForbidden, err)
	}
	return err
}

// deniedError is a refusal by the policy. It has the service's text.
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

// masked returns an ARN in which only the last four digits of the account can be read,
// as the service does.
func masked(arn string) string {
	fields := strings.SplitN(arn, ":", 6)
	if account := fields[4]; len(account) == 12 {
		fields[4] = "********" + account[8:]
	}
	return strings.Join(fields, ":")
}
