package main

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

// zippedFunction is the function of these tests as a zip file, in base64.
func zippedFunction(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeFunction(t, dir)
	script, err := os.ReadFile(filepath.Join(dir, "bootstrap"))
	require.NoError(t, err)
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	h := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	h.SetMode(0o755)
	f, err := w.CreateHeader(h)
	require.NoError(t, err)
	_, err = f.Write(script)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// A function that a client makes runs behind an API, with the environment of all functions,
// and after a restart.
func TestDev_LambdaAPI(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	p := runDev(t, nil, "--state", dir, "--env", "VERSION=over all")
	p.await(`^ {6}lambda       = "http://127`)
	p.await(`AWS_ENDPOINT_URL_LAMBDA=http://127`)
	status, answer := p.control(http.MethodPost, "/2015-03-31/functions", `{"FunctionName":"chat","Runtime":"provided.al2023","Handler":"x","Timeout":20,"Role":"arn:aws:iam::123456789012:role/any","Environment":{"Variables":{"VERSION":"its own","OWN":"yes"}},"Code":{"ZipFile":"`+zippedFunction(t)+`"}}`, "", "")
	require.Equal(t, http.StatusCreated, status, answer)
	p.await(`  control   POST /2015-03-31/functions  201  `)
	api := p.make("/v2/apis", `{"name":"Chat","protocolType":"WEBSOCKET","routeSelectionExpression":"$request.body.action"}`, "apiId")
	integration := p.make("/v2/apis/"+api+"/integrations", `{"integrationType":"AWS_PROXY","integrationUri":"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:chat/invocations"}`, "integrationId")
	for _, key := range []string{"post", "version", "environment"} {
		route := p.make("/v2/apis/"+api+"/routes", `{"routeKey":"`+key+`","target":"integrations/`+integration+`"}`, "routeId")
		p.make("/v2/apis/"+api+"/routes/"+route+"/routeresponses", `{"routeResponseKey":"$default"}`, "routeResponseId")
	}
	deployment := p.make("/v2/apis/"+api+"/deployments", `{}`, "deploymentId")
	p.make("/v2/apis/"+api+"/stages", `{"stageName":"prod","deploymentId":"`+deployment+`"}`, "stageName")
	url := p.await(`  stage prod of Chat: (ws://\S+)$`)[1]
	requireLambda(t, url)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 0, p.exit())

	p = runDev(t, nil, "--state", dir, "--env", "VERSION=over all")
	requireLambda(t, p.url())
}

// A handler calls another function of its definition by the Lambda API, which finds it, too, and
// does not replace it.
func TestDev_LambdaAPIKnowsDefinition(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"open": nil, "signatures": {"--verify-signatures"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			definition := strings.ReplaceAll(template(), "RouteKey: post,", "RouteKey: sibling,") + `
  Sibling:
    Type: AWS::Serverless::Function
    Properties: {FunctionName: sibling, CodeUri: src, Runtime: provided.al2023, Handler: x, Environment: {Variables: {VERSION: of the sibling}}}
`
			p := runDev(t, nil, append(args, project(t, definition))...)
			c := dial(t, p.url(), wsconn.DialOptions{})
			c.send(`{"action":"sibling","name":"sibling"}`)
			require.JSONEq(t, `{"statusCode":200,"body":"of the sibling"}`, c.receive())
			if len(args) > 0 {
				return
			}
			const functions = "/2015-03-31/functions"
			status, answer := p.control(http.MethodGet, functions+"/sibling/configuration", "", "", "")
			require.Equal(t, http.StatusOK, status, answer)
			require.Contains(t, answer, `"Runtime":"provided.al2023"`)
			_, answer = p.control(http.MethodGet, functions, "", "", "")
			require.Equal(t, 2, strings.Count(answer, `"FunctionArn"`), answer)
			status, answer = p.control(http.MethodPost, functions, `{"FunctionName":"sibling","Runtime":"provided.al2023","Handler":"x","Role":"arn:aws:iam::123456789012:role/any","Code":{"ZipFile":"`+zippedFunction(t)+`"}}`, "", "")
			require.Equal(t, http.StatusConflict, status, answer)
		})
	}
}

func requireLambda(t *testing.T, url string) {
	t.Helper()
	c := dial(t, url, wsconn.DialOptions{})
	c.send(`{"action":"post"}`)
	require.Equal(t, `{"action":"post"}`, c.receive())
	c.send(`{"action":"version"}`)
	require.Equal(t, "over all", c.receive())
	c.send(`{"action":"environment"}`)
	environment := c.receive()
	require.Contains(t, environment, "OWN=yes")
	require.Contains(t, environment, "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI=http://")
}

// With signatures, the Lambda API asks for them, too.
func TestDev_LambdaAPISignatures(t *testing.T) {
	t.Parallel()
	p := runDev(t, []string{"GATEWAY_ACCESS_KEY_ID=somebody", "GATEWAY_SECRET_ACCESS_KEY=a-secret"}, "--verify-signatures")
	r, err := http.NewRequest(http.MethodGet, p.await(`^ready in \d+ ms +(http://\S+),`)[1]+"/2015-03-31/functions", nil)
	require.NoError(t, err)
	for _, want := range []int{http.StatusForbidden, http.StatusOK} {
		if want == http.StatusOK {
			sign(r, "", "lambda", "somebody", "a-secret")
		}
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, want, resp.StatusCode)
	}
	require.NotContains(t, strings.ToLower(p.text()), "a-secret")
	http.DefaultClient.CloseIdleConnections()
}
