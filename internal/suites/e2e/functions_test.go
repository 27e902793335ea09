//go:build unix

package e2e

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
	"example.com/gateway/internal/testutil"
	"example.com/gateway/lambda/api"
	"example.com/gateway/sigv4"
)

// functionLife is the life of a function, by one of the published clients.
type functionLife struct {
	t      *testing.T
	client string
	call   controlClient
	server *controlServer
	called map[string]bool // operations that have succeeded
}

// The whole life of a function by each of the published clients, with its real signer: made
// from a zip file, called, changed, published, and deleted. Together they call what
// docs/clients.md says.
func TestFunctions_Life(t *testing.T) {
	outside(t)
	findTool(t, "apt-get install python3", "python3") // runs the function
	for name, startClient := range controlClients() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &functionLife{t: t, client: name, call: startClient(t), server: startFunctions(t), called: map[string]bool{}}
			for _, step := range []func(*functionLife){
				(*functionLife).make, (*functionLife).change, (*functionLife).publish, (*functionLife).permit, (*functionLife).settle, (*functionLife).refused, (*functionLife).end,
			} {
				step(l)
			}
			require.ElementsMatch(t, documentedOperations(t, "The Lambda API"), slices.Collect(maps.Keys(l.called)), "the table of docs/clients.md")
		})
	}
}

// startFunctions serves the Lambda API to whoever signs with the key of keyEnvironment.
func startFunctions(t *testing.T) *controlServer {
	t.Helper()
	functions, err := api.New(api.Config{Store: controlplane.NewMemory(), Dir: t.TempDir(), Auth: &sigv4.Verifier{
		Service: "lambda", Region: "us-east-1", Keys: sigv4.StaticKeys(map[string]sigv4.Key{allowed: {SecretAccessKey: awsSecret}}),
	}})
	require.NoError(t, err)
	s := &controlServer{log: &testutil.LockedBuffer{}}
	srv := httptest.NewServer(s.watch(functions))
	s.url = srv.URL
	t.Cleanup(func() { require.NoError(t, functions.Close()) })
	t.Cleanup(srv.Close)
	return s
}

// code returns the zip file of a function that answers with its event, with a variable of its
// environment and with a version, and fails if it is asked to.
func code(t *testing.T, version string) blob {
	t.Helper()
	var file bytes.Buffer
	w := zip.NewWriter(&file)
	f, err := w.Create("index.py")
	require.NoError(t, err)
	_, err = f.Write([]byte(`import os

def handler(event, context):
    if event.get("fail"):
        raise ValueError("as asked")
    return [event["text"], os.environ["COLOR"], "` + version + `"]
`))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return file.Bytes()
}

// do calls an operation on the function, which has to succeed with the status of the service.
func (l *functionLife) do(operation string, args arguments) arguments {
	l.t.Helper()
	if _, given := args["FunctionName"]; !given && !slices.Contains([]string{"ListFunctions", "TagResource", "UntagResource", "ListTags"}, operation) {
		args["FunctionName"] = "echo"
	}
	o := l.call(l.t, controlCall{"lambda", l.server.url, operation, args})
	require.Empty(l.t, o.Code, "%s: %s", operation, o.Message)
	want := http.StatusOK
	for prefix, status := range map[string]int{
		"Create": 201, "Publish": 201, "Add": 201, "Delete": 204, "Remove": 204, "Tag": 204, "Untag": 204,
	} {
		if strings.HasPrefix(operation, prefix) {
			want = status
		}
	}
	require.Equal(l.t, want, l.server.lastStatus(), operation)
	l.called[operation] = true
	return o.Answer
}

// invoke returns what the function answers, as JSON.
func (l *functionLife) invoke(event string, more arguments) (payload string, answer arguments) {
	l.t.Helper()
	args := arguments{"Payload": blob(event)}
	maps.Copy(args, more)
	answer = l.do("Invoke", args)
	encoded, ok := answer["Payload"].(string)
	if wrapped, isWrapped := answer["Payload"].(arguments); isWrapped {
		encoded, ok = wrapped["$bytes"].(string)
	}
	require.True(l.t, ok, answer)
	data, err := base64.StdEncoding.DecodeString(encoded)
	require.NoError(l.t, err)
	return string(data), answer
}

func (l *functionLife) make() {
	made := l.do("CreateFunction", arguments{
		"Runtime": "python3.11", "Handler": "index.handler", "Role": "arn:aws:iam::123456789012:role/any", "Timeout": 20,
		"Environment": arguments{"Variables": arguments{"COLOR": "red"}}, "Tags": arguments{"team": "chat"}, "Code": arguments{"ZipFile": code(l.t, "one")},
	})
	require.Equal(l.t, "arn:aws:lambda:us-east-1:123456789012:function:echo", made["FunctionArn"])
	got := l.do("GetFunction", arguments{})
	configuration, ok := got["Configuration"].(arguments)
	require.True(l.t, ok)
	require.Equal(l.t, made["CodeSha256"], configuration["CodeSha256"])
	require.Equal(l.t, "Active", configuration["State"])
	require.Equal(l.t, arguments{"team": "chat"}, got["Tags"])
	require.Equal(l.t, "index.handler", l.do("GetFunctionConfiguration", arguments{})["Handler"])
	list, ok := l.do("ListFunctions", arguments{})["Functions"].([]any)
	require.True(l.t, ok)
	require.Len(l.t, list, 1)
	payload, _ := l.invoke(`{"text":"hello"}`, nil)
	require.JSONEq(l.t, `["hello","red","one"]`, payload)
	payload, answer := l.invoke(`{"fail":true}`, nil)
	require.Equal(l.t, "Unhandled", answer["FunctionError"])
	require.Contains(l.t, payload, "as asked")
}

func (l *functionLife) change() {
	l.do("UpdateFunctionConfiguration", arguments{"Environment": arguments{"Variables": arguments{"COLOR": "blue"}}})
	payload, _ := l.invoke(`{"text":"hello"}`, nil)
	require.JSONEq(l.t, `["hello","blue","one"]`, payload)
}

// publish makes a version, and then changes the code: the version and its alias stay.
func (l *functionLife) publish() {
	require.Equal(l.t, "1", l.do("PublishVersion", arguments{})["Version"])
	l.do("CreateAlias", arguments{"Name": "live", "FunctionVersion": "1"})
	l.do("UpdateFunctionCode", arguments{"ZipFile": code(l.t, "two")})
	payload, _ := l.invoke(`{"text":"hello"}`, nil)
	require.JSONEq(l.t, `["hello","blue","two"]`, payload)
	payload, _ = l.invoke(`{"text":"hello"}`, arguments{"Qualifier": "live"})
	require.JSONEq(l.t, `["hello","blue","one"]`, payload)
	require.Equal(l.t, "2", l.do("PublishVersion", arguments{})["Version"])
	l.do("UpdateAlias", arguments{"Name": "live", "FunctionVersion": "2"})
	require.Equal(l.t, "2", l.do("GetAlias", arguments{"Name": "live"})["FunctionVersion"])
	payload, _ = l.invoke(`{"text":"hello"}`, arguments{"Qualifier": "live"})
	require.JSONEq(l.t, `["hello","blue","two"]`, payload)
	versions, ok := l.do("ListVersionsByFunction", arguments{})["Versions"].([]any)
	require.True(l.t, ok)
	require.Len(l.t, versions, 3, "$LATEST, 1 and 2")
	aliases, ok := l.do("ListAliases", arguments{})["Aliases"].([]any)
	require.True(l.t, ok)
	require.Len(l.t, aliases, 1)
}

func (l *functionLife) permit() {
	const source = "arn:aws:execute-api:us-east-1:123456789012:a1b2c3d4e5/*/*"
	l.do("AddPermission", arguments{"StatementId": "api", "Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com", "SourceArn": source})
	require.Contains(l.t, text(l.t, l.do("GetPolicy", arguments{}), "Policy"), source)
	l.do("RemovePermission", arguments{"StatementId": "api"})
}

func (l *functionLife) settle() {
	const arn = "arn:aws:lambda:us-east-1:123456789012:function:echo"
	l.do("TagResource", arguments{"Resource": arn, "Tags": arguments{"one": "a b"}})
	l.do("UntagResource", arguments{"Resource": arn, "TagKeys": []string{"team"}})
	require.Equal(l.t, arguments{"one": "a b"}, l.do("ListTags", arguments{"Resource": arn})["Tags"])
	l.do("PutFunctionConcurrency", arguments{"ReservedConcurrentExecutions": 2})
	require.InDelta(l.t, 2, l.do("GetFunctionConcurrency", arguments{})["ReservedConcurrentExecutions"], 0)
	l.do("DeleteFunctionConcurrency", arguments{})
	require.Empty(l.t, l.do("GetFunctionCodeSigningConfig", arguments{})["CodeSigningConfigArn"])
}

// refused is what a caller sees of errors.
func (l *functionLife) refused() {
	for _, test := range []struct {
		code, message, operation string
		args                     arguments
	}{
		{"ResourceNotFoundException", "Function not found", "GetFunction", arguments{"FunctionName": "nothere"}},
		{"ResourceNotFoundException", "", "Invoke", arguments{"FunctionName": "nothere", "Payload": blob("{}")}},
		{"ResourceConflictException", "Function already exist", "CreateFunction", arguments{
			"FunctionName": "echo", "Runtime": "python3.11", "Handler": "index.handler", "Role": "arn:aws:iam::123456789012:role/any", "Code": arguments{"ZipFile": code(l.t, "x")},
		}},
		{"InvalidParameterValueException", "", "CreateFunction", arguments{
			"FunctionName": "bad", "Runtime": "cobol1.x", "Handler": "index.handler", "Role": "arn:aws:iam::123456789012:role/any", "Code": arguments{"ZipFile": code(l.t, "x")},
		}},
	} {
		o := l.call(l.t, controlCall{"lambda", l.server.url, test.operation, test.args})
		require.Equal(l.t, test.code, o.Code, "%s: %s", test.operation, o.Message)
		require.Contains(l.t, o.Message, test.message, test.operation)
		if l.client != "AWS CLI" {
			require.Equal(l.t, test.code, o.Class, test.operation)
		}
	}
}

func (l *functionLife) end() {
	l.do("DeleteAlias", arguments{"Name": "live"})
	l.do("DeleteFunction", arguments{})
	o := l.call(l.t, controlCall{"lambda", l.server.url, "GetFunction", arguments{"FunctionName": "echo"}})
	require.Equal(l.t, "ResourceNotFoundException", o.Code)
}
