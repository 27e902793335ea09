//go:build unix

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
	"example.com/gateway/internal/wsconn"
	"example.com/gateway/lambda"
)

// script is controlplane.py, which calls a server.
type script struct {
	t     *testing.T
	p     *process
	stdin io.Writer
	read  int
	url   string
}

type arguments = map[string]any

// call calls an operation and returns the answer. path is that of the endpoint.
func (s *script) call(client, path, operation string, args arguments) (status int, answer arguments) {
	s.t.Helper()
	line, err := json.Marshal(arguments{"client": client, "endpoint": s.url + path, "operation": operation, "arguments": args})
	require.NoError(s.t, err)
	_, err = s.stdin.Write(append(line, '\n'))
	require.NoError(s.t, err)
	var outcome struct {
		Status int
		Answer arguments
	}
	require.NoError(s.t, json.Unmarshal([]byte(s.p.next(s.t, &s.read)), &outcome))
	return outcome.Status, outcome.Answer
}

// control calls the control plane, which has to answer with a status of 2xx. It returns a
// member of the answer.
func (s *script) control(operation, member string, args arguments) string {
	s.t.Helper()
	status, answer := s.call("apigatewayv2", "", operation, args)
	require.Equal(s.t, 2, status/100, "%s: %v", operation, answer)
	return fmt.Sprint(answer[member])
}

// A whole API by boto3: it is created and deployed, a client connects, a backend posts to
// it, an edit has no effect before it is deployed, and then the open connection follows.
func TestControlPlane_boto3(t *testing.T) {
	outside(t)
	python := findTool(t, "apt-get install python3", "/usr/bin/python3", "python3")
	if err := exec.CommandContext(t.Context(), python, "-c", "import boto3").Run(); err != nil {
		missing(t, "boto3", "apt-get install python3-boto3")
	}
	srv := httptest.NewUnstartedServer(nil)
	server, err := controlplane.New(controlplane.Config{
		Endpoint: "ws://" + srv.Listener.Addr().String(),
		Functions: controlplane.Functions{"chat": lambda.NewInvoker(func(req lambda.WebsocketRequest) (lambda.Response, error) {
			return lambda.Response{StatusCode: 200, Body: strings.Join([]string{req.RequestContext.ConnectionID, req.StageVariables["color"], req.Body}, " ")}, nil
		})},
	})
	require.NoError(t, err)
	srv.Config.Handler = server
	srv.Start()
	t.Cleanup(srv.Close)
	t.Cleanup(func() { require.NoError(t, server.Shutdown(context.WithoutCancel(t.Context()))) })
	cmd := exec.CommandContext(t.Context(), python, "controlplane.py")
	cmd.Env = awsEnvironment(t)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	cmd.Cancel = stdin.Close
	s := &script{t: t, p: start(t, cmd), stdin: stdin, url: srv.URL}

	status, api := s.call("apigatewayv2", "", "create_api", arguments{"Name": "chat", "ProtocolType": "WEBSOCKET", "RouteSelectionExpression": "$request.body.action"})
	require.Equal(t, 201, status)
	id := fmt.Sprint(api["ApiId"])
	integration := s.control("create_integration", "IntegrationId", arguments{
		"ApiId": id, "IntegrationType": "AWS_PROXY", "IntegrationMethod": "POST", "PayloadFormatVersion": "2.0", "IntegrationUri": "arn:aws:lambda:us-east-1:123456789012:function:chat",
	})
	route := func(key, integration string) {
		t.Helper()
		routeID := s.control("create_route", "RouteId", arguments{"ApiId": id, "RouteKey": key, "Target": "integrations/" + integration})
		if key != "$connect" && key != "$disconnect" {
			s.control("create_route_response", "RouteResponseId", arguments{"ApiId": id, "RouteId": routeID, "RouteResponseKey": "$default"})
		}
	}
	for _, key := range []string{"$connect", "$disconnect", "$default"} {
		route(key, integration)
	}
	deployment := s.control("create_deployment", "DeploymentId", arguments{"ApiId": id})
	s.control("create_stage", "StageName", arguments{"ApiId": id, "StageName": "prod", "DeploymentId": deployment, "StageVariables": arguments{"color": "red"}})

	ws, _, err := wsconn.Dial(t.Context(), fmt.Sprint(api["ApiEndpoint"])+"/prod", wsconn.DialOptions{}) //nolint:bodyclose // the body is in memory
	require.NoError(t, err)
	defer ws.CloseNow()
	receive := func() string {
		t.Helper()
		text, _, err := ws.Read(t.Context())
		require.NoError(t, err)
		return string(text)
	}
	say := func(message string) string {
		t.Helper()
		require.NoError(t, ws.Write(t.Context(), []byte(message), true))
		return receive()
	}
	connection, rest, _ := strings.Cut(say("hello"), " ")
	require.Equal(t, "red hello", rest)
	for _, path := range []string{"/prod", "/" + id + "/prod", ""} {
		status, _ = s.call("apigatewaymanagementapi", path, "post_to_connection", arguments{"ConnectionId": connection, "Data": "from " + path})
		require.Equal(t, 200, status, path)
		require.Equal(t, "from "+path, receive())
	}

	mock := s.control("create_integration", "IntegrationId", arguments{"ApiId": id, "IntegrationType": "MOCK", "TemplateSelectionExpression": "200", "RequestTemplates": arguments{"200": `{"statusCode":200}`}})
	s.control("create_integration_response", "IntegrationResponseId", arguments{
		"ApiId": id, "IntegrationId": mock, "IntegrationResponseKey": "$default", "TemplateSelectionExpression": `\$default`, "ResponseTemplates": arguments{"$default": "mock on $context.stage"},
	})
	route("mock", mock)
	require.Equal(t, connection+` red {"action":"mock"}`, say(`{"action":"mock"}`), "inert before a deployment")
	s.control("update_stage", "StageName", arguments{"ApiId": id, "StageName": "prod", "StageVariables": arguments{"color": "blue"}})
	require.Equal(t, connection+" blue hello", say("hello"), "a stage variable acts at once")
	s.control("create_deployment", "DeploymentId", arguments{"ApiId": id, "StageName": "prod"})
	require.Equal(t, "mock on prod", say(`{"action":"mock"}`))

	s.control("delete_api", "", arguments{"ApiId": id})
	_, _, err = ws.Read(t.Context())
	require.ErrorContains(t, err, "Going away")
	status, _ = s.call("apigatewaymanagementapi", "/prod", "post_to_connection", arguments{"ConnectionId": connection, "Data": "x"})
	require.NotEqual(t, 200, status)
}
