//go:build unix

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
	"example.com/gateway/internal/testutil"
	"example.com/gateway/lambda"
	"example.com/gateway/lambda/api"
	"example.com/gateway/sigv4"
)

// arguments are those of a call of the control plane, or its answer, with the names of the
// SDKs.
type arguments = map[string]any

// blob is an argument that is bytes.
type blob []byte

func (b blob) MarshalJSON() ([]byte, error) { return json.Marshal(map[string][]byte{"$bytes": b}) }

// controlCall is one call of the control plane, of @connections or of the Lambda API, for
// any of the clients.
type controlCall struct {
	Service   string    `json:"service"` // apigatewayv2, apigatewaymanagementapi or lambda
	Endpoint  string    `json:"endpoint"`
	Operation string    `json:"operation"` // CreateApi
	Arguments arguments `json:"arguments"`
}

// controlOutcome is what the caller sees.
type controlOutcome struct {
	Status  int       `json:"status"` // 0: the client does not report it
	Answer  arguments `json:"answer"`
	Class   string    `json:"class"` // of the error, in the client's language; "": it has only a name
	Code    string    `json:"code"`
	Message string    `json:"message"`
}

// controlClient calls one of the published clients, unmodified.
type controlClient func(t *testing.T, c controlCall) controlOutcome

// controlClients returns how to start each of them.
func controlClients() map[string]func(t *testing.T) controlClient {
	return map[string]func(t *testing.T) controlClient{
		"AWS CLI": startControlCLI,
		"boto3": func(t *testing.T) controlClient {
			t.Helper()
			return startControlDriver(t, exec.CommandContext(t.Context(), findBoto3(t), "controlplane.py"))
		},
		"AWS SDK for Go": func(t *testing.T) controlClient {
			t.Helper()
			return startControlDriver(t, exec.CommandContext(t.Context(), buildAWSClient(t, "./controlplane")))
		},
		"AWS SDK for JS, v3": func(t *testing.T) controlClient {
			t.Helper()
			findModule(t, "@aws-sdk/client-apigatewayv2/package.json")
			return startControlDriver(t, exec.CommandContext(t.Context(), findTool(t, "install Node.js 20 or newer", "node"), "controlplane.mjs"))
		},
	}
}

// keyEnvironment has the access key that every server of these tests knows.
func keyEnvironment(t *testing.T) []string {
	t.Helper()
	return awsEnvironment(t, "AWS_ACCESS_KEY_ID="+allowed, "AWS_SECRET_ACCESS_KEY="+awsSecret)
}

// startControlDriver starts a program that reads one call from each line and writes one
// outcome for each.
func startControlDriver(t *testing.T, cmd *exec.Cmd) controlClient {
	t.Helper()
	cmd.Env = keyEnvironment(t)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	cmd.Cancel = stdin.Close
	p, outcomes := start(t, cmd), 0
	return func(t *testing.T, c controlCall) (o controlOutcome) {
		t.Helper()
		require.NoError(t, json.NewEncoder(stdin).Encode(c))
		require.NoError(t, json.Unmarshal([]byte(p.next(t, &outcomes)), &o))
		return o
	}
}

// startControlCLI returns the AWS CLI, which is started for each call.
func startControlCLI(t *testing.T) controlClient {
	t.Helper()
	aws := findCLI(t)
	return func(t *testing.T, c controlCall) (o controlOutcome) {
		t.Helper()
		args := []string{c.Service, kebab(c.Operation), "--endpoint-url", c.Endpoint, "--output", "json"}
		for name, value := range c.Arguments {
			args = append(args, cliOption(t, name, value))
		}
		answer := filepath.Join(t.TempDir(), "answer")
		if c.Operation == "Invoke" {
			args = append(args, answer)
		}
		cmd := exec.CommandContext(t.Context(), aws, args...)
		cmd.Env = keyEnvironment(t)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err == nil {
			if stdout.Len() > 0 {
				require.NoError(t, json.Unmarshal(stdout.Bytes(), &o.Answer), stdout.String())
			}
			if payload, err := os.ReadFile(answer); err == nil {
				o.Answer["Payload"] = base64.StdEncoding.EncodeToString(payload)
			}
			return o
		}
		said := cliError.FindStringSubmatch(stderr.String())
		require.NotNil(t, said, stderr.String())
		o.Code, o.Message = said[1], strings.TrimSpace(said[2])
		return o
	}
}

var capital = regexp.MustCompile(`(.)([A-Z])`)

// kebab returns the name of an operation or an argument as the AWS CLI has it: "create-api".
func kebab(name string) string {
	return strings.ToLower(capital.ReplaceAllString(name, "$1-$2"))
}

// cliOption returns an argument as an option: a text as it is, bytes in a file, anything else
// as JSON. The code of a function has an option of its own.
func cliOption(t *testing.T, name string, value any) string {
	t.Helper()
	switch value := value.(type) {
	case bool:
		if !value {
			return "--no-" + kebab(name)
		}
		return "--" + kebab(name)
	case string:
		return "--" + kebab(name) + "=" + value
	case blob:
		path := filepath.Join(t.TempDir(), "bytes")
		require.NoError(t, os.WriteFile(path, value, 0o600))
		return "--" + kebab(name) + "=fileb://" + path
	case arguments:
		if code, ok := value["ZipFile"]; ok {
			return cliOption(t, "ZipFile", code)
		}
	}
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return "--" + kebab(name) + "=" + string(text)
}

// controlServer is a control plane on a port of its own. It lets in whoever signs with the
// key of keyEnvironment.
type controlServer struct {
	url string
	log *testutil.LockedBuffer

	mu     sync.Mutex // guards the field below
	status int        // of the last answer of the REST API, or of the Lambda API
}

// The function chat answers "{connection} {color} {body}", and the authorizer auth lets in
// who has the token "open".
func controlFunctions() controlplane.Functions {
	return controlplane.Functions{
		"chat": lambda.NewInvoker(func(req lambda.WebsocketRequest) (lambda.Response, error) {
			return lambda.Response{StatusCode: http.StatusOK, Body: strings.Join([]string{req.RequestContext.ConnectionID, req.StageVariables["color"], req.Body}, " ")}, nil
		}),
		"auth": lambda.NewInvoker(func(req lambda.AuthorizerRequest) (lambda.AuthorizerResponse, error) {
			effect := "Deny"
			if req.QueryStringParameters["token"] == "open" {
				effect = "Allow"
			}
			return lambda.AuthorizerResponse{PrincipalID: "ann", PolicyDocument: lambda.PolicyFor(effect, req.MethodARN)}, nil
		}),
	}
}

func startControlPlane(t *testing.T, cfg controlplane.Config) *controlServer {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	s := &controlServer{log: &testutil.LockedBuffer{}}
	verifier := func(service string) *sigv4.Verifier {
		return &sigv4.Verifier{Service: service, Region: "us-east-1", Keys: sigv4.StaticKeys(map[string]sigv4.Key{allowed: {SecretAccessKey: awsSecret}})}
	}
	cfg.Endpoint = "ws://" + srv.Listener.Addr().String()
	cfg.ControlAuth, cfg.Auth = verifier("apigateway"), verifier("execute-api")
	cfg.Logger = slog.New(slog.NewTextHandler(s.log, nil))
	server, err := controlplane.New(cfg)
	require.NoError(t, err)
	srv.Config.Handler = s.watch(server)
	srv.Start()
	s.url = srv.URL
	t.Cleanup(srv.Close)
	t.Cleanup(func() { require.NoError(t, server.Shutdown(context.WithoutCancel(t.Context()))) })
	return s
}

// watch notes the statuses of the REST API and of the Lambda API, which not every client reports.
func (s *controlServer) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &statusWriter{ResponseWriter: w}
		next.ServeHTTP(answer, r)
		if strings.HasPrefix(r.URL.Path, "/v2/") || api.Owns(r) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.status = answer.status
		}
	})
}

func (s *controlServer) lastStatus() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// text returns a member of an answer that is a text.
func text(t *testing.T, answer arguments, name string) string {
	t.Helper()
	value, ok := answer[name].(string)
	require.True(t, ok, "%s in %v", name, answer)
	return value
}

// items returns a member of each entry of a list.
func items(t *testing.T, answer arguments, name string) (values []string) {
	t.Helper()
	entries, _ := answer["Items"].([]any)
	for _, entry := range entries {
		document, ok := entry.(arguments)
		require.True(t, ok, entry)
		values = append(values, fmt.Sprint(document[name]))
	}
	return values
}

// buildAWSClient builds a program of the module with the AWS SDK for Go.
func buildAWSClient(t *testing.T, pkg string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "client")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, pkg)
	build.Dir = "../../awsclient" // a module of its own
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return binary
}
