package controlplane

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"example.com/gateway"
	"example.com/gateway/lambda"
)

// This file makes what decides about a client: authorizers and API keys.

// admission sets what $connect asks of a client.
func (b *builder) admission(r *gateway.Route, doc document) {
	r.Authorizer = b.authorizer(doc)
	if r.APIKeyRequired = boolOf(doc, "apiKeyRequired"); r.APIKeyRequired &&
		textOf(b.snapshot.API, "apiKeySelectionExpression") == apiKeyAuthorizer && r.Authorizer == nil {
		r.Authorizer = b.denying("$connect takes its API key from the authorizer, and there is none: set authorizerId, or change apiKeySelectionExpression")
	}
	parameters := objectOf(doc, "requestParameters")
	if len(parameters) > 0 {
		r.RequestParameters = make(map[string]bool, len(parameters))
	}
	for name := range parameters {
		r.RequestParameters[name] = boolOf(objectOf(parameters, name), "required")
	}
}

// authorizer makes the authorizer of $connect, or nil if it has none.
func (b *builder) authorizer(route document) gateway.Authorizer {
	switch kind := textOf(route, "authorizationType"); kind {
	case "", "NONE":
		return nil
	case "AWS_IAM":
		if a, ok := b.cfg.Auth.(gateway.Authorizer); ok {
			return a
		}
		return b.denying("$connect has the authorization type AWS_IAM, and nothing can check signatures: set Config.Auth to an *iam.Auth")
	case "CUSTOM":
		id := textOf(route, "authorizerId")
		for _, doc := range b.snapshot.Authorizers {
			if textOf(doc, "authorizerId") == id {
				return b.requestAuthorizer(id, doc)
			}
		}
		return b.denying(fmt.Sprintf("$connect has the authorizer %q, which does not exist", id))
	default:
		return b.denying(fmt.Sprintf("$connect has the authorization type %q: use NONE, AWS_IAM or CUSTOM", kind))
	}
}

// requestAuthorizer makes an authorizer of the type REQUEST.
func (b *builder) requestAuthorizer(id string, doc document) gateway.Authorizer {
	a := lambda.NewAuthorizer(b.function("authorizer "+id, textOf(doc, "authorizerUri"), 0))
	a.Region, a.AccountID = b.cfg.Region, b.cfg.AccountID
	return &gateway.RequestAuthorizer{Authorizer: a, IdentitySource: listOf(doc, "identitySource")}
}

// denying returns an authorizer that denies everybody, and warns of it.
func (b *builder) denying(why string) gateway.Authorizer {
	b.warn("nobody can connect: %s", why)
	return &denial{why}
}

// denial denies everybody.
type denial struct{ why string }

// Authorize implements [gateway.Authorizer].
func (d *denial) Authorize(context.Context, *gateway.Request) (*gateway.Authorization, error) {
	return nil, fmt.Errorf("%w: %s", gateway.ErrForbidden, d.why)
}

// bothStages asks for the stage of the connection, and for the stage that the URL of the
// call names, as the service does: a caller needs a permission for both.
type bothStages struct{ gateway.ManagementAuth }

// AuthorizeManagement implements [gateway.ManagementAuth].
func (b bothStages) AuthorizeManagement(ctx context.Context, call *gateway.ManagementCall) error {
	if err := b.ManagementAuth.AuthorizeManagement(ctx, call); err != nil {
		return err
	}
	name, other := ctx.Value(stageOfURL{}).(string)
	if !other {
		return nil
	}
	again := *call
	again.Stage = name
	return b.ManagementAuth.AuthorizeManagement(ctx, &again)
}

// failing is an integration that cannot run here.
type failing struct{ err error }

// Invoke implements [gateway.Integration]: a $connect gets 500, a message the error frame
// Internal server error.
func (f *failing) Invoke(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
	return nil, &gateway.IntegrationError{RouteKey: req.RouteKey, StatusCode: http.StatusInternalServerError, Err: f.err}
}

// noAPIKeys is the usage store of a stage for which the program has given none.
type noAPIKeys struct {
	log  *slog.Logger // nil: nothing is logged
	once sync.Once
}

// FindAPIKey implements [gateway.UsageStore].
func (n *noAPIKeys) FindAPIKey(ctx context.Context, _ string) (gateway.APIKey, error) {
	if n.log != nil {
		n.once.Do(func() {
			n.log.WarnContext(ctx, "no client can connect, because $connect requires an API key and there are none", "fix", "add gateway.WithUsageStore to Config.Gateway")
		})
	}
	return gateway.APIKey{}, fmt.Errorf("%w: there are no API keys", gateway.ErrForbidden)
}
