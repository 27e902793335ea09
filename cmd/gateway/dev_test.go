package main

import (
	"bufio"
	"context"
	"fmt"
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
	t     *testing.T
	cmd   *exec.Cmd
	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed and replaced when a line comes
	ended chan struct{}
}

// runDev starts the program, and waits until it is ready. Its ports are any free ones, unless
// args say otherwise.
func runDev(t *testing.T, env []string, args ...string) *program {
	t.Helper()
	p := startDev(t, env, args...)
	p.await(`^ready in \d+ ms`)
	return p
}

func startDev(t *testing.T, env []string, args ...string) *program {
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
			t.Log(p.text())
		}
	})
	return p
}

func (p *program) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
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
func project(t *testing.T, text string) (file string) {
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
	number, err := strconv.Atoi(pid)
	require.NoError(t, err)
	require.ErrorIs(t, syscall.Kill(number, 0), syscall.ESRCH, "the function has ended")
}

// A second signal does not wait for a function that hangs.
func TestDev_StopTwice(t *testing.T) {
	t.Parallel()
	p := runDev(t, nil, project(t, template()))
	c := dial(t, p.url(), wsconn.DialOptions{})
	c.send(`{"action":"hang"}`)
	p.await(`event hang$`)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGINT))
	p.await(`Press Ctrl-C again to end at once`)
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

	write(strings.Replace(template(), "Default: one", "Default: two", 1))
	p.await(`reloaded .*template.yaml`)
	require.Equal(t, "two", ask(), "the function has a new process")

	n := p.printed()
	write(strings.Replace(template(), "Name: Chat,", "Nam: Chat,", 1))
	p.awaitAfter(n, `not reloaded, what ran before still runs:$`)
	p.awaitAfter(n, `template.yaml:7: Chat: .* has no property "Nam": did you mean "Name"\?$`)
	require.Equal(t, "two", ask())

	n = p.printed()
	write(strings.Replace(template(), "RouteKey: version", "RouteKey: other", 1))
	p.awaitAfter(n, `reloaded .*template.yaml`)
	require.Contains(t, ask(), `"Forbidden"`)
	p.awaitAfter(n, `  no route +403  no route has the key "version"  .*: add a route with this key, or \$default$`)
}
