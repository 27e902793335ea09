package api_test

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
	"example.com/gateway/lambda/api"
)

// functionVariable makes this test binary a function that needs no interpreter.
const functionVariable = "LAMBDA_API_TEST_FUNCTION"

// event is what the function of the tests gets.
type event struct {
	Do   string `json:"do,omitempty"` // wait, raise, print
	File string `json:"file,omitempty"`
	Text string `json:"text,omitempty"`
}

// answer is what it answers.
type answer struct {
	Code    string   `json:"code"` // which code it is
	Version string   `json:"version"`
	ARN     string   `json:"arn"`
	Env     []string `json:"env,omitempty"`
	PID     int      `json:"pid"`
}

// runFunction answers events until the program ends.
func runFunction() {
	runtime := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		resp, err := http.Get(runtime + "next")
		if err != nil {
			return
		}
		var e event
		err = json.NewDecoder(resp.Body).Decode(&e)
		_ = resp.Body.Close()
		if err != nil {
			return
		}
		path, value := "/response", any(answer{os.Getenv("CODE"), os.Getenv("AWS_LAMBDA_FUNCTION_VERSION"), resp.Header.Get("Lambda-Runtime-Invoked-Function-Arn"), nil, os.Getpid()})
		switch e.Do {
		case "raise":
			path, value = "/error", map[string]any{"errorType": "Failed", "errorMessage": e.Text, "trace": []string{"line 1"}}
		case "print":
			fmt.Println(e.Text) //nolint:forbidigo // as a function does
		case "echo":
			value = e.Text
		case "environment":
			value = answer{Env: os.Environ()}
		case "wait": // until the file is gone
			_ = os.WriteFile(e.File+".began", nil, 0o600)
			for _, err := os.Stat(e.File); err == nil; _, err = os.Stat(e.File) {
				time.Sleep(time.Millisecond) //nolint:forbidigo // another process removes it
			}
		}
		text, _ := json.Marshal(value)
		done, err := http.Post(runtime+resp.Header.Get("Lambda-Runtime-Aws-Request-Id")+path, "application/json", bytes.NewReader(text))
		if err != nil {
			return
		}
		_ = done.Body.Close()
	}
}

// file is a file of a zip file.
type file struct {
	text string
	mode fs.FileMode
}

// zipped makes a zip file.
func zipped(tb testing.TB, files map[string]file) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		if mode := files[name].mode; mode != 0 {
			h.SetMode(mode)
		}
		f, err := w.CreateHeader(h)
		require.NoError(tb, err)
		_, err = io.WriteString(f, files[name].text)
		require.NoError(tb, err)
	}
	require.NoError(tb, w.Close())
	return b.Bytes()
}

// code is the zip file of the function of the tests, in base64. Its answers have the name.
func code(tb testing.TB, name string) string {
	tb.Helper()
	return base64.StdEncoding.EncodeToString(zipped(tb, map[string]file{"bootstrap": {bootstrap(name), 0o755}}))
}

// bootstrap is the program of the function of the tests.
func bootstrap(name string) string {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("#!/bin/sh\nCODE=%s %s=yes exec '%s'\n", name, functionVariable, self)
}

// exampleCode is code without a test.
func exampleCode() string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	h := &zip.FileHeader{Name: "bootstrap"}
	h.SetMode(0o755)
	f, err := w.CreateHeader(h)
	if err == nil {
		_, err = io.WriteString(f, bootstrap("example"))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

type document = map[string]any

// client calls a Server as an SDK does.
type client struct {
	tb     testing.TB
	server *api.Server
}

func newClient(tb testing.TB, c api.Config) *client {
	tb.Helper()
	if c.Dir == "" {
		c.Dir = tb.TempDir()
	}
	if c.Store == nil {
		c.Store = controlplane.NewMemory()
	}
	server, err := api.New(c)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, server.Close()) })
	return &client{tb, server}
}

// response is an HTTP answer.
type response struct {
	status int
	header http.Header
	text   string
	body   document
}

// errorType returns the header with the name of the error, which has not the form of
// net/http.
func (a *response) errorType() string {
	return strings.Join(a.header[errorTypeHeader], ",") //nolint:staticcheck // as the service writes it
}

const errorTypeHeader = "x-amzn-ErrorType"

func (c *client) request(method, path string, body any) *http.Request {
	c.tb.Helper()
	var reader io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(body)
	default:
		text, err := json.Marshal(body)
		require.NoError(c.tb, err)
		reader = bytes.NewReader(text)
	}
	r := httptest.NewRequestWithContext(c.tb.Context(), method, path, reader)
	r.RemoteAddr, r.Host = "127.0.0.1:50000", "127.0.0.1:4567"
	return r
}

func (c *client) send(r *http.Request) *response {
	c.tb.Helper()
	w := httptest.NewRecorder()
	c.server.ServeHTTP(w, r)
	a := &response{status: w.Code, header: w.Result().Header, text: w.Body.String()}
	if strings.HasPrefix(a.text, "{") {
		require.NoError(c.tb, json.Unmarshal(w.Body.Bytes(), &a.body), "%s", a.text)
	}
	return a
}

func (c *client) do(method, path string, body any) *response {
	c.tb.Helper()
	return c.send(c.request(method, path, body))
}

// must makes a call that succeeds with this status.
func (c *client) must(status int, method, path string, body any) document {
	c.tb.Helper()
	a := c.do(method, path, body)
	require.Equal(c.tb, status, a.status, "%s %s: %s", method, path, a.text)
	return a.body
}

// refused makes a call that fails with this status, this error, and a text that contains
// this.
func (c *client) refused(status int, name, message, method, path string, body any) {
	c.tb.Helper()
	a := c.do(method, path, body)
	require.Equal(c.tb, status, a.status, "%s %s: %s", method, path, a.text)
	require.Equal(c.tb, name, a.errorType(), a.text)
	text, _ := a.body["message"].(string)
	if text == "" {
		text, _ = a.body["Message"].(string)
	}
	require.Contains(c.tb, text, message)
}

const (
	functions = "/2015-03-31/functions"
	chat      = functions + "/chat"
	role      = "arn:aws:iam::123456789012:role/any"
	chatARN   = "arn:aws:lambda:us-east-1:123456789012:function:chat"
)

// definition is the body of CreateFunction, with more members.
func definition(tb testing.TB, more document) document {
	tb.Helper()
	d := document{"FunctionName": "chat", "Runtime": "provided.al2023", "Handler": "x", "Role": role, "Timeout": 30, "Code": document{"ZipFile": code(tb, "one")}}
	maps.Copy(d, more)
	return d
}

// create makes the function "chat".
func (c *client) create(more document) document {
	c.tb.Helper()
	return c.must(201, "POST", functions, definition(c.tb, more))
}

// invoke calls a function, and returns its answer.
func (c *client) invoke(name string, e event) answer {
	c.tb.Helper()
	a := c.do("POST", functions+"/"+name+"/invocations", e)
	require.Equal(c.tb, 200, a.status, a.text)
	require.Empty(c.tb, a.header.Get("X-Amz-Function-Error"), a.text)
	var got answer
	require.NoError(c.tb, json.Unmarshal([]byte(a.text), &got), a.text)
	return got
}
