package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// functionVariable makes this test binary a Lambda function that needs no interpreter.
const functionVariable = "GATEWAY_TEST_FUNCTION"

// writeFunction makes dir the folder of a function for the runtime provided.al2023.
func writeFunction(t testing.TB, dir string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(dir, 0o700))
	script := fmt.Sprintf("#!/bin/sh\n%s=yes exec '%s'\n", functionVariable, self)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bootstrap"), []byte(script), 0o700)) //nolint:gosec // it has to run
}

// runFunction is the function: it answers events until the program ends.
func runFunction() {
	api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		resp, err := http.Get(api + "next")
		if err != nil {
			return
		}
		var event functionEvent
		err = json.NewDecoder(resp.Body).Decode(&event)
		_ = resp.Body.Close()
		if err != nil {
			return
		}
		body, failure := event.handle()
		path, answer := "/response", map[string]any{"statusCode": 200, "body": body}
		if failure != nil {
			path, answer = "/error", map[string]any{"errorType": "Failed", "errorMessage": failure.Error()}
		}
		text, err := json.Marshal(answer)
		if err != nil {
			return
		}
		done, err := http.Post(api+resp.Header.Get("Lambda-Runtime-Aws-Request-Id")+path, "application/json", bytes.NewReader(text))
		if err != nil {
			return
		}
		_ = done.Body.Close()
	}
}

type functionEvent struct {
	RequestContext struct{ RouteKey, ConnectionID, DomainName, Stage string }
	Body           string
}

// handle does what the route says.
func (e *functionEvent) handle() (string, error) {
	c := &e.RequestContext
	fmt.Fprintln(os.Stdout, "event", c.RouteKey)
	switch c.RouteKey {
	case "post": // as the handlers of the service's guide do
		return "", post("https://"+c.DomainName+"/"+c.Stage, c.ConnectionID, e.Body)
	case "endpoint": // as handlers do that get the address from the template
		return "", post(os.Getenv("ENDPOINT"), c.ConnectionID, e.Body)
	case "version":
		return os.Getenv("VERSION"), nil
	case "environment":
		return strings.Join(os.Environ(), "\n"), nil
	case "pid":
		return fmt.Sprint(os.Getpid()), nil
	case "fail":
		return "", fmt.Errorf("out of\norder")
	case "sibling": // as a client of Lambda does
		return call(os.Getenv("AWS_ENDPOINT_URL_LAMBDA"), e.Body)
	case "hang":
		time.Sleep(time.Hour) //nolint:forbidigo // a function that does not end
	}
	return "", nil
}

// call invokes the function that a message names, and returns what that answers.
func call(endpoint, message string) (string, error) {
	var m struct{ Name string }
	if err := json.Unmarshal([]byte(message), &m); err != nil {
		return "", err
	}
	r, err := http.NewRequest(http.MethodPost, endpoint+"/2015-03-31/functions/"+m.Name+"/invocations", strings.NewReader(`{"requestContext":{"routeKey":"version"}}`))
	if err != nil {
		return "", err
	}
	sign(r, `{"requestContext":{"routeKey":"version"}}`, "lambda", os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// post signs its call, as SDKs do, also if nobody checks that.
func post(endpoint, connectionID, text string) error {
	r, err := http.NewRequest(http.MethodPost, endpoint+"/@connections/"+url.PathEscape(connectionID), strings.NewReader(text))
	if err != nil {
		return err
	}
	sign(r, text, "execute-api", os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s %s", resp.Status, text)
	}
	return nil
}

// sign signs a request without a query: AWS Signature Version 4.
func sign(r *http.Request, body, service, id, secret string) {
	now := time.Now().UTC()
	date := now.Format("20060102T150405Z")
	r.Header.Set("X-Amz-Date", date)
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		_, _ = h.Write([]byte(text))
		return h.Sum(nil)
	}
	path := strings.NewReplacer("%", "%25", "=", "%3D", "@", "%40").Replace(r.URL.EscapedPath())
	canonical := r.Method + "\n" + path + "\n\nhost:" + r.URL.Host + "\nx-amz-date:" + date + "\n\nhost;x-amz-date\n" + hash(body)
	scope := now.Format("20060102") + "/us-east-1/" + service + "/aws4_request"
	key := []byte("AWS4" + secret)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	signature := mac(key, "AWS4-HMAC-SHA256\n"+date+"\n"+scope+"\n"+hash(canonical))
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=host;x-amz-date, Signature=%x", id, scope, signature))
}
