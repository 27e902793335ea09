package controlplane_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
	"example.com/gateway/internal/wsconn"
)

// live serves a Server on loopback.
type live struct {
	*client
	url string
}

func newLive(t *testing.T) *live {
	t.Helper()
	c := newClient(t, controlplane.Config{})
	srv := httptest.NewServer(c.server)
	t.Cleanup(srv.Close)
	return &live{c, "ws" + strings.TrimPrefix(srv.URL, "http")}
}

func (l *live) dial(path string) *wsconn.Client {
	l.t.Helper()
	ws, _, err := wsconn.Dial(l.t.Context(), l.url+path, wsconn.DialOptions{}) //nolint:bodyclose // Dial says that it needs no closing
	require.NoError(l.t, err)
	l.t.Cleanup(func() { ws.CloseNow() })
	return ws
}

// ask sends a message for $default, and returns the answer.
func (l *live) ask(ws *wsconn.Client) string {
	l.t.Helper()
	require.NoError(l.t, ws.Write(l.t.Context(), []byte("{}"), true))
	answer, _, err := ws.Read(l.t.Context())
	require.NoError(l.t, err)
	return string(answer)
}

// says makes an integration that answers every message with a text, and returns its ID.
func (c *client) says(api, text string) string {
	c.t.Helper()
	id := textOf(c.must(201, "POST", api+"/integrations", document{
		"integrationType": "MOCK", "templateSelectionExpression": "\\$default", "requestTemplates": document{"$default": `{"statusCode":200}`},
	}), "integrationId")
	c.must(201, "POST", api+"/integrations/"+id+"/integrationresponses", document{
		"integrationResponseKey": "$default", "templateSelectionExpression": "\\$default", "responseTemplates": document{"$default": text},
	})
	return id
}

// twoWay makes the route $default, which answers with a text, and returns its ID.
func (c *client) twoWay(api, text string) string {
	c.t.Helper()
	id := textOf(c.must(201, "POST", api+"/routes", document{"routeKey": "$default", "target": "integrations/" + c.says(api, text), "routeResponseSelectionExpression": "$default"}), "routeId")
	c.must(201, "POST", api+"/routes/"+id+"/routeresponses", document{"routeResponseKey": "$default"})
	return id
}

// A change of the API has no effect before it is deployed and the stage uses the
// deployment. Then open connections follow. The stage goes back to an older deployment,
// and ends its connections when it is deleted.
func TestDeployment_Life(t *testing.T) {
	t.Parallel()
	l := newLive(t)
	api := l.api()
	route := l.twoWay(api, "one")
	first := l.deployment(api)
	l.must(201, "POST", api+"/stages", document{"stageName": "prod", "deploymentId": first})
	ws := l.dial(strings.TrimPrefix(api, "/apis") + "/prod")
	require.Equal(t, "one", l.ask(ws))
	l.must(200, "PATCH", api+"/routes/"+route, document{"target": "integrations/" + l.says(api, "two")})
	require.Equal(t, "one", l.ask(ws))
	second := l.deployment(api)
	require.Equal(t, "one", l.ask(ws))
	l.must(200, "PATCH", api+"/stages/prod", document{"deploymentId": second})
	require.Equal(t, "two", l.ask(ws))
	l.must(204, "DELETE", api+"/routes/"+route, nil)
	l.must(200, "PATCH", api+"/stages/prod", document{"deploymentId": first})
	require.Equal(t, "one", l.ask(ws))
	l.twoWay(api, "three")
	third := l.must(201, "POST", api+"/deployments", document{"stageName": "prod", "description": "d"})
	require.NotContains(t, third, "stageName")
	require.Equal(t, third["deploymentId"], l.must(200, "GET", api+"/stages/prod", nil)["deploymentId"])
	require.Equal(t, "three", l.ask(ws))
	l.must(204, "DELETE", api+"/deployments/"+first, nil)
	l.must(204, "DELETE", api+"/stages/prod", nil)
	_, _, err := ws.Read(t.Context())
	require.ErrorContains(t, err, "StatusGoingAway")
}

// A custom domain name leads to the stage of its mapping as soon as there is one.
func TestDeployment_DomainName(t *testing.T) {
	t.Parallel()
	l := newLive(t)
	api := l.api()
	l.twoWay(api, "one")
	l.must(201, "POST", api+"/stages", document{"stageName": "prod", "deploymentId": l.deployment(api)})
	dial := func() (*wsconn.Client, error) {
		ws, _, err := wsconn.Dial(t.Context(), l.url+"/chat", wsconn.DialOptions{Host: "ws.example.com"}) //nolint:bodyclose // Dial says that it needs no closing
		return ws, err
	}
	_, err := dial()
	require.Error(t, err)
	l.must(201, "POST", "/domainnames", document{"domainName": "ws.example.com"})
	l.must(201, "POST", "/domainnames/ws.example.com/apimappings", document{"apiId": strings.TrimPrefix(api, "/apis/"), "stage": "prod", "apiMappingKey": "chat"})
	ws, err := dial()
	require.NoError(t, err)
	defer ws.CloseNow()
	require.Equal(t, "one", l.ask(ws))
	l.must(204, "DELETE", "/domainnames/ws.example.com", nil)
	_, err = dial()
	require.Error(t, err)
}

// A deployment needs a route. One that does not work says why, and no stage uses it.
func TestDeployment_Fails(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	api := c.api()
	c.refused(400, "BadRequestException", "At least one route is required before deploying the Api", "POST", api+"/deployments", document{})
	c.must(201, "POST", api+"/stages", document{"stageName": "prod"})
	route := c.twoWay(api, "one")
	model := textOf(c.must(201, "POST", api+"/models", document{"name": "m", "schema": "{"}), "modelId")
	failed := c.must(201, "POST", api+"/deployments", document{"stageName": "prod"})
	require.Equal(t, "FAILED", failed["deploymentStatus"])
	require.NotEmpty(t, failed["deploymentStatusMessage"])
	require.NotContains(t, c.must(200, "GET", api+"/stages/prod", nil), "deploymentId")
	c.refused(400, "BadRequestException", fmt.Sprintf("The deployment %s has failed, so no stage can use it: %s", failed["deploymentId"], failed["deploymentStatusMessage"]),
		"PATCH", api+"/stages/prod", document{"deploymentId": failed["deploymentId"]})
	c.must(204, "DELETE", api+"/models/"+model, nil)

	c.must(200, "PATCH", api+"/routes/"+route, document{"target": "integrations/" + c.says(api, "#if(")})
	deployed := c.must(201, "POST", api+"/deployments", document{"stageName": "prod"})
	require.Equal(t, "DEPLOYED", deployed["deploymentStatus"], "only the route does not work")
	require.Equal(t, deployed["deploymentId"], c.must(200, "GET", api+"/stages/prod", nil)["deploymentId"])
}

// lateStages is a store that lets others run between a commit and its end.
type lateStages struct {
	controlplane.Store
	committed func()
}

func (s lateStages) Update(f func(controlplane.Writer) error) error {
	err := s.Store.Update(f)
	s.committed()
	return err
}

// Whoever reads that a stage has a deployment can connect: the stage does what the answer says.
func TestDeployment_ServedWhenAnswered(t *testing.T) {
	t.Parallel()
	reader := make(chan func(), 1)
	c := newClient(t, controlplane.Config{Store: lateStages{controlplane.NewMemory(), func() {
		select {
		case read := <-reader:
			go read()
			for range 100_000 {
				runtime.Gosched()
			}
		default:
		}
	}}})
	api := c.api()
	c.route(api, "a")
	c.must(201, "POST", api+"/stages", document{"stageName": "prod"})
	connect := func() int { // not as an upgrade: a stage that serves says so
		return c.send(c.request("GET", "/"+strings.TrimPrefix(api, "/apis/")+"/prod", nil)).status
	}
	require.Equal(t, http.StatusForbidden, connect(), "not deployed")
	connected := make(chan int, 1)
	reader <- func() {
		for c.do("GET", api+"/stages/prod", nil).body["deploymentId"] == nil {
			runtime.Gosched()
		}
		connected <- connect()
	}
	c.must(201, "POST", api+"/deployments", document{"stageName": "prod"})
	require.Equal(t, http.StatusUpgradeRequired, <-connected)
}

// A stage with autoDeploy gets a deployment 50 ms after a change, and one for all changes
// in that time. A deployment that fails leaves the stage as it is.
func TestAutoDeploy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, err := controlplane.New(controlplane.Config{})
		require.NoError(t, err)
		defer func() { require.NoError(t, server.Shutdown(context.Background())) }()
		c := &client{t, server}
		wait := func() {
			time.Sleep(50 * time.Millisecond) //nolint:forbidigo // in a bubble
			synctest.Wait()
		}
		api := c.api()
		require.Equal(t, true, c.must(201, "POST", api+"/stages", document{"stageName": "prod", "autoDeploy": true})["autoDeploy"])
		wait()
		require.Empty(t, c.must(200, "GET", api+"/deployments", nil)["items"], "no route yet")
		route := c.twoWay(api, "one")
		c.route(api, "a")
		require.Empty(t, c.must(200, "GET", api+"/deployments", nil)["items"])
		wait()
		deployments := c.must(200, "GET", api+"/deployments", nil)["items"].([]any)
		require.Len(t, deployments, 1)
		made := deployments[0].(document)
		require.Equal(t, true, made["autoDeployed"])
		require.Equal(t, "Automatic deployment triggered by changes to the Api configuration", made["description"])
		stage := c.must(200, "GET", api+"/stages/prod", nil)
		require.Equal(t, made["deploymentId"], stage["deploymentId"])
		require.Equal(t, "Successfully deployed stage with deployment ID '"+textOf(made, "deploymentId")+"'", stage["lastDeploymentStatusMessage"])
		c.refused(400, "BadRequestException", "DeploymentId cannot be set for a stage whose AutoDeploy is true", "PATCH", api+"/stages/prod", document{"deploymentId": c.deployment(api)})

		c.must(200, "PATCH", api+"/stages/prod", document{"stageVariables": document{"a": "b"}})
		c.must(200, "PATCH", api+"/routes/"+route, document{"operationName": "x"})
		c.must(200, "PATCH", api+"/routes/"+route, document{"operationName": ""})
		wait()
		require.Equal(t, made["deploymentId"], c.must(200, "GET", api+"/stages/prod", nil)["deploymentId"], "the draft is what the stage has")

		broken := textOf(c.must(201, "POST", api+"/models", document{"name": "m", "schema": "{"}), "modelId")
		wait()
		stage = c.must(200, "GET", api+"/stages/prod", nil)
		require.Equal(t, made["deploymentId"], stage["deploymentId"])
		require.Contains(t, stage["lastDeploymentStatusMessage"], "Failed to deploy stage with deployment ID '")
		c.must(204, "DELETE", api+"/models/"+broken, nil)
		for n := range 30 {
			c.must(200, "PATCH", api+"/routes/"+route, document{"operationName": fmt.Sprint(n)})
			wait()
		}
		require.Len(t, c.must(200, "GET", api+"/deployments", nil)["items"], 22, "20 old ones, the stage's, and the one made by hand")
		c.must(200, "PATCH", api+"/routes/"+route, document{"operationName": "last"})
		c.must(204, "DELETE", api, nil)
		wait()
	})
}

// After Shutdown nothing changes, and an automatic deployment that was due is not made.
func TestShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, err := controlplane.New(controlplane.Config{})
		require.NoError(t, err)
		c := &client{t, server}
		api := c.api()
		c.must(201, "POST", api+"/stages", document{"stageName": "prod", "autoDeploy": true})
		c.route(api, "a")
		require.NoError(t, server.Shutdown(t.Context()))
		time.Sleep(time.Second) //nolint:forbidigo // in a bubble
		require.Empty(t, c.must(200, "GET", api+"/deployments", nil)["items"])
		c.refused(503, "ServiceUnavailableException", "The server is shutting down", "DELETE", api, nil)
		require.Error(t, server.Apply(t.Context(), nil))
	})
}

// definition is an API as a definition describes it.
func definition(answer string) []controlplane.Call {
	return []controlplane.Call{
		{Path: "/v2/apis/chat", LogicalID: "Chat", Body: document{"name": "chat", "protocolType": "WEBSOCKET", "routeSelectionExpression": "$request.body.action"}},
		{Path: "/v2/apis/chat/routes/default", LogicalID: "Default", Body: document{"routeKey": "$default", "target": "integrations/mock", "routeResponseSelectionExpression": "$default"}},
		{Path: "/v2/apis/chat/routes/default/routeresponses/r", LogicalID: "Response", Body: document{"routeResponseKey": "$default"}},
		{Path: "/v2/apis/chat/integrations/mock", LogicalID: "Mock", Body: document{"integrationType": "MOCK", "timeoutInMillis": 1000, "templateSelectionExpression": "\\$default", "requestTemplates": document{"$default": `{"statusCode":200}`}}},
		{Path: "/v2/apis/chat/integrations/mock/integrationresponses/r", LogicalID: "MockResponse", Body: document{"integrationResponseKey": "$default", "templateSelectionExpression": "\\$default", "responseTemplates": document{"$default": answer}}},
		{Path: "/v2/apis/chat/deployments/d", LogicalID: "Deployment", Body: document{}},
		{Path: "/v2/apis/chat/stages/prod", LogicalID: "Stage", Body: document{"deploymentId": "d"}},
	}
}

// A definition that is applied again changes what differs: clients stay connected, and
// what the definition lacks is gone. What the REST API made stays.
func TestApply(t *testing.T) {
	t.Parallel()
	l := newLive(t)
	other := l.api()
	require.NoError(t, l.server.Apply(t.Context(), definition("one")))
	stage := l.must(200, "GET", "/apis/chat/stages/prod", nil)
	ws := l.dial("/chat/prod")
	require.Equal(t, "one", l.ask(ws))
	require.NoError(t, l.server.Apply(t.Context(), definition("one")))
	require.Equal(t, stage, l.must(200, "GET", "/apis/chat/stages/prod", nil))
	require.NoError(t, l.server.Apply(t.Context(), definition("two")))
	require.Equal(t, "two", l.ask(ws))
	require.Equal(t, number("1000"), l.must(200, "GET", "/apis/chat/integrations/mock", nil)["timeoutInMillis"])

	backwards := definition("three")
	for n := range len(backwards) / 2 {
		backwards[n], backwards[len(backwards)-1-n] = backwards[len(backwards)-1-n], backwards[n]
	}
	require.NoError(t, l.server.Apply(t.Context(), backwards), "the order does not matter")
	require.Equal(t, "three", l.ask(ws))

	auto := definition("four")
	auto = append(auto[:5], controlplane.Call{Path: "/v2/apis/chat/stages/prod", Body: document{"stageName": "prod", "autoDeploy": true}})
	require.NoError(t, l.server.Apply(t.Context(), auto))
	require.Equal(t, "four", l.ask(ws), "deployed when Apply returns")
	deployed := l.must(200, "GET", "/apis/chat/stages/prod", nil)["deploymentId"]
	require.NoError(t, l.server.Apply(t.Context(), auto))
	require.Equal(t, deployed, l.must(200, "GET", "/apis/chat/stages/prod", nil)["deploymentId"])
	l.refused(404, "NotFoundException", "Invalid Deployment identifier specified", "GET", "/apis/chat/deployments/d", nil)

	require.NoError(t, l.server.Apply(t.Context(), nil))
	_, _, err := ws.Read(t.Context())
	require.ErrorContains(t, err, "StatusGoingAway")
	l.refused(404, "NotFoundException", "Invalid API identifier specified 123456789012:chat", "GET", "/apis/chat", nil)
	l.must(200, "GET", other, nil)
}

// Routes may exchange their keys, and a definition may describe a route anew under
// another ID.
func TestApply_Exchange(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	routes := func(keys map[string]string) (calls []controlplane.Call) {
		calls = definition("x")[:1]
		for id, key := range keys {
			calls = append(calls, controlplane.Call{Path: "/v2/apis/chat/routes/" + id, Body: document{"routeKey": key}})
		}
		return calls
	}
	for _, keys := range []map[string]string{{"a": "1", "b": "2"}, {"a": "2", "b": "1"}, {"c": "1", "b": "2"}} {
		require.NoError(t, c.server.Apply(t.Context(), routes(keys)))
		items := c.must(200, "GET", "/apis/chat/routes", nil)["items"].([]any)
		require.Len(t, items, 2)
		for _, item := range items {
			require.Equal(t, keys[textOf(item.(document), "routeId")], textOf(item.(document), "routeKey"))
		}
	}
}

// An Apply that fails names the call, and changes nothing.
func TestApply_Fails(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	require.NoError(t, c.server.Apply(t.Context(), definition("one")))
	state := func() string {
		var all []string
		for _, path := range []string{"/apis", "/apis/chat/routes", "/apis/chat/integrations", "/apis/chat/stages", "/apis/chat/deployments", "/apis/chat/integrations/mock/integrationresponses"} {
			all = append(all, c.do("GET", path, nil).text)
		}
		return strings.Join(all, "\n")
	}
	before := state()
	change := func(n int, member string, value any) []controlplane.Call {
		calls := definition("two")
		calls[n].Body[member] = value
		return calls
	}
	twice := append(definition("two"), definition("two")[1])
	badPath := append(definition("two"), controlplane.Call{Path: "/v2/apis/chat/routes/a%2Fb", LogicalID: "Slash"})
	noID := append(definition("two"), controlplane.Call{Path: "/v2/apis/chat/routes", LogicalID: "NoID"})
	otherName := change(6, "stageName", "test")
	noParent := []controlplane.Call{definition("two")[1]}
	for text, calls := range map[string][]controlplane.Call{
		"controlplane: Default: NotFoundException: Invalid Integration identifier specified":                       change(1, "target", "integrations/nope"),
		"controlplane: Chat: BadRequestException: Name must be a string, and not a number":                         change(0, "name", 7),
		"controlplane: Default: another call makes the same resource":                                              twice,
		"controlplane: Slash: the path /v2/apis/chat/routes/a%2Fb has a bad segment \"a%2Fb\"":                     badPath,
		"controlplane: NoID: /v2/apis/chat/routes is not the path of a resource that ends in its ID":               noID,
		"controlplane: Stage: the path names prod, and the body another stageName":                                 otherName,
		"controlplane: Default: NotFoundException: Invalid API identifier specified 123456789012:chat":             noParent,
		"controlplane: Stage: NotFoundException: Invalid Deployment identifier specified":                          change(6, "deploymentId", "nope"),
		"controlplane: MockResponse: BadRequestException: IntegrationResponseKey must be a string, and not a list": change(4, "integrationResponseKey", []any{}),
	} {
		require.EqualError(t, c.server.Apply(t.Context(), calls), text)
		require.Equal(t, before, state())
	}
	require.ErrorContains(t, c.server.Apply(t.Context(), definition("#if(")), "controlplane: Deployment: ")
	require.Equal(t, before, state())
	automatic := definition("#if(")
	automatic = append(automatic[:5], controlplane.Call{Path: "/v2/apis/chat/stages/auto", LogicalID: "Auto", Body: document{"autoDeploy": true}})
	require.ErrorContains(t, c.server.Apply(t.Context(), automatic), `controlplane: Auto: gateway: invalid option: route "$default"`)
	require.Equal(t, before, state())
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, c.server.Apply(canceled, nil), context.Canceled)
	text, err := json.Marshal(definition("one")[0])
	require.NoError(t, err)
	require.Contains(t, string(text), "chat")
}
