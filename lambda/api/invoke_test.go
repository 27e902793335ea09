package api_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
	"example.com/gateway/internal/testutil"
	"example.com/gateway/lambda"
	"example.com/gateway/lambda/api"
)

func TestInvoke(t *testing.T) {
	t.Parallel()
	var log testutil.LockedBuffer
	c := newClient(t, api.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	c.create(nil)
	invoke := func(body any, header ...string) *response {
		r := c.request("POST", chat+"/invocations", body)
		for n := 0; n < len(header); n += 2 {
			r.Header.Set(header[n], header[n+1])
		}
		return c.send(r)
	}
	a := invoke(event{Do: "print", Text: "hello"}, "X-Amz-Log-Type", "Tail", "X-Amz-Invocation-Type", "RequestResponse")
	require.Equal(t, 200, a.status)
	require.Equal(t, "one", a.body["code"])
	require.Equal(t, "$LATEST", a.header.Get("X-Amz-Executed-Version"))
	tail, err := base64.StdEncoding.DecodeString(a.header.Get("X-Amz-Log-Result"))
	require.NoError(t, err)
	id := a.header["x-amzn-RequestId"][0] //nolint:staticcheck // as the service writes it
	require.Regexp(t, "^START RequestId: "+id+` Version: \$LATEST`+"\nhello\nEND RequestId: "+id+"\nREPORT RequestId: "+id+"\tDuration: [0-9.]+ ms\tBilled Duration: [0-9]+ ms\tMemory Size: 128 MB\t\n$", string(tail))
	a = invoke(event{Do: "print", Text: strings.Repeat("x", 10000)}, "X-Amz-Log-Type", "Tail")
	tail, err = base64.StdEncoding.DecodeString(a.header.Get("X-Amz-Log-Result"))
	require.NoError(t, err)
	require.Len(t, tail, 4096)
	require.Empty(t, invoke(nil).header.Get("X-Amz-Log-Result"))

	a = invoke(event{Do: "raise", Text: "it is wrong"})
	require.Equal(t, 200, a.status)
	require.Equal(t, "Unhandled", a.header.Get("X-Amz-Function-Error"))
	require.JSONEq(t, `{"errorMessage":"it is wrong","errorType":"Failed","trace":["line 1"]}`, a.text)
	require.Equal(t, 204, invoke(nil, "X-Amz-Invocation-Type", "DryRun").status)
	require.Equal(t, 400, invoke(nil, "X-Amz-Invocation-Type", "Later").status)
	c.refused(400, "InvalidRequestContentException", "Could not parse request body into json", "POST", chat+"/invocations", "{")
	c.refused(413, "RequestTooLargeException", "Request must be smaller than 6291456 bytes", "POST", chat+"/invocations", `"`+strings.Repeat("x", 6<<20)+`"`)

	marker := filepath.Join(t.TempDir(), "marker")
	require.NoError(t, os.WriteFile(marker, nil, 0o600))
	a = invoke(event{Do: "wait", File: marker}, "X-Amz-Invocation-Type", "Event")
	require.Equal(t, 202, a.status)
	require.Empty(t, a.text)
	require.NoError(t, os.Remove(marker))
	require.Equal(t, 202, invoke(event{Do: "raise", Text: "nobody hears"}, "X-Amz-Invocation-Type", "Event").status)
	require.Eventually(t, func() bool {
		return strings.Contains(log.String(), "an event that nobody waits for failed") && strings.Contains(log.String(), "nobody hears")
	}, 30*time.Second, time.Millisecond)
	large := invoke(`"`+strings.Repeat("x", 1<<20)+`"`, "X-Amz-Invocation-Type", "Event")
	require.Equal(t, 413, large.status)
	require.Contains(t, large.text, "too large for the Event invocation type")
}

// What cannot run is an error of the function, in one clear line.
func TestInvoke_DoesNotStart(t *testing.T) {
	t.Parallel()
	c := newClient(t, api.Config{})
	zip := func(files map[string]file) string { return base64.StdEncoding.EncodeToString(zipped(t, files)) }
	for name, tt := range map[string]struct {
		runtime string
		files   map[string]file
		want    string
	}{
		"none":       {"provided.al2023", map[string]file{"other": {"x", 0o755}}, "Couldn't find valid bootstrap(s)"},
		"windows":    {"provided.al2023", map[string]file{"bootstrap": {"#!/bin/sh\n", 0}}, "permission denied: make the file executable"},
		"java":       {"java21", map[string]file{"a.class": {"x", 0o644}}, `no bootstrap for the runtime "java21"`},
		"no handler": {"nodejs22.x", map[string]file{"index.js": {"x", 0o644}}, "is not FILE.FUNCTION"},
	} {
		c.must(201, "POST", functions, definition(t, document{"FunctionName": "broken", "Runtime": tt.runtime, "Code": document{"ZipFile": zip(tt.files)}}))
		a := c.do("POST", functions+"/broken/invocations", nil)
		require.Equal(t, 200, a.status, name)
		require.Equal(t, "Unhandled", a.header.Get("X-Amz-Function-Error"))
		require.Equal(t, "Runtime.InvalidEntrypoint", a.body["errorType"])
		require.Contains(t, a.body["errorMessage"], tt.want)
		c.must(204, "DELETE", functions+"/broken", nil)
	}
}

// A client that calls a function which does not start does not fill the log.
func TestInvoke_DoesNotStartIsToldOnce(t *testing.T) {
	t.Parallel()
	var log testutil.LockedBuffer
	c := newClient(t, api.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	c.create(document{"Runtime": "java21"})
	for range 20 {
		require.Equal(t, "Unhandled", c.do("POST", chat+"/invocations", nil).header.Get("X-Amz-Function-Error"))
	}
	require.Equal(t, 1, strings.Count(log.String(), "function does not start"))
	c.must(200, "PUT", chat+"/configuration", document{"Runtime": "provided.al2023"})
	require.Equal(t, "one", c.invoke("chat", event{}).Code, "a change is tried at once")
}

// An API finds a function by all forms of its name.
func TestServer_ResolveFunction(t *testing.T) {
	t.Parallel()
	c := newClient(t, api.Config{})
	c.create(document{"Publish": true})
	c.must(201, "POST", chat+"/aliases", document{"Name": "live", "FunctionVersion": "1"})
	c.must(200, "PUT", chat+"/code", document{"ZipFile": code(t, "two")})
	for uri, want := range map[string]string{
		"chat": "two", chatARN: "two", chatARN + ":$LATEST": "two", chatARN + ":1": "one", chatARN + ":live": "one", "chat:live": "one",
		"arn:aws:lambda:eu-west-1:000000000000:function:chat":                                                                "two",
		"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/" + chatARN + ":live/invocations":                     "one",
		"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:1:function:chat/invocations": "two",
	} {
		i, err := c.server.ResolveFunction(uri)
		require.NoError(t, err, uri)
		text, err := i.InvokeFunction(t.Context(), []byte(`{}`))
		require.NoError(t, err)
		var got answer
		require.NoError(t, json.Unmarshal(text, &got))
		require.Equal(t, want, got.Code, uri)
	}
	for _, uri := range []string{"other", chatARN + ":2", chatARN + ":none"} {
		_, err := c.server.ResolveFunction(uri)
		require.ErrorIs(t, err, controlplane.ErrUnknownFunction, uri)
	}
	_, err := c.server.ResolveFunction("arn:aws:sqs:us-east-1:1:q")
	require.ErrorContains(t, err, "write its ARN")
	i, err := c.server.ResolveFunction("chat")
	require.NoError(t, err)
	c.must(204, "DELETE", chat, nil)
	_, err = i.InvokeFunction(t.Context(), []byte(`{}`))
	var refused *lambda.InvokeError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 404, refused.StatusCode)
}

// An event that runs ends on the old code, although it was replaced or the function is gone.
// The next one gets the new code.
func TestReplace(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*client){
		"code":          func(c *client) { c.must(200, "PUT", chat+"/code", document{"ZipFile": code(c.tb, "two")}) },
		"configuration": func(c *client) { c.must(200, "PUT", chat+"/configuration", document{"Timeout": 20}) },
		"deletion":      func(c *client) { c.must(204, "DELETE", chat, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c := newClient(t, api.Config{Dir: dir})
			c.create(nil)
			c.invoke("chat", event{})
			marker := filepath.Join(t.TempDir(), "marker")
			require.NoError(t, os.WriteFile(marker, nil, 0o600))
			var wait sync.WaitGroup
			var got answer
			i, err := c.server.ResolveFunction("chat")
			require.NoError(t, err)
			began := make(chan error, 1)
			wait.Go(func() {
				text, err := json.Marshal(event{Do: "wait", File: marker})
				began <- err
				text, err = i.InvokeFunction(context.WithoutCancel(t.Context()), text)
				if err == nil {
					err = json.Unmarshal(text, &got)
				}
				began <- err
			})
			require.NoError(t, <-began)
			requireFile(t, marker+".began")
			change(c)
			fresh := 0
			if name != "deletion" {
				fresh = c.invoke("chat", event{}).PID
			}
			require.NoError(t, os.Remove(marker))
			wait.Wait()
			require.NoError(t, <-began)
			require.NotEqual(t, fresh, got.PID)
			require.Equal(t, answer{"one", "$LATEST", chatARN, nil, got.PID}, got)
			if name != "configuration" {
				require.Eventually(t, func() bool {
					left, err := os.ReadDir(filepath.Join(dir, "code"))
					return err == nil && len(left) == map[string]int{"code": 1}[name]
				}, 30*time.Second, time.Millisecond, "old code is removed")
			}
		})
	}
}

func requireFile(t *testing.T, path string) {
	t.Helper()
	require.Eventually(t, func() bool { _, err := os.Stat(path); return err == nil }, 30*time.Second, time.Millisecond)
}

// A function sees the variables of all functions and its own, and nothing of this program.
func TestEnvironment(t *testing.T) {
	t.Setenv("SECRET_OF_THE_PROGRAM", "do not show")
	t.Setenv("SHOWN", "yes")
	c := newClient(t, api.Config{Env: []string{"ALL=1", "OWN=all"}, Overrides: []string{"OVER=all"}, PassEnv: []string{"SHOWN"}})
	c.create(document{"Environment": document{"Variables": document{"OWN": "own", "OVER": "own"}}, "LoggingConfig": document{"LogGroup": "/mine"}})
	env := map[string]string{}
	for _, v := range c.invoke("chat", event{Do: "environment"}).Env {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	for name, want := range map[string]string{
		"ALL": "1", "OWN": "own", "OVER": "all", "SHOWN": "yes", "SECRET_OF_THE_PROGRAM": "", "AWS_LAMBDA_LOG_GROUP_NAME": "/mine",
		"AWS_LAMBDA_FUNCTION_NAME": "chat", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_REGION": "us-east-1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
	} {
		require.Equal(t, want, env[name], name)
	}
}

// Functions and their code are there after a restart. What a crash has left of others is
// removed.
func TestRestart(t *testing.T) {
	t.Parallel()
	store, dir := controlplane.NewMemory(), t.TempDir()
	c := newClient(t, api.Config{Store: store, Dir: dir})
	c.create(document{"Publish": true})
	c.must(200, "PUT", chat+"/code", document{"ZipFile": code(t, "two")})
	require.NoError(t, c.server.Close())
	for _, left := range []string{"code/.unfinished-1", "code/" + strings.Repeat("a", 64) + ".zip", "unpacked/.unfinished-2/x", "unpacked/" + strings.Repeat("b", 64) + "/x", "code/mine.txt"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, left)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, left), nil, 0o600))
	}
	c = newClient(t, api.Config{Store: store, Dir: dir})
	require.Equal(t, "two", c.invoke("chat", event{}).Code)
	require.Equal(t, "one", c.invoke("chat:1", event{}).Code)
	kept, err := filepath.Glob(filepath.Join(dir, "code", "*"))
	require.NoError(t, err)
	require.Len(t, kept, 3, "two zip files, and what is not ours")
	hidden, err := filepath.Glob(filepath.Join(dir, "*", ".unfinished*"))
	require.NoError(t, err)
	require.Empty(t, hidden)
}

// brokenStore fails to commit.
type brokenStore struct {
	controlplane.Store
	broken bool
}

var errDisk = errors.New("no space on a disk with a secret name")

func (s *brokenStore) Update(f func(controlplane.Writer) error) error {
	return s.Store.Update(func(w controlplane.Writer) error {
		if err := f(w); err != nil || !s.broken {
			return err
		}
		return errDisk
	})
}

// forgetfulStore cannot be read between two changes.
type forgetfulStore struct {
	controlplane.Store
	broken bool
}

func (s *forgetfulStore) View(f func(controlplane.Reader) error) error {
	if s.broken {
		return errDisk
	}
	return s.Store.View(f)
}

// A change that was committed is known at once, although the store cannot be read after it, and
// its code stays.
func TestForgetfulStore(t *testing.T) {
	t.Parallel()
	store := &forgetfulStore{Store: controlplane.NewMemory()}
	dir := t.TempDir()
	c := newClient(t, api.Config{Store: store, Dir: dir})
	c.create(nil)
	c.create(document{"FunctionName": "other", "Code": document{"ZipFile": code(t, "other")}})
	require.Equal(t, "one", c.invoke("chat", event{}).Code)
	store.broken = true
	c.must(200, "PUT", chat+"/code", document{"ZipFile": code(t, "two")})
	c.must(204, "DELETE", functions+"/other", nil)
	require.Equal(t, "two", c.invoke("chat", event{}).Code)
	store.broken = false
	require.NoError(t, c.server.Close())
	c = newClient(t, api.Config{Store: store, Dir: dir})
	require.Equal(t, "two", c.invoke("chat", event{}).Code)
}

// A change that was not committed has not happened.
func TestBrokenStore(t *testing.T) {
	t.Parallel()
	store := &brokenStore{Store: controlplane.NewMemory()}
	var log testutil.LockedBuffer
	dir := t.TempDir()
	c := newClient(t, api.Config{Store: store, Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	c.create(nil)
	before := c.must(200, "GET", chat+"/configuration", nil)
	store.broken = true
	for _, call := range []struct {
		method, path string
		body         document
	}{
		{"PUT", chat + "/code", document{"ZipFile": code(t, "two")}},
		{"PUT", chat + "/configuration", document{"Timeout": 1}},
		{"POST", functions, definition(t, document{"FunctionName": "second"})},
		{"DELETE", chat, nil},
	} {
		a := c.do(call.method, call.path, call.body)
		require.Equal(t, 500, a.status)
		require.Equal(t, "ServiceException", a.errorType())
		require.NotContains(t, a.text, "secret")
	}
	require.Contains(t, log.String(), errDisk.Error())
	store.broken = false
	for range 2 {
		require.Equal(t, before, c.must(200, "GET", chat+"/configuration", nil))
		require.Equal(t, "one", c.invoke("chat", event{}).Code)
		require.Len(t, c.must(200, "GET", functions, nil)["Functions"], 1)
		require.NoError(t, c.server.Close())
		c = newClient(t, api.Config{Store: store, Dir: dir}) // as after a crash
	}
	kept, err := os.ReadDir(filepath.Join(dir, "code"))
	require.NoError(t, err)
	require.Len(t, kept, 1, "the code that nothing names is gone")
}

// A control plane may keep its documents in the same store: it looks for functions while it
// changes it.
func TestSharedStore(t *testing.T) {
	t.Parallel()
	store := controlplane.NewMemory()
	c := newClient(t, api.Config{Store: store})
	c.create(nil)
	plane, err := controlplane.New(controlplane.Config{Store: store, Functions: c.server})
	require.NoError(t, err)
	defer func() { require.NoError(t, plane.Shutdown(context.WithoutCancel(t.Context()))) }()
	var made document
	for _, call := range []struct{ path, body string }{
		{"", `{"name":"chat","protocolType":"WEBSOCKET","routeSelectionExpression":"$request.body.action"}`},
		{"/integrations", `{"integrationType":"AWS_PROXY","integrationUri":"` + chatARN + `"}`},
		{"/routes", `{"routeKey":"$default","target":"integrations/{id}"}`},
		{"/deployments", `{}`},
	} {
		path := "/v2/apis"
		if made != nil {
			path += "/" + made["apiId"].(string) + call.path
		}
		w := httptest.NewRecorder()
		plane.ServeHTTP(w, c.request("POST", path, strings.ReplaceAll(call.body, "{id}", idOf(made))))
		require.Equal(t, 201, w.Code, w.Body)
		var got document
		require.NoError(t, json.NewDecoder(bytes.NewReader(w.Body.Bytes())).Decode(&got))
		if made == nil {
			made = got
		}
		made["integrationId"] = got["integrationId"]
	}
	require.Len(t, c.must(200, "GET", functions, nil)["Functions"], 1)
}

func idOf(d document) string {
	id, _ := d["integrationId"].(string)
	return id
}

// Many events, changes and callers at a time: every event is answered.
func TestReplace_underLoad(t *testing.T) {
	t.Parallel()
	c := newClient(t, api.Config{Concurrency: 2})
	c.create(nil)
	zips := []string{code(t, "one"), code(t, "two")}
	stop := make(chan struct{})
	var wait sync.WaitGroup
	errs := make(chan error, 4)
	for range cap(errs) {
		wait.Go(func() {
			for {
				select {
				case <-stop:
					errs <- nil
					return
				default:
				}
				i, err := c.server.ResolveFunction(chatARN)
				if err == nil {
					_, err = i.InvokeFunction(context.WithoutCancel(t.Context()), []byte(`{}`))
				}
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	for n := range 10 {
		c.must(200, "PUT", chat+"/code", document{"ZipFile": zips[n%2]})
		require.Equal(t, []string{"one", "two"}[n%2], c.invoke("chat", event{}).Code)
	}
	close(stop)
	wait.Wait()
	for range cap(errs) {
		require.NoError(t, <-errs)
	}
}

func TestServer_Close(t *testing.T) {
	t.Parallel()
	c := newClient(t, api.Config{})
	c.create(nil)
	c.invoke("chat", event{})
	require.NoError(t, c.server.Close())
	require.NoError(t, c.server.Close())
	c.refused(503, "ServiceException", "shutting down", "PUT", chat+"/configuration", document{"Timeout": 1})
	c.refused(503, "ServiceException", "shutting down", "POST", chat+"/invocations", nil)
	_, err := api.New(api.Config{Concurrency: -1})
	require.ErrorContains(t, err, "negative")
	_, err = api.New(api.Config{CodeBytes: -1})
	require.ErrorContains(t, err, "negative")
	_, err = api.New(api.Config{Store: controlplane.NewMemory(), Dir: "/dev/null"})
	require.ErrorContains(t, err, "opening the folder for code")
	_, err = api.New(api.Config{Dir: t.TempDir()})
	require.ErrorContains(t, err, "set both, or neither")
}
