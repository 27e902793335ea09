//go:build unix

package e2e

import (
	"context"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
	"example.com/gateway/internal/wsconn"
)

// The whole life of an API by each of the published clients, with its real signer: made,
// deployed, used by a WebSocket client, changed, deployed again under an open connection,
// and deleted. Together they call what docs/clients.md says.
func TestControlPlane_Life(t *testing.T) {
	outside(t)
	for name, startClient := range controlClients() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &life{t: t, client: name, call: startClient(t), server: startControlPlane(t, controlplane.Config{Functions: controlFunctions()}), called: map[string]bool{}}
			for _, step := range []func(*life){
				(*life).makeAPI, (*life).makeModel, (*life).makeAuthorizer, (*life).makeIntegrations, (*life).makeRoutes, (*life).deploy,
				(*life).chat, (*life).edit, (*life).throttle, (*life).deployAutomatically, (*life).tag, (*life).mapDomain, (*life).page, (*life).refused, (*life).end,
			} {
				step(l)
			}
			require.ElementsMatch(t, documentedOperations(t, "The control plane"), slices.Collect(maps.Keys(l.called)), "the table of docs/clients.md")
		})
	}
}

// documentedOperations returns the operations in the table of a section of docs/clients.md.
func documentedOperations(t *testing.T, section string) (operations []string) {
	t.Helper()
	page, err := os.ReadFile("../../../docs/clients.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), "\n## "+section+"\n")
	require.True(t, found)
	rest, _, _ = strings.Cut(rest, "\n## ")
	for row := range strings.Lines(rest) {
		if strings.HasPrefix(row, "| ") {
			for _, name := range regexp.MustCompile("`([A-Z][A-Za-z]+)`").FindAllStringSubmatch(strings.Split(row, "|")[2], -1) {
				operations = append(operations, name[1])
			}
		}
	}
	require.NotEmpty(t, operations)
	return operations
}

// life is an API, and who makes it.
type life struct {
	t      *testing.T
	client string
	call   controlClient
	server *controlServer
	called map[string]bool // operations that have succeeded

	api                             string
	authorizer, model, proxy, mock  string
	connect, fallback, send, mocked string // routes
	first, second                   string // deployments
	answer, reply                   string // an integration response, a route response of send
	ws                              *peer
}

// do calls an operation, which has to succeed with the status of the service.
func (l *life) do(operation string, args arguments) arguments {
	l.t.Helper()
	o := l.call(l.t, controlCall{"apigatewayv2", l.server.url, operation, args})
	require.Empty(l.t, o.Code, "%s: %s", operation, o.Message)
	want := http.StatusOK
	switch {
	case strings.HasPrefix(operation, "Create"), operation == "TagResource":
		want = http.StatusCreated
	case strings.HasPrefix(operation, "Delete"), operation == "UntagResource":
		want = http.StatusNoContent
	}
	require.Equal(l.t, want, l.server.lastStatus(), operation)
	l.called[operation] = true
	return o.Answer
}

// in is do for an operation of the API.
func (l *life) in(operation string, args arguments) arguments {
	l.t.Helper()
	args["ApiId"] = l.api
	return l.do(operation, args)
}

// refuse calls an operation, which has to fail with an error that the caller can tell by its
// name, and by its type where the client has a type for it.
func (l *life) refuse(code, message, operation string, args arguments) {
	l.t.Helper()
	o := l.call(l.t, controlCall{"apigatewayv2", l.server.url, operation, args})
	require.Equal(l.t, code, o.Code, operation)
	require.Contains(l.t, o.Message, message, operation)
	class := code
	switch {
	case l.client == "AWS CLI":
		class = ""
	case l.client == "AWS SDK for Go" && strings.HasPrefix(operation, "Delete") && code != "NotFoundException":
		class = "GenericAPIError" // the model of the SDK does not say that a delete may be refused
	}
	require.Equal(l.t, class, o.Class, operation)
}

// refuseIn is refuse for an operation of the API.
func (l *life) refuseIn(code, message, operation string, args arguments) {
	l.t.Helper()
	args["ApiId"] = l.api
	l.refuse(code, message, operation, args)
}

func (l *life) makeAPI() {
	api := l.do("CreateApi", arguments{"Name": "chat", "ProtocolType": "WEBSOCKET", "RouteSelectionExpression": "$request.body.action", "Tags": arguments{"team": "chat"}})
	l.api = text(l.t, api, "ApiId")
	require.Equal(l.t, "ws"+strings.TrimPrefix(l.server.url, "http")+"/"+l.api, text(l.t, api, "ApiEndpoint"))
	l.in("UpdateApi", arguments{"Description": "rooms"})
	api = l.in("GetApi", arguments{})
	require.Equal(l.t, "rooms", api["Description"])
	require.Equal(l.t, arguments{"team": "chat"}, api["Tags"])
	require.Equal(l.t, []string{l.api}, items(l.t, l.do("GetApis", arguments{}), "ApiId"))
}

func (l *life) makeModel() {
	model := l.in("CreateModel", arguments{"Name": "Message", "ContentType": "application/json", "Schema": `{"type":"object"}`})
	l.model = text(l.t, model, "ModelId")
	const schema = `{"type":"object","required":["text"],"properties":{"text":{"type":"string"}}}`
	l.in("UpdateModel", arguments{"ModelId": l.model, "Schema": schema})
	require.Equal(l.t, schema, l.in("GetModel", arguments{"ModelId": l.model})["Schema"])
	require.Contains(l.t, l.in("GetModelTemplate", arguments{"ModelId": l.model})["Value"], "text")
	require.Equal(l.t, []string{"Message"}, items(l.t, l.in("GetModels", arguments{}), "Name"))
}

func (l *life) makeAuthorizer() {
	authorizer := l.in("CreateAuthorizer", arguments{
		"Name": "tokens", "AuthorizerType": "REQUEST", "IdentitySource": []string{"route.request.header.Auth"},
		"AuthorizerUri": "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:auth/invocations",
	})
	l.authorizer = text(l.t, authorizer, "AuthorizerId")
	l.in("UpdateAuthorizer", arguments{"AuthorizerId": l.authorizer, "IdentitySource": []string{"route.request.querystring.token"}})
	require.Equal(l.t, []any{"route.request.querystring.token"}, l.in("GetAuthorizer", arguments{"AuthorizerId": l.authorizer})["IdentitySource"])
	require.Equal(l.t, []string{"tokens"}, items(l.t, l.in("GetAuthorizers", arguments{}), "Name"))
}

func (l *life) makeIntegrations() {
	proxy := l.in("CreateIntegration", arguments{"IntegrationType": "AWS_PROXY", "IntegrationMethod": "POST", "IntegrationUri": "arn:aws:lambda:us-east-1:123456789012:function:chat"})
	l.proxy = text(l.t, proxy, "IntegrationId")
	l.in("UpdateIntegration", arguments{"IntegrationId": l.proxy, "TimeoutInMillis": 5000})
	proxy = l.in("GetIntegration", arguments{"IntegrationId": l.proxy})
	require.InDelta(l.t, 5000, proxy["TimeoutInMillis"], 0)
	require.Equal(l.t, "WHEN_NO_MATCH", proxy["PassthroughBehavior"])

	mock := l.in("CreateIntegration", arguments{"IntegrationType": "MOCK", "TemplateSelectionExpression": "200", "RequestTemplates": arguments{"200": `{"statusCode":200}`}})
	l.mock = text(l.t, mock, "IntegrationId")
	require.Equal(l.t, []string{l.proxy, l.mock}, items(l.t, l.in("GetIntegrations", arguments{}), "IntegrationId"))
	answer := l.in("CreateIntegrationResponse", arguments{"IntegrationId": l.mock, "IntegrationResponseKey": "$default", "TemplateSelectionExpression": `\$default`})
	l.answer = text(l.t, answer, "IntegrationResponseId")
	l.template("mock on $context.stage")
	answer = l.in("GetIntegrationResponse", arguments{"IntegrationId": l.mock, "IntegrationResponseId": l.answer})
	require.Equal(l.t, arguments{"$default": "mock on $context.stage"}, answer["ResponseTemplates"])
	require.Equal(l.t, []string{l.answer}, items(l.t, l.in("GetIntegrationResponses", arguments{"IntegrationId": l.mock}), "IntegrationResponseId"))
}

// template changes what the mock integration answers.
func (l *life) template(template string) {
	l.in("UpdateIntegrationResponse", arguments{"IntegrationId": l.mock, "IntegrationResponseId": l.answer, "ResponseTemplates": arguments{"$default": template}})
}

// route makes a route that answers.
func (l *life) route(key, integration string, more arguments) (id string) {
	args := arguments{"RouteKey": key, "Target": "integrations/" + integration}
	for name, value := range more {
		args[name] = value
	}
	id = text(l.t, l.in("CreateRoute", args), "RouteId")
	if !slices.Contains([]string{"$connect", "$disconnect"}, key) {
		l.in("CreateRouteResponse", arguments{"RouteId": id, "RouteResponseKey": "$default"})
	}
	return id
}

func (l *life) makeRoutes() {
	l.connect = l.route("$connect", l.proxy, arguments{
		"AuthorizationType": "CUSTOM", "AuthorizerId": l.authorizer,
		"RequestParameters": arguments{"route.request.header.never": arguments{"Required": true}},
	})
	l.in("DeleteRouteRequestParameter", arguments{"RouteId": l.connect, "RequestParameterKey": "route.request.header.never"})
	require.Nil(l.t, l.in("GetRoute", arguments{"RouteId": l.connect})["RequestParameters"])
	l.route("$disconnect", l.proxy, nil)
	l.fallback = l.route("$default", l.proxy, nil)
	l.send = l.route("say", l.proxy, nil)
	l.in("UpdateRoute", arguments{"RouteId": l.send, "RouteKey": "send", "ModelSelectionExpression": `\$default`, "RequestModels": arguments{"$default": "Message"}})

	replies := items(l.t, l.in("GetRouteResponses", arguments{"RouteId": l.send}), "RouteResponseId")
	require.Len(l.t, replies, 1)
	l.reply = replies[0]
	l.in("UpdateRouteResponse", arguments{"RouteId": l.send, "RouteResponseId": l.reply, "ResponseModels": arguments{"$default": "Message"}})
	reply := l.in("GetRouteResponse", arguments{"RouteId": l.send, "RouteResponseId": l.reply})
	require.Equal(l.t, arguments{"$default": "Message"}, reply["ResponseModels"])
}

func (l *life) deploy() {
	deployment := l.in("CreateDeployment", arguments{"Description": "one"})
	l.first = text(l.t, deployment, "DeploymentId")
	require.Equal(l.t, "DEPLOYED", deployment["DeploymentStatus"])
	l.in("UpdateDeployment", arguments{"DeploymentId": l.first, "Description": "the first"})
	require.Equal(l.t, "the first", l.in("GetDeployment", arguments{"DeploymentId": l.first})["Description"])
	require.Equal(l.t, []string{l.first}, items(l.t, l.in("GetDeployments", arguments{}), "DeploymentId"))
	l.in("CreateStage", arguments{
		"StageName": "prod", "DeploymentId": l.first, "StageVariables": arguments{"color": "red"},
		"AccessLogSettings": arguments{"DestinationArn": "arn:aws:logs:us-east-1:123456789012:log-group:chat", "Format": "$context.requestId"},
	})
	stage := l.in("GetStage", arguments{"StageName": "prod"})
	require.Equal(l.t, l.first, stage["DeploymentId"])
	require.Equal(l.t, "$context.requestId", stage["AccessLogSettings"].(arguments)["Format"])
	l.in("DeleteAccessLogSettings", arguments{"StageName": "prod"})
	require.Nil(l.t, l.in("GetStage", arguments{"StageName": "prod"})["AccessLogSettings"])
	require.Equal(l.t, []string{"prod"}, items(l.t, l.in("GetStages", arguments{}), "StageName"))
}

// peer is a WebSocket client of the API.
type peer struct {
	*wsconn.Client
	t  *testing.T
	id string
}

// dial connects to a path of the server, with a token that the authorizer accepts.
func (l *life) dial(path, host string) *peer {
	l.t.Helper()
	ws, _, err := wsconn.Dial(l.t.Context(), "ws"+strings.TrimPrefix(l.server.url, "http")+path+"?token=open", wsconn.DialOptions{Host: host}) //nolint:bodyclose // the body is in memory
	require.NoError(l.t, err)
	l.t.Cleanup(ws.CloseNow)
	p := &peer{Client: ws, t: l.t}
	p.id, _, _ = strings.Cut(p.say("who am I"), " ")
	return p
}

func (p *peer) receive() string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	message, _, err := p.Read(ctx)
	require.NoError(p.t, err)
	return string(message)
}

// say sends a message and returns the answer.
func (p *peer) say(message string) string {
	p.t.Helper()
	require.NoError(p.t, p.Write(p.t.Context(), []byte(message), true))
	return p.receive()
}

// toMock is a message for the mock integration.
const toMock = `{"action":"mock"}`

// chat has a client that talks, and a backend that posts to it. The authorizer and the
// model decide.
func (l *life) chat() {
	base := "ws" + strings.TrimPrefix(l.server.url, "http") + "/" + l.api + "/prod"
	for query, status := range map[string]int{"": http.StatusUnauthorized, "?token=wrong": http.StatusForbidden} {
		_, answer, err := wsconn.Dial(l.t.Context(), base+query, wsconn.DialOptions{}) //nolint:bodyclose // the body is in memory
		require.Error(l.t, err)
		require.Equal(l.t, status, answer.StatusCode)
	}
	l.ws = l.dial("/"+l.api+"/prod", "")
	require.Equal(l.t, l.ws.id+" red hello", l.ws.say("hello"))
	require.Contains(l.t, l.ws.say(`{"action":"send","text":1}`), "Invalid request body")
	require.Equal(l.t, l.ws.id+` red {"action":"send","text":"hi"}`, l.ws.say(`{"action":"send","text":"hi"}`))
	for _, path := range []string{"/prod", "/" + l.api + "/prod"} {
		o := l.call(l.t, controlCall{"apigatewaymanagementapi", l.server.url + path, "PostToConnection", arguments{"ConnectionId": l.ws.id, "Data": blob("from " + path)}})
		require.Empty(l.t, o.Code, o.Message)
		require.Equal(l.t, "from "+path, l.ws.receive())
	}
}

// edit changes the API under an open connection: a deployment that no stage uses changes
// nothing, and a stage may go back.
func (l *life) edit() {
	l.mocked = l.route("mock", l.mock, nil)
	require.Equal(l.t, l.ws.id+" red "+toMock, l.ws.say(toMock), "not deployed")
	l.in("UpdateStage", arguments{"StageName": "prod", "StageVariables": arguments{"color": "blue"}})
	require.Equal(l.t, l.ws.id+" blue hello", l.ws.say("hello"), "a stage variable acts at once")
	l.second = text(l.t, l.in("CreateDeployment", arguments{"Description": "two"}), "DeploymentId")
	require.Equal(l.t, l.ws.id+" blue "+toMock, l.ws.say(toMock), "no stage uses it")
	l.use(l.second)
	require.Equal(l.t, "mock on prod", l.ws.say(toMock))
	l.use(l.first)
	require.Equal(l.t, l.ws.id+" blue "+toMock, l.ws.say(toMock), "rolled back")
	l.use(l.second)
}

func (l *life) use(deployment string) {
	l.in("UpdateStage", arguments{"StageName": "prod", "DeploymentId": deployment})
}

// throttle limits a route, and lifts the limit.
func (l *life) throttle() {
	l.in("UpdateStage", arguments{"StageName": "prod", "RouteSettings": arguments{"mock": arguments{"ThrottlingBurstLimit": 1, "ThrottlingRateLimit": 0.001}}})
	require.Equal(l.t, "mock on prod", l.ws.say(toMock))
	require.Contains(l.t, l.ws.say(toMock), "Too Many Requests")
	require.Equal(l.t, l.ws.id+" blue hello", l.ws.say("hello"), "only that route")
	l.in("DeleteRouteSettings", arguments{"StageName": "prod", "RouteKey": "mock"})
	for range 3 {
		require.Equal(l.t, "mock on prod", l.ws.say(toMock))
	}
}

// deployAutomatically has a second stage, which follows each change by itself.
func (l *life) deployAutomatically() {
	l.in("CreateStage", arguments{"StageName": "next", "AutoDeploy": true, "StageVariables": arguments{"color": "green"}})
	require.Eventually(l.t, func() bool {
		o := l.call(l.t, controlCall{"apigatewayv2", l.server.url, "GetStage", arguments{"ApiId": l.api, "StageName": "next"}})
		return o.Answer["DeploymentId"] != nil
	}, patience, patience/1000)
	ws := l.dial("/"+l.api+"/next", "")
	l.template("new on $context.stage")
	require.Eventually(l.t, func() bool { return ws.say(toMock) == "new on next" }, patience, patience/1000)
	require.Equal(l.t, "mock on prod", l.ws.say(toMock), "the other stage does not follow")
}

func (l *life) tag() {
	for _, arn := range []string{"arn:aws:apigateway:us-east-1::/apis/" + l.api, "arn:aws:apigateway:us-east-1::/apis/" + l.api + "/stages/prod"} {
		l.do("TagResource", arguments{"ResourceArn": arn, "Tags": arguments{"one": "1", "two": "a b/c"}})
		l.do("UntagResource", arguments{"ResourceArn": arn, "TagKeys": []string{"one", "team"}})
		require.Equal(l.t, arguments{"two": "a b/c"}, l.do("GetTags", arguments{"ResourceArn": arn})["Tags"])
	}
	l.refuse("BadRequestException", "", "TagResource", arguments{"ResourceArn": "arn:aws:apigateway:us-east-1::/apis/" + l.api + "/routes/" + l.send, "Tags": arguments{"a": "b"}})
}

// mapDomain reaches the API by a domain name of its own.
func (l *life) mapDomain() {
	const name = "chat.example.com"
	domain := arguments{"DomainName": name}
	l.do("CreateDomainName", arguments{"DomainName": name, "DomainNameConfigurations": []arguments{{
		"CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/a", "EndpointType": "REGIONAL", "SecurityPolicy": "TLS_1_2",
	}}})
	l.do("UpdateDomainName", arguments{"DomainName": name, "DomainNameConfigurations": []arguments{{
		"CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/b", "EndpointType": "REGIONAL", "SecurityPolicy": "TLS_1_2",
	}}})
	configuration := l.do("GetDomainName", domain)["DomainNameConfigurations"].([]any)[0].(arguments)
	require.Equal(l.t, "arn:aws:acm:us-east-1:123456789012:certificate/b", configuration["CertificateArn"])
	require.Equal(l.t, "AVAILABLE", configuration["DomainNameStatus"])
	require.Equal(l.t, []string{name}, items(l.t, l.do("GetDomainNames", arguments{}), "DomainName"))

	mapping := text(l.t, l.in("CreateApiMapping", arguments{"DomainName": name, "Stage": "prod", "ApiMappingKey": "v1"}), "ApiMappingId")
	l.in("UpdateApiMapping", arguments{"DomainName": name, "ApiMappingId": mapping, "ApiMappingKey": "v2"})
	one := arguments{"DomainName": name, "ApiMappingId": mapping}
	require.Equal(l.t, "v2", l.do("GetApiMapping", one)["ApiMappingKey"])
	require.Equal(l.t, []string{mapping}, items(l.t, l.do("GetApiMappings", domain), "ApiMappingId"))
	ws := l.dial("/v2", name)
	require.Equal(l.t, ws.id+" blue hello", ws.say("hello"))
	l.refuseIn("BadRequestException", "Please remove all API mappings", "DeleteApi", arguments{})
	l.do("DeleteApiMapping", one)
	l.do("DeleteDomainName", domain)
}

// page reads a list in pages.
func (l *life) page() {
	all := items(l.t, l.in("GetRoutes", arguments{}), "RouteKey")
	require.Equal(l.t, []string{"$connect", "$disconnect", "$default", "send", "mock"}, all)
	var paged []string
	args := arguments{"MaxResults": "2"}
	for {
		page := l.in("GetRoutes", args)
		require.LessOrEqual(l.t, len(items(l.t, page, "RouteKey")), 2)
		paged = append(paged, items(l.t, page, "RouteKey")...)
		if page["NextToken"] == nil {
			break
		}
		args["NextToken"] = page["NextToken"]
	}
	require.Equal(l.t, all, paged)
	l.refuseIn("BadRequestException", "", "GetRoutes", arguments{"MaxResults": "2", "NextToken": "other"})
}

// refused is what a caller sees of errors.
func (l *life) refused() {
	l.refuse("BadRequestException", "RouteSelectionExpression", "CreateApi", arguments{"Name": "x", "ProtocolType": "WEBSOCKET"})
	l.refuse("NotFoundException", "Invalid API identifier specified 123456789012:nothere", "GetApi", arguments{"ApiId": "nothere"})
	l.refuseIn("NotFoundException", "", "GetRoute", arguments{"RouteId": "nothere"})
	l.refuseIn("ConflictException", "Route with key send already exists for this API", "CreateRoute", arguments{"RouteKey": "send"})
	l.refuseIn("ConflictException", "Stage already exists", "CreateStage", arguments{"StageName": "prod"})
	l.refuseIn("ConflictException", "Cannot delete Integration because it is referenced by the following Routes", "DeleteIntegration", arguments{"IntegrationId": l.mock})
	l.refuseIn("ConflictException", "Cannot delete authorizer 'tokens', is referenced in route: $connect", "DeleteAuthorizer", arguments{"AuthorizerId": l.authorizer})
	l.refuseIn("BadRequestException", "Active stages pointing to this deployment must be moved or deleted", "DeleteDeployment", arguments{"DeploymentId": l.second})
}

// end deletes one thing after the other, and then the API with what it still has.
func (l *life) end() {
	l.in("DeleteStage", arguments{"StageName": "next"})
	l.in("DeleteDeployment", arguments{"DeploymentId": l.first})
	l.in("DeleteRouteResponse", arguments{"RouteId": l.send, "RouteResponseId": l.reply})
	for _, id := range []string{l.mocked, l.connect} {
		l.in("DeleteRoute", arguments{"RouteId": id})
	}
	l.in("DeleteIntegrationResponse", arguments{"IntegrationId": l.mock, "IntegrationResponseId": l.answer})
	l.in("DeleteIntegration", arguments{"IntegrationId": l.mock})
	l.in("DeleteAuthorizer", arguments{"AuthorizerId": l.authorizer})
	l.in("DeleteModel", arguments{"ModelId": l.model})
	require.Equal(l.t, "mock on prod", l.ws.say(toMock), "what a deployment has is not gone")
	l.in("DeleteApi", arguments{})
	_, _, err := l.ws.Read(l.t.Context())
	code, reason, _ := wsconn.ReceivedClose(err)
	require.Equal(l.t, 1001, code)
	require.Equal(l.t, "Going away", reason)
	l.refuseIn("NotFoundException", "Invalid API identifier specified", "GetApi", arguments{})
}
