package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

// program is a "gateway dev" that runs.
type program struct {
	t     testing.TB
	cmd   *exec.Cmd
	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed and replaced when a line comes
	ended chan struct{}
}

// runDev starts the program, and waits until it is ready. Its ports are any free ones, unless
// args say otherwise.
func runDev(t testing.TB, env []string, args ...string) *program {
	t.Helper()
	p := startDev(t, env, args...)
	p.await(`^ready in \d+ ms`)
	return p
}

func startDev(t testing.TB, env []string, args ...string) *program {
	t.Helper()
	p := &program{t: t, more: make(chan struct{}), ended: make(chan struct{})}
	p.cmd = exec.CommandContext(context.Background(), binary, append([]string{"dev", "--port", "0", "--tls-port", "0"}, args...)...)
	p.cmd.Env = append(os.Environ(), env...)
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.cmd.Stderr = p.cmd.Stdout
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, lines.Text())
			close(p.more)
			p.more = make(chan struct{})
			p.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(patience):
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
		_ = p.cmd.Wait()
		if t.Failed() {
			t.Log(p.tail())
		}
	})
	return p
}

func (p *program) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// tail is the last lines of text.
func (p *program) tail() string {
	const most = 100
	lines := strings.Split(p.text(), "\n")
	if left := len(lines) - most; left > 0 {
		lines = append([]string{fmt.Sprintf("… %d lines before", left)}, lines[left:]...)
	}
	return strings.Join(lines, "\n")
}

// await waits for a line, and returns what its groups match.
func (p *program) await(pattern string) []string { return p.awaitAfter(0, pattern) }

// awaitAfter is await for the lines after the first n.
func (p *program) awaitAfter(n int, pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	late := time.After(patience)
	for {
		p.mu.Lock()
		more := p.more
		for ; n < len(p.lines); n++ {
			if groups := re.FindStringSubmatch(p.lines[n]); groups != nil {
				p.mu.Unlock()
				return groups
			}
		}
		p.mu.Unlock()
		select {
		case <-more:
		case <-p.ended:
			require.FailNow(p.t, "the program has ended before it printed "+pattern)
		case <-late:
			require.FailNow(p.t, "the program has not printed "+pattern)
		}
	}
}

func (p *program) printed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.lines)
}

// url returns the address of the only stage.
func (p *program) url() string { return p.await(`^  prod +(ws://\S+/prod)$`)[1] }

// exit waits for the end of the program, and returns its exit code.
func (p *program) exit() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		require.FailNow(p.t, "the program has not ended")
	}
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// template is a SAM template with a function behind the routes that the tests use.
func template() string {
	routes := ""
	for _, key := range []string{"$connect", "$disconnect", "post", "endpoint", "version", "environment", "pid", "fail", "hang"} {
		name := strings.TrimPrefix(key, "$")
		routes += fmt.Sprintf(`
  Route%[1]s:
    Type: AWS::ApiGatewayV2::Route
    Properties: {ApiId: !Ref Chat, RouteKey: %[2]s, Target: !Sub "integrations/${Integration}", RouteResponseSelectionExpression: $default}
  Response%[1]s:
    Type: AWS::ApiGatewayV2::RouteResponse
    Properties: {ApiId: !Ref Chat, RouteId: !Ref Route%[1]s, RouteResponseKey: $default}
`, name, key)
	}
	return `Transform: AWS::Serverless-2016-10-31
Parameters:
  Version: {Type: String, Default: one}
Resources:
  Chat:
    Type: AWS::ApiGatewayV2::Api
    Properties: {Name: Chat, ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.body.action}
  Integration:
    Type: AWS::ApiGatewayV2::Integration
    Properties:
      ApiId: !Ref Chat
      IntegrationType: AWS_PROXY
      IntegrationUri: !Sub arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Function.Arn}/invocations
  Stage:
    Type: AWS::ApiGatewayV2::Stage
    Properties: {ApiId: !Ref Chat, StageName: prod, AutoDeploy: true}
  Function:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src
      Runtime: provided.al2023
      Timeout: 10
      Environment:
        Variables:
          VERSION: !Ref Version
          ENDPOINT: !Sub https://${Chat}.execute-api.${AWS::Region}.${AWS::URLSuffix}/prod
` + routes
}

// project is a folder with a definition.
func project(t testing.TB, text string) (file string) {
	t.Helper()
	dir := t.TempDir()
	writeFunction(t, filepath.Join(dir, "src"))
	file = filepath.Join(dir, "template.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// A function reaches its client by the address in the event, and by the one that its template
// makes: both have https://, and the certificate is trusted.
func TestDev_FunctionPosts(t *testing.T) {
	t.Parallel()
	p := runDev(t, nil, project(t, template()))
	c := dial(t, p.url(), wsconn.DialOptions{})
	for _, action := range []string{"post", "endpoint"} {
		message := `{"action":"` + action + `"}`
		c.send(message)
		require.Equal(t, message, c.receive())
	}
	p.await(`  local-Function  event post$`)
	p.await(`  post +200 +\d+\.\d ms  the message selects "post"$`)
	p.await(`  sent  17 bytes$`)
}

// The first signal closes connections with 1001 and runs $disconnect; nothing is left.
func TestDev_Stop(t *testing.T) {
	t.Parallel()
	temporary := t.TempDir()
	p := runDev(t, []string{"TMPDIR=" + temporary}, project(t, template()))
	c := dial(t, p.url(), wsconn.DialOptions{})
	c.send(`{"action":"pid"}`)
	pid := c.receive()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGINT))
	require.Equal(t, wsconn.CloseGoingAway, c.closed())
	require.Equal(t, 0, p.exit())
	p.await(`  local-Function  event \$disconnect$`)
	left, err := os.ReadDir(temporary)
	require.NoError(t, err)
	require.Empty(t, left)
	ends(t, pid)
}

// A client that has sent half of a call does not hold up the end, and makes it no failure.
func TestDev_StopHalfCall(t *testing.T) {
	t.Parallel()
	p := runDev(t, nil)
	for _, path := range []string{"/v2/apis", "/2015-03-31/functions", "/v2/no-such-path"} {
		c, err := net.Dial("tcp", strings.TrimPrefix(p.await(`^ready in \d+ ms +(http://\S+),`)[1], "http://"))
		require.NoError(t, err)
		defer c.Close()
		_, err = io.WriteString(c, "POST "+path+" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90\r\nExpect: 100-continue\r\n\r\n")
		require.NoError(t, err)
		_, err = bufio.NewReader(c).ReadByte() // the call has begun
		require.NoError(t, err)
	}
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 0, p.exit(), p.text())
}

// ends waits for the end of a process.
func ends(t *testing.T, pid string) {
	t.Helper()
	number, err := strconv.Atoi(pid)
	require.NoError(t, err)
	process, err := os.FindProcess(number)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return errors.Is(process.Signal(syscall.Signal(0)), os.ErrProcessDone) }, patience, 5*time.Millisecond)
}

// A second signal does not wait for a function that hangs.
func TestDev_StopTwice(t *testing.T) {
	t.Parallel()
	p := runDev(t, nil, project(t, template()))
	c := dial(t, p.url(), wsconn.DialOptions{})
	c.send(`{"action":"hang"}`)
	p.await(`event hang$`)
	for range 2 { // at once, as "timeout" does: that is one
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGINT))
	}
	p.await(`Press Ctrl-C again to end at once`)
	require.Never(t, func() bool {
		select {
		case <-p.ended:
			return true
		default:
			return false
		}
	}, 500*time.Millisecond, 50*time.Millisecond)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGINT))
	require.Equal(t, 1, p.exit())
	p.await(`^gateway: ended at once by a second signal$`)
}

// A changed file is taken while clients stay connected. A broken one changes nothing.
func TestDev_Reload(t *testing.T) {
	t.Parallel()
	file := project(t, template())
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	p := runDev(t, nil, file)
	c := dial(t, p.url(), wsconn.DialOptions{})
	ask := func() string {
		c.send(`{"action":"version"}`)
		return c.receive()
	}
	require.Equal(t, "one", ask())
	c.send(`{"action":"pid"}`)
	old := c.receive()

	write(strings.Replace(template(), "Default: one", "Default: two", 1))
	p.await(`reloaded .*template.yaml`)
	require.Equal(t, "two", ask(), "the function has a new process")
	ends(t, old)

	n := p.printed()
	write(strings.Replace(template(), "Name: Chat,", "Nam: Chat,", 1))
	p.awaitAfter(n, `not reloaded, what ran before still runs:$`)
	p.awaitAfter(n, `template.yaml:7: Chat: .* has no property "Nam": did you mean "Name"\?$`)
	require.Equal(t, "two", ask())

	n = p.printed() // the service refuses such a name
	write(strings.NewReplacer("Name: Chat,", "Name: "+strings.Repeat("x", 129)+",", "Default: one", "Default: three").Replace(template()))
	p.awaitAfter(n, `not reloaded, what ran before still runs:$`)
	p.awaitAfter(n, `template.yaml:5: Chat: `)
	require.Equal(t, "two", ask())

	n = p.printed() // as while a build replaces it
	require.NoError(t, os.Remove(file))
	p.awaitAfter(n, `not reloaded, what ran before still runs:$`)

	n = p.printed()
	write(strings.Replace(template(), "RouteKey: version", "RouteKey: other", 1))
	p.awaitAfter(n, `reloaded .*template.yaml`)
	require.Contains(t, ask(), `"Forbidden"`)
	p.awaitAfter(n, `  no route +403  no route has the key "version"  .*: add a route with this key, or \$default$`)
}

// A file that loses its APIs, by a typo in one word, closes no connection.
func TestDev_ReloadWithoutAPI(t *testing.T) {
	t.Parallel()
	file := project(t, template())
	p := runDev(t, nil, file)
	c := dial(t, p.url(), wsconn.DialOptions{})
	require.NoError(t, os.WriteFile(file, []byte("Resources:\n  Table: {Type: AWS::DynamoDB::Table}\n"), 0o600))
	p.await(`not reloaded, what ran before still runs:$`)
	p.await(`template.yaml: the file has no WebSocket API any more: `)
	c.send(`{"action":"version"}`)
	require.Equal(t, "one", c.receive())

	n := p.printed()
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(template(), "Default: one", "Default: two", 1)), 0o600))
	p.awaitAfter(n, `reloaded .*template.yaml`)
	c.send(`{"action":"version"}`)
	require.Equal(t, "two", c.receive())
}

// Another definition with the same state takes the place of the first, and says so.
func TestDev_StateOfAnotherDefinition(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	first := runDev(t, nil, project(t, template()), "--state", state)
	require.NoError(t, first.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 0, first.exit())
	second := runDev(t, nil, project(t, strings.NewReplacer("Chat", "Other").Replace(template())), "--state", state)
	second.await(`the API Chat \(\S+\) is removed: a definition had made it, and .*template.yaml does not have it$`)
}

// An address that leads nowhere gets the answer of the service, and a line with those that
// lead somewhere.
func TestDev_WrongAddress(t *testing.T) {
	t.Parallel()
	p := runDev(t, nil, project(t, template()))
	right := regexp.QuoteMeta(p.url())
	server := strings.Join(strings.Split(p.url(), "/")[:3], "/")
	for _, path := range []string{"/prod", "/{api}/prod"} {
		n := p.printed()
		_, resp, err := wsconn.Dial(t.Context(), server+path, wsconn.DialOptions{}) //nolint:bodyclose // Dial has read it
		require.Error(t, err)
		require.Equal(t, http.StatusForbidden, resp.StatusCode)
		p.awaitAfter(n, `a client got 403, because its address names no API .*addresses=`+right+`$`)
	}
	_, _, err := wsconn.Dial(t.Context(), strings.TrimSuffix(p.url(), "prod")+"dev", wsconn.DialOptions{}) //nolint:bodyclose // as above
	require.Error(t, err)
	p.await(`a client got 403, because the API has no such stage.* stage=dev addresses=` + right + ` do=`)
}

// The code of a function in the text of a template is written to a folder. Those of earlier
// texts go, but for that of the last one, whose events may still run.
func TestDev_removesCode(t *testing.T) {
	t.Parallel()
	state, file := t.TempDir(), filepath.Join(t.TempDir(), "template.yaml")
	write := func(version string) {
		require.NoError(t, os.WriteFile(file, []byte(`Resources:
  Chat: {Type: AWS::ApiGatewayV2::Api, Properties: {Name: Chat, ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.body.action}}
  F: {Type: AWS::Lambda::Function, Properties: {Runtime: python3.12, Handler: index.handler, Code: {ZipFile: "`+version+`"}}}
`), 0o600))
	}
	folders := func() (programs []string) {
		found, err := filepath.Glob(filepath.Join(state, "code", "*", "index.py"))
		require.NoError(t, err)
		for _, name := range found {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			programs = append(programs, string(text))
		}
		return programs
	}
	write("a = 1")
	p := runDev(t, nil, file, "--state", state)
	for _, version := range []string{"a = 22", "a = 333"} {
		n := p.printed()
		write(version)
		p.awaitAfter(n, `reloaded .*template.yaml`)
	}
	require.ElementsMatch(t, []string{"a = 22", "a = 333"}, folders())
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 0, p.exit())
	runDev(t, nil, file, "--state", state)
	require.Equal(t, []string{"a = 333"}, folders())
}

// control calls the control plane. The call is signed if there is a key.
func (p *program) control(method, path, body, id, secret string, header ...string) (status int, answer string) {
	p.t.Helper()
	r, err := http.NewRequest(method, p.await(`^ready in \d+ ms +(http://\S+),`)[1]+path, strings.NewReader(body))
	require.NoError(p.t, err)
	if id != "" {
		sign(r, body, "apigateway", id, secret)
	}
	for n := 0; n < len(header); n += 2 {
		r.Header.Set(header[n], header[n+1])
		if header[n] == "Host" {
			r.Host = header[n+1]
		}
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	http.DefaultClient.CloseIdleConnections()
	return resp.StatusCode, string(text)
}

// make makes a resource, and returns its ID.
func (p *program) make(path, body, id string) string {
	p.t.Helper()
	status, answer := p.control(http.MethodPost, path, body, "", "")
	require.Equal(p.t, http.StatusCreated, status, answer)
	var made map[string]any
	require.NoError(p.t, json.Unmarshal([]byte(answer), &made))
	return made[id].(string)
}

// Without a file the API is made by calls, and a line says what to dial. A store keeps it.
func TestDev_State(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	p := runDev(t, nil, "--state", dir)
	p.await(`^There is no API yet`)
	api := p.make("/v2/apis", `{"name":"Chat","protocolType":"WEBSOCKET","routeSelectionExpression":"$request.body.action"}`, "apiId")
	integration := p.make("/v2/apis/"+api+"/integrations", `{"integrationType":"MOCK"}`, "integrationId")
	p.make("/v2/apis/"+api+"/routes", `{"routeKey":"$default","target":"integrations/`+integration+`"}`, "routeId")
	deployment := p.make("/v2/apis/"+api+"/deployments", `{}`, "deploymentId")
	p.make("/v2/apis/"+api+"/stages", `{"stageName":"prod","deploymentId":"`+deployment+`"}`, "stageName")
	p.await(`  control   POST /v2/apis/` + api + `/stages  201  `)
	url := p.await(`  stage prod of Chat: (ws://\S+)$`)[1]
	dial(t, url, wsconn.DialOptions{})
	p.await(`connected  \S+== from 127.0.0.1$`)

	second := startDev(t, nil, "--state", dir)
	require.Equal(t, 1, second.exit())
	second.await(`^gateway: --state .*gateway.db: in use`)

	authority, err := os.ReadFile(filepath.Join(dir, "tls", "ca.pem"))
	require.NoError(t, err)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 0, p.exit())

	p = runDev(t, nil, "--state", dir)
	require.True(t, strings.HasSuffix(p.url(), "/"+api+"/prod"), p.url())
	dial(t, p.url(), wsconn.DialOptions{})
	kept, err := os.ReadFile(filepath.Join(dir, "tls", "ca.pem"))
	require.NoError(t, err)
	require.Equal(t, authority, kept, "who trusted it before still does")
	info, err := os.Stat(filepath.Join(dir, "tls", "ca-key.pem"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

// With signatures, nobody without a key has a say. Functions have a key of their own.
func TestDev_Signatures(t *testing.T) {
	t.Parallel()
	const secret = "a-secret-of-the-user"
	env := []string{"GATEWAY_ACCESS_KEY_ID=somebody", "GATEWAY_SECRET_ACCESS_KEY=" + secret}
	p := runDev(t, env, "--verify-signatures", project(t, template()))
	for _, test := range []struct {
		id, secret string
		status     int
	}{{"", "", 403}, {"test", "test", 403}, {"somebody", "wrong", 403}, {"somebody", secret, 200}} {
		status, answer := p.control(http.MethodGet, "/v2/apis", "", test.id, test.secret)
		require.Equal(t, test.status, status, answer)
	}
	c := dial(t, p.url(), wsconn.DialOptions{})
	c.send(`{"action":"post"}`)
	require.Equal(t, `{"action":"post"}`, c.receive())
	c.send(`{"action":"environment"}`)
	require.NotContains(t, c.receive(), secret)

	address := p.await(`^ready in \d+ ms +(http://\S+),`)[1]
	id := p.await(`connected  (\S+) from`)[1]
	status, _ := get(t, address+"/prod/@connections/"+url.PathEscape(id))
	require.Equal(t, http.StatusForbidden, status)
	require.NotContains(t, p.text(), secret)
	p.await(`  control   GET /v2/apis  403  \d+\.\d ms  MissingAuthenticationTokenException$`)
	p.await(`AWS_ACCESS_KEY_ID=somebody AWS_SECRET_ACCESS_KEY=\$GATEWAY_SECRET_ACCESS_KEY$`)
}

// A page of another origin, and a name that was made to point here, are refused.
func TestDev_HostilePages(t *testing.T) {
	t.Parallel()
	p := runDev(t, nil)
	for name, header := range map[string][]string{
		"rebinding": {"Host", "evil.example"}, "origin": {"Origin", "https://evil.example"}, "fetch": {"Sec-Fetch-Site", "cross-site"},
	} {
		status, answer := p.control(http.MethodPost, "/v2/apis", `{"name":"x"}`, "", "", header...)
		require.Equal(t, http.StatusForbidden, status, name)
		require.NotContains(t, answer, "apiId", name)
	}
}

// What is printed has no body unless that is wanted, and no control characters of a client.
func TestDev_Lines(t *testing.T) {
	t.Parallel()
	file := project(t, template())
	p := runDev(t, nil, file, "--env", "VERSION=secret\x1b[2J")
	c := dial(t, p.url(), wsconn.DialOptions{})
	c.send(`{"action":"version","token":"hidden"}`)
	c.receive()
	c.send(`{"action":"fail"}`)
	require.Contains(t, c.receive(), "Internal server error")
	c.send("\x1b[31mred")
	require.Contains(t, c.receive(), "Forbidden")
	p.await(`  version +200 +\d+\.\d ms  the message selects "version"$`)
	p.await(`  fail +502 +\d+\.\d ms  the message selects "fail"  the function raised Failed: out of order$`)
	p.await(`  no route +403  the message is not JSON, so no value selects a route`)
	require.NotContains(t, p.text(), "hidden")
	require.NotContains(t, p.text(), "\x1b")

	p = runDev(t, nil, file, "--env", "VERSION=shown\x1b[2J", "--show-bodies")
	c = dial(t, p.url(), wsconn.DialOptions{})
	c.send(`{"action":"version","token":"seen"}`)
	c.receive()
	p.await(`  in +\{"action":"version","token":"seen"\}$`)
	p.await(`  out +shown·\[2J$`)
}

// A port that is taken is one clear line, or another port.
func TestDev_PortInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	p := startDev(t, nil, "--port", port)
	require.Equal(t, 1, p.exit())
	p.await(`^gateway: port ` + port + ` is in use: end the program that uses it, or choose another one with --port$`)
}

// A definition with a function that has no interpreter here runs what it can.
func TestDev_MissingInterpreter(t *testing.T) {
	t.Parallel()
	file := project(t, strings.Replace(template(), "Runtime: provided.al2023", "Runtime: ruby3.3\n      Handler: app.handler", 1))
	p := runDev(t, nil, file)
	p.await(`  local-Function  a function cannot run: .*ruby3.3`)
	_, resp, err := wsconn.Dial(context.Background(), p.url(), wsconn.DialOptions{})
	require.Error(t, err)
	require.NotNil(t, resp)
	defer resp.Body.Close()
	require.Equal(t, http.StatusInternalServerError, resp.StatusCode)
	p.await(`  \$connect +5\d\d .*ruby3.3`)
	require.NotContains(t, p.text(), "set Command")
}

// A serverless.yml gets its stage and options from flags. It is read again when a file that it
// names changes, also one that was missing.
func TestDev_Serverless(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFunction(t, dir)
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("serverless.yml", `service: chat
provider:
  name: aws
  runtime: provided.al2023
  region: eu-west-1
  environment: {VERSION: "${file(version.yml):v, opt:fallback}"}
functions:
  chat:
    handler: bootstrap
    events: [{websocket: {route: version, routeResponseSelectionExpression: $default}}]
`)
	p := runDev(t, nil, dir, "--stage", "prod", "--option", "fallback=none")
	require.Equal(t, 0, strings.Count(p.text(), "warning"), p.text())
	p.await(`export AWS_REGION=eu-west-1 `)
	c := dial(t, p.url(), wsconn.DialOptions{})
	ask := func() string {
		c.send(`{"action":"version"}`)
		return c.receive()
	}
	require.Equal(t, "none", ask())
	for _, version := range []string{"first", "second"} {
		n := p.printed()
		write("version.yml", "v: "+version+"\n")
		p.awaitAfter(n, `reloaded `)
		require.Equal(t, version, ask())
	}
}

// What the program itself writes beside the code is no code: its output, which a shell names, and
// its state. So processes stay.
func TestDev_OutputBesideCode(t *testing.T) {
	t.Parallel()
	file := project(t, template())
	dir := filepath.Join(filepath.Dir(file), "src")
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	defer log.Close()
	cmd := exec.Command(binary, "dev", "--port", "0", "--tls-port", "0", "--state", filepath.Join(dir, "state"), file)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	defer func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, cmd.Wait())
	}()
	text := func() string {
		text, err := os.ReadFile(log.Name())
		require.NoError(t, err)
		return string(text)
	}
	require.Eventually(t, func() bool { return strings.Contains(text(), "\nready in") }, patience, 10*time.Millisecond)
	c := dial(t, regexp.MustCompile(`  prod +(ws://\S+/prod)\n`).FindStringSubmatch(text())[1], wsconn.DialOptions{})
	ask := func() string {
		c.send(`{"action":"pid"}`)
		return c.receive()
	}
	pid := ask()
	for n := 1; n <= 3; n++ { // the files are looked at between two of these
		require.NoError(t, os.WriteFile(file, []byte(template()+"# "+strings.Repeat("x", n)), 0o600))
		require.Eventually(t, func() bool { return strings.Count(text(), "  reloaded ") == n }, patience, 10*time.Millisecond)
		require.Equal(t, pid, ask())
	}
	require.NotContains(t, text(), "function code changed")
}

// Parameters and the environment of functions come from flags. What the flags say is the last
// word.
func TestDev_Flags(t *testing.T) {
	t.Parallel()
	p := runDev(t, []string{"SHARED=from outside", "PRIVATE=no"}, project(t, template()), "--parameter", "Version=other",
		"--env", "ENDPOINT=http://stand-in", "--env", "AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:8000", "--pass-env", "SHARED", "--quiet")
	c := dial(t, p.url(), wsconn.DialOptions{})
	c.send(`{"action":"environment"}`)
	env := strings.Split(c.receive(), "\n")
	require.Subset(t, env, []string{"VERSION=other", "ENDPOINT=http://stand-in", "AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:8000", "SHARED=from outside", "AWS_ACCESS_KEY_ID=test"})
	require.NotContains(t, env, "PRIVATE=no")
	c.send(`{"action":"fail"}`)
	p.await(`  fail +502 `)
	require.NotContains(t, p.text(), "connected", "--quiet")
	require.NotRegexp(t, `environment +200`, p.text(), "--quiet")
}

// The certificate is good for the names of this machine and, for functions, for custom domain
// names.
func TestDev_Certificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := runDev(t, nil, "--state", dir)
	address := p.await(`https://(localhost:\d+), `)[1]
	for _, test := range []struct {
		file, name string
		trusted    bool
	}{
		{"ca.pem", "localhost", true},
		{"ca.pem", "127.0.0.1", true},
		{"ca.pem", "any.localhost", true},
		{"ca.pem", "abc.execute-api.us-east-1.localhost", true},
		{"ca.pem", "chat.example.com", false},
		{"functions.pem", "chat.example.com", true},
		{"bundle.pem", "localhost", true},
	} {
		pem, err := os.ReadFile(filepath.Join(dir, "tls", test.file))
		require.NoError(t, err)
		roots := x509.NewCertPool()
		require.True(t, roots.AppendCertsFromPEM(pem))
		c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: test.name, MinVersion: tls.VersionTLS12})
		if !test.trusted {
			var unknown x509.UnknownAuthorityError
			require.ErrorAs(t, err, &unknown, test.name)
			continue
		}
		require.NoError(t, err, test.name)
		require.NoError(t, c.Close())
	}
}

// The first example of docs/dev.md, with "gateway send" as its page says.
func TestDev_FirstExample(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("node"); err != nil {
		if os.Getenv("GATEWAY_E2E") != "" {
			require.NoError(t, err)
		}
		t.Skip("node is not installed")
	}
	p := runDev(t, nil, "testdata/examples/echo/serverless.yml")
	url := p.await(`gateway send (ws://\S+) '\{"action":"say"\}'$`)[1]
	out, err := exec.Command(binary, "send", "--count", "1", "--wait", "20s", url, `{"action":"say","text":"hello"}`).Output()
	require.NoError(t, err)
	require.Equal(t, "you said hello\n", string(out))
}

// A page of this machine may connect, whatever its port; others only with --origin. A line says
// so.
func TestDev_Origins(t *testing.T) {
	t.Parallel()
	p := runDev(t, nil, project(t, template()), "--origin", "https://app.example.com")
	for origin, allowed := range map[string]bool{
		"http://localhost:3000": true, "http://127.0.0.1:5173": true, "https://app.example.com": true, "https://evil.example": false,
	} {
		c, resp, err := wsconn.Dial(context.Background(), p.url(), wsconn.DialOptions{Header: http.Header{"Origin": {origin}}})
		if allowed {
			require.NoError(t, err, origin)
			c.CloseNow()
			continue
		}
		require.Error(t, err, origin)
		require.Equal(t, http.StatusForbidden, resp.StatusCode)
		_ = resp.Body.Close()
	}
	p.await(`  \$connect +403  refused  .*origin.*: allow it with --origin$`)
	require.NotContains(t, p.text(), "WithOriginPatterns")
}

// Routes that require an API key get one from a flag.
func TestDev_APIKey(t *testing.T) {
	t.Parallel()
	const key = "0123456789-abcdefghij"
	file := project(t, strings.Replace(template(), "RouteKey: $connect,", "RouteKey: $connect, ApiKeyRequired: true,", 1))
	p := runDev(t, nil, file, "--api-key", key)
	dial(t, p.url(), wsconn.DialOptions{Header: http.Header{"X-Api-Key": {key}}})
	_, resp, err := wsconn.Dial(context.Background(), p.url(), wsconn.DialOptions{})
	require.Error(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusForbidden, resp.StatusCode)
	p.await(`  \$connect +403  refused  .*: give one with --api-key, which the client sends as x-api-key$`)
	require.NotContains(t, p.text(), key)
}

// Who reads the lines may go first, as "tee" does after Ctrl-C: clients get their Close frame all
// the same.
func TestDev_OutputGone(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.Command(binary, "dev", "--port", "0", "--tls-port", "0", project(t, template()))
	cmd.Stdout = w
	require.NoError(t, cmd.Start())
	require.NoError(t, w.Close())
	lines := bufio.NewScanner(r)
	after := func(mark string) string {
		for lines.Scan() {
			if _, rest, found := strings.Cut(lines.Text(), mark); found {
				return strings.TrimSpace(rest)
			}
		}
		require.FailNow(t, "no line has "+mark)
		return ""
	}
	url := after("  prod ")
	after("ready in")
	c := dial(t, url, wsconn.DialOptions{})
	after("connected")
	require.NoError(t, r.Close())
	c.send(`{"action":"pid"}`)
	ends(t, c.receive())
	require.Equal(t, wsconn.CloseGoingAway, c.closed())
	require.NoError(t, cmd.Wait())
}
