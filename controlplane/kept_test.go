package controlplane_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/controlplane"
	"example.com/gateway/lambda"
)

// renewed is a definition whose deployment has another ID.
func renewed(answer, deployment string) []controlplane.Call {
	calls := definition(answer)
	calls[5].Path = "/v2/apis/chat/deployments/" + deployment
	calls[6].Body["deploymentId"] = deployment
	return calls
}

// What a former definition made stays as long as something of the REST API uses it: a stage
// its deployment, a domain name its stage, a route its integration. Then it is deleted.
func TestApply_KeepsWhatIsUsed(t *testing.T) {
	t.Parallel()
	log := &bytes.Buffer{}
	c := newClient(t, controlplane.Config{Logger: slog.New(slog.NewTextHandler(log, nil))})
	require.NoError(t, c.server.Apply(t.Context(), renewed("one", "d1")))
	c.must(201, "POST", "/apis/chat/stages", document{"stageName": "mine", "deploymentId": "d1"})

	require.NoError(t, c.server.Apply(t.Context(), renewed("two", "d2")))
	require.Equal(t, "d1", c.must(200, "GET", "/apis/chat/stages/mine", nil)["deploymentId"])
	c.must(200, "GET", "/apis/chat/deployments/d1", nil)
	c.must(200, "PATCH", "/apis/chat/stages/mine", document{"description": "still works"})
	require.Contains(t, log.String(), "apis/chat/deployments/d1")
	require.Contains(t, log.String(), "Active stages pointing to this deployment must be moved or deleted")

	require.NoError(t, c.server.Apply(t.Context(), renewed("three", "d3")))
	c.must(200, "GET", "/apis/chat/deployments/d1", nil)
	require.Equal(t, 404, c.do("GET", "/apis/chat/deployments/d2", nil).status)
	c.must(204, "DELETE", "/apis/chat/stages/mine", nil)
	require.NoError(t, c.server.Apply(t.Context(), renewed("three", "d3")))
	require.Equal(t, 404, c.do("GET", "/apis/chat/deployments/d1", nil).status, "nothing uses it any more")

	c.must(201, "POST", "/domainnames", document{"domainName": "ws.example.com"})
	mapping := textOf(c.must(201, "POST", "/domainnames/ws.example.com/apimappings", document{"apiId": "chat", "stage": "prod"}), "apiMappingId")
	c.must(201, "POST", "/apis/chat/routes", document{"routeKey": "mine", "target": "integrations/mock"})
	require.NoError(t, c.server.Apply(t.Context(), nil))
	for _, path := range []string{"", "/stages/prod", "/deployments/d3", "/integrations/mock"} {
		c.must(200, "GET", "/apis/chat"+path, nil)
	}
	require.Equal(t, 404, c.do("GET", "/apis/chat/routes/default", nil).status, "nothing uses a route")
	c.must(204, "DELETE", "/domainnames/ws.example.com/apimappings/"+mapping, nil)
	require.NoError(t, c.server.Apply(t.Context(), nil))
	require.Equal(t, 404, c.do("GET", "/apis/chat", nil).status)
}

// A stage that turns to autoDeploy serves its old deployment until the new one is there.
func TestApply_TurnsToAutoDeploy(t *testing.T) {
	t.Parallel()
	l := newLive(t)
	require.NoError(t, l.server.Apply(t.Context(), definition("one")))
	ws := l.dial("/chat/prod")
	auto := append(definition("two")[:5], controlplane.Call{Path: "/v2/apis/chat/stages/prod", Body: document{"autoDeploy": true}})
	require.NoError(t, l.server.Apply(t.Context(), auto))
	require.Equal(t, "two", l.ask(ws))
	require.NoError(t, l.server.Apply(t.Context(), auto))
	require.Equal(t, 404, l.do("GET", "/apis/chat/deployments/d", nil).status)
}

// asking is a resolver that asks the Server about its stages, and the store.
type asking struct {
	server *controlplane.Server
	store  controlplane.Store
	asked  int
}

func (a *asking) ResolveFunction(string) (lambda.Invoker, error) {
	if a.server != nil {
		a.asked++
		if _, err := a.server.Stages(""); err != nil {
			return nil, err
		}
	}
	_ = a.store.View(func(controlplane.Reader) error { return nil })
	return nil, controlplane.ErrUnknownFunction
}

// A missing function is told once, when a stage would call it: not for the deployment, and
// not again. The resolver may read what the Server has.
func TestResolver_IsAskedOutsideOfTheStore(t *testing.T) {
	t.Parallel()
	log := &bytes.Buffer{}
	a := &asking{store: controlplane.NewMemory()}
	c := newClient(t, controlplane.Config{Store: a.store, Functions: a, Logger: slog.New(slog.NewTextHandler(log, nil))})
	a.server = c.server
	calls := definition("x")
	calls[3].Body, calls = document{"integrationType": "AWS_PROXY", "integrationUri": functionURI}, append(calls[:4], calls[5:]...)
	require.NoError(t, c.server.Apply(t.Context(), calls))
	require.Equal(t, 1, a.asked)
	require.Equal(t, 1, strings.Count(log.String(), "until there is the function"), log)
	c.must(201, "POST", "/apis/chat/deployments", document{"stageName": "prod"})
	require.Equal(t, 1, strings.Count(log.String(), "until there is the function"), log)
}

// A function of the program that cannot be called is told, as one that is missing.
func TestFunctions_Validate(t *testing.T) {
	t.Parallel()
	log := &bytes.Buffer{}
	c := newClient(t, controlplane.Config{
		Functions: controlplane.Functions{"f": &lambda.Function{Name: "f"}}, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	calls := definition("x")
	calls[3].Body, calls = document{"integrationType": "AWS_PROXY", "integrationUri": functionURI}, append(calls[:4], calls[5:]...)
	require.NoError(t, c.server.Apply(t.Context(), calls))
	require.Contains(t, log.String(), "has no URL: set it to an endpoint of the Invoke API")
}

// panicking is a ControlAuth with a mistake.
type panicking struct{}

func (panicking) AuthorizeManagement(context.Context, *gateway.ManagementCall) error {
	panic("the keys are missing")
}

// A panic of ControlAuth is an error of the server, and the log has its value and its place.
func TestControlAuth_Panic(t *testing.T) {
	t.Parallel()
	log := &bytes.Buffer{}
	c := newClient(t, controlplane.Config{ControlAuth: panicking{}, Logger: slog.New(slog.NewTextHandler(log, nil))})
	a := c.do("GET", "/apis", nil)
	require.Equal(t, 500, a.status)
	require.NotContains(t, a.text, "keys")
	require.Contains(t, log.String(), "the keys are missing")
	require.Contains(t, log.String(), "AuthorizeManagement")
}
