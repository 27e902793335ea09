package definition_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
	"example.com/gateway/definition"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/lambda"
)

// stub answers for all functions of a definition: "NAME ROUTE STAGE" to a message, 200 to
// $connect, and Allow as an authorizer.
type stub struct{ events chan string }

// ResolveFunction implements [controlplane.FunctionResolver].
func (s *stub) ResolveFunction(uri string) (lambda.Invoker, error) {
	name, err := controlplane.ParseFunctionName(uri)
	if err != nil {
		return nil, err
	}
	return lambda.NewInvoker(func(event map[string]any) (map[string]any, error) {
		if event["type"] == "REQUEST" {
			arn, _ := event["methodArn"].(string)
			return map[string]any{"principalId": "ann", "policyDocument": lambda.PolicyFor("Allow", arn)}, nil
		}
		about, _ := event["requestContext"].(map[string]any)
		if about == nil {
			about = map[string]any{"routeKey": "templated"} // of an integration with a template
		}
		text := fmt.Sprintf("%s %v %v", name.Name, about["routeKey"], about["stage"])
		select {
		case s.events <- text:
		default:
		}
		return map[string]any{"statusCode": 200, "body": text}, nil
	}), nil
}

// applied is a control plane with a definition, and clients for it.
type applied struct {
	*gatewaytest.Service
	server *controlplane.Server
	stub   *stub
}

func newApplied(t *testing.T) *applied {
	t.Helper()
	s := &stub{events: make(chan string, 100)}
	server, err := controlplane.New(controlplane.Config{Functions: s, Hosts: []string{"gateway.test"}, Strict: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Shutdown(context.Background())) })
	return &applied{Service: gatewaytest.ServeHandler(t, server), server: server, stub: s}
}

func (a *applied) apply(t *testing.T, d *definition.Definition) {
	t.Helper()
	var calls []controlplane.Call
	for _, c := range d.Calls() {
		calls = append(calls, controlplane.Call(c))
	}
	require.NoError(t, a.server.Apply(t.Context(), calls), "%s", toJSON(t, calls))
}

// heard waits for the next event of a function.
func (a *applied) heard(t *testing.T) string {
	t.Helper()
	select {
	case text := <-a.stub.events:
		return text
	case <-time.After(10 * time.Second):
		require.FailNow(t, "no function got an event")
		return ""
	}
}

// try connects to the first API of a definition, and sends a message for each of its routes
// to a function.
func (a *applied) try(t *testing.T, d *definition.Definition) {
	t.Helper()
	api := d.APIs[0]
	require.NotEmpty(t, api.Stages)
	for _, domain := range d.Domains {
		for _, mapping := range domain.Mappings {
			key, _ := mapping.Fields["apiMappingKey"].(string)
			a.Dial(t, gatewaytest.Header("Host", domain.ID), gatewaytest.Path("/"+key), gatewaytest.Header("Auth", "x"))
			require.Contains(t, a.heard(t), " $connect ")
		}
	}
	expression, _ := api.Fields["routeSelectionExpression"].(string)
	key := strings.TrimPrefix(expression, "$request.body.")
	c := a.Dial(t, gatewaytest.Path("/"+api.ID+"/"+api.Stages[0].ID),
		gatewaytest.Header("Auth", "x"), gatewaytest.Header("token", "x"), gatewaytest.Query("Authorizer", "x"), gatewaytest.Query("key", "x"))
	tried := 0
	for _, r := range api.Routes {
		route, _ := r.Fields["routeKey"].(string)
		if integration := targetOf(&api, &r); integration == nil || !strings.Contains(toJSON(t, integration.Fields), ":lambda:path/") {
			continue
		}
		tried++
		switch route {
		case "$connect":
			require.Contains(t, a.heard(t), " $connect ")
		case "$disconnect":
			defer func() { require.Contains(t, a.heard(t), " $disconnect ") }()
			defer c.Close(1000, "")
		default:
			c.Send(fmt.Sprintf(`{%q: %q}`, key, route))
			heard := a.heard(t)
			if len(r.Responses) > 0 {
				require.Equal(t, heard, c.Receive())
			}
		}
	}
	t.Logf("%d of %d routes call a function", tried, len(api.Routes))
}

func targetOf(api *definition.API, r *definition.Route) *definition.Integration {
	target, _ := r.Fields["target"].(string)
	for i := range api.Integrations {
		if "integrations/"+api.Integrations[i].ID == target {
			return &api.Integrations[i]
		}
	}
	return nil
}

// All shapes run: the control plane takes their calls, a client connects, and each route
// that names a function calls it.
func TestShapes_applied(t *testing.T) {
	t.Parallel()
	for _, name := range shapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := definition.Load(filepath.Join("testdata", "shapes", name), definition.Options{WorkDir: t.TempDir()})
			require.NoError(t, err)
			a := newApplied(t)
			a.apply(t, d)
			a.apply(t, d) // the same again changes nothing
			a.try(t, d)
		})
	}
}

// A file that has changed changes its API in place: the client stays connected, and its next
// message has the new route, integration and stage variable.
func TestDefinition_changed(t *testing.T) {
	t.Parallel()
	template := `
Resources:
  Chat: {Type: AWS::ApiGatewayV2::Api, Properties: {Name: chat, ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.body.action}}
  One: {Type: AWS::Lambda::Function, Properties: {FunctionName: one, Code: code, Handler: app.handler, Runtime: nodejs22.x}}
  Two: {Type: AWS::Lambda::Function, Properties: {FunctionName: two, Code: code, Handler: app.handler, Runtime: nodejs22.x}}
  Integration:
    Type: AWS::ApiGatewayV2::Integration
    Properties: {ApiId: !Ref Chat, IntegrationType: AWS_PROXY, IntegrationUri: !GetAtt One.Arn}
  Default: {Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref Chat, RouteKey: $default, Target: !Sub "integrations/${Integration}"}}
  Answer: {Type: AWS::ApiGatewayV2::RouteResponse, Properties: {ApiId: !Ref Chat, RouteId: !Ref Default, RouteResponseKey: $default}}
  Deployment: {Type: AWS::ApiGatewayV2::Deployment, Properties: {ApiId: !Ref Chat}}
  Stage: {Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Chat, StageName: prod, DeploymentId: !Ref Deployment}}
`
	added := `
  Say: {Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref Chat, RouteKey: say, Target: !Sub "integrations/${Integration}"}}
  SayAnswer: {Type: AWS::ApiGatewayV2::RouteResponse, Properties: {ApiId: !Ref Chat, RouteId: !Ref Say, RouteResponseKey: $default}}
`
	auto := strings.NewReplacer("DeploymentId: !Ref Deployment", "AutoDeploy: true", "  Deployment: {Type: AWS::ApiGatewayV2::Deployment, Properties: {ApiId: !Ref Chat}}\n", "")
	for name, change := range map[string]func(string) string{
		"a deployment": func(text string) string { return text },
		"AutoDeploy":   auto.Replace,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApplied(t)
			before := mustLoad(t, change(template), definition.Options{})
			a.apply(t, before)
			c := a.Dial(t, gatewaytest.Path("/"+before.APIs[0].ID+"/prod"))
			say := func() string { c.Send(`{"action": "say"}`); return c.Receive() }
			require.Equal(t, "one $default prod", say())
			a.apply(t, mustLoad(t, change(template+added), definition.Options{}))
			require.Equal(t, "one say prod", say())
			a.apply(t, mustLoad(t, change(strings.Replace(template+added, "One.Arn", "Two.Arn", 1)), definition.Options{}))
			require.Equal(t, "two say prod", say())
			a.apply(t, before) // back to the first version of the file
			require.Equal(t, "one $default prod", say())
		})
	}
}
