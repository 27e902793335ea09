//go:build unix

package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

// A file without a WebSocket API, or without a stage, says so: the user has named a file.
func TestDev_NothingToConnectTo(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Resources:\n  Table: {Type: AWS::DynamoDB::Table}\n": `^\S+template.yaml has no WebSocket API: write one`,
		strings.Replace(template(), `
  Stage:
    Type: AWS::ApiGatewayV2::Stage
    Properties: {ApiId: !Ref Chat, StageName: prod, AutoDeploy: true}`, "", 1): `^\S+template.yaml has a WebSocket API, but no stage, so nobody can connect: `,
	} {
		p := runDev(t, nil, project(t, text))
		p.await(want)
		require.NotContains(t, p.text(), "There is no API yet")
	}
}

// What is printed about connecting has what $connect wants, and custom domain names.
func TestDev_ConnectLines(t *testing.T) {
	t.Parallel()
	text := strings.Replace(template(), "RouteKey: $connect,", "RouteKey: $connect, AuthorizationType: CUSTOM, AuthorizerId: !Ref Who,", 1) + `
  Who:
    Type: AWS::ApiGatewayV2::Authorizer
    Properties:
      ApiId: !Ref Chat
      Name: who
      AuthorizerType: REQUEST
      AuthorizerUri: !Sub arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Function.Arn}/invocations
      IdentitySource: [route.request.querystring.token]
  Domain: {Type: AWS::ApiGatewayV2::DomainName, Properties: {DomainName: chat.example.com, DomainNameConfigurations: [{EndpointType: REGIONAL, CertificateArn: "arn:aws:acm:us-east-1:123456789012:certificate/x"}]}}
  Mapping: {Type: AWS::ApiGatewayV2::ApiMapping, Properties: {ApiId: !Ref Chat, DomainName: !Ref Domain, Stage: !Ref Stage, ApiMappingKey: v1}}
`
	p := runDev(t, nil, project(t, text))
	p.await(`^  gateway send '` + p.url() + `\?token=…' '\S+'$`)
	p.await(`^  npx wscat -c '` + p.url() + `\?token=…'$`)
	p.await(`^  in the console of http://127\.0\.0\.1:\d+/: ws = new WebSocket\("` + p.url() + `\?token=…"\)`)
	p.await(`^  custom domain name  ws://chat\.example\.com:\d+/v1, once your hosts file has "127\.0\.0\.1 chat\.example\.com"$`)
	p.await(`^  export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 `)
	p.await(`^    profile += null$`)
}

// The page at the root names the stages: for a name of this machine, and if no call has to be
// signed.
func TestDev_Page(t *testing.T) {
	t.Parallel()
	file := project(t, strings.Replace(template(), "Name: Chat,", `Name: "<b>Chat",`, 1))
	p := runDev(t, nil, file)
	read := func(p *program, header ...string) (int, string, http.Header) {
		r, err := http.NewRequest(http.MethodGet, p.await(`^ready in \d+ ms +(http://\S+),`)[1]+"/", nil)
		require.NoError(t, err)
		if len(header) > 0 {
			r.Host = header[0]
		}
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(text), resp.Header
	}
	status, text, header := read(p)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, text, `<h2>&lt;b&gt;Chat: prod</h2>`)
	require.Contains(t, text, `new WebSocket("`+p.url()+`")`)
	require.Equal(t, "default-src 'none'; connect-src ws: wss:; frame-ancestors 'none'", header.Get("Content-Security-Policy"))

	status, text, _ = read(p, "evil.example")
	require.Equal(t, http.StatusForbidden, status)
	require.NotContains(t, text, p.url())

	signed := runDev(t, nil, file, "--verify-signatures")
	status, text, _ = read(signed)
	require.Equal(t, http.StatusOK, status)
	require.NotContains(t, text, "WebSocket(")
	http.DefaultClient.CloseIdleConnections()
}

// A line says why a message has no route, and why a client was closed.
func TestDev_WhyLines(t *testing.T) {
	t.Parallel()
	p := runDev(t, nil, project(t, strings.Replace(template(), "Timeout: 10", "Timeout: 1", 1)))
	c := dial(t, p.url(), wsconn.DialOptions{})
	c.send("hello")
	p.await(`  no route +403  the message is not JSON, so no value selects a route`)
	c.send(`{"action":""}`)
	p.await(`  no route +403  the value that selects the route is empty`)
	c.send(`{"action":"hang"}`)
	p.await(`  hang .*Task timed out after 1.00 seconds: raise the Timeout of the function, if it needs longer$`)
	c.send(strings.Repeat("x", 40<<10))
	p.await(`closed  1009 .*: the most is 32 KiB for a frame, and 128 KiB for a message$`)
}
