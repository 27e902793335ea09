package main

import (
	"bytes"
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
func writeFunction(t *testing.T, dir string) {
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
	case "hang":
		time.Sleep(time.Hour) //nolint:forbidigo // a function that does not end
	}
	return "", nil
}

func post(endpoint, connectionID, text string) error {
	resp, err := http.Post(endpoint+"/@connections/"+url.PathEscape(connectionID), "text/plain", strings.NewReader(text))
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
