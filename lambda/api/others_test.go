package api_test

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/lambda"
	"example.com/gateway/lambda/api"
)

// others are functions of a template.
type others []api.Other

func (all others) Find(name string) (api.Other, bool) {
	n := slices.IndexFunc(all, func(o api.Other) bool { return o.Name == name })
	if n < 0 {
		return api.Other{}, false
	}
	return all[n], true
}

func (all others) All() []api.Other { return all }

// echo answers with what it gets, or fails.
type echo struct{ err error }

func (e echo) InvokeFunction(_ context.Context, payload []byte) ([]byte, error) {
	return payload, e.err
}

// other makes a function that answers with what it gets, or fails.
func other(name string, err error) api.Other {
	return api.Other{
		Name: name, ARN: "arn:aws:lambda:us-east-1:123456789012:function:" + name, Runtime: "nodejs22.x", Handler: "app.handler", Timeout: 6 * time.Second, MemoryMB: 256,
		Invoker: echo{err},
	}
}

// Functions that the program has from elsewhere are found and called, and stay as they are.
func TestOthers(t *testing.T) {
	t.Parallel()
	c := newClient(t, api.Config{Others: others{
		other("template", nil), other("raises", &lambda.FunctionError{Function: "raises", Type: "Failed", Message: "out of order"}),
		other("refuses", &lambda.InvokeError{Function: "refuses", StatusCode: 429, Type: "TooManyRequestsException", Message: "Rate Exceeded."}),
		other("breaks", errors.New("a secret of the program")),
	}})
	template := functions + "/template"
	for _, name := range []string{"template", "template:$LATEST", "arn:aws:lambda:us-east-1:123456789012:function:template"} {
		a := c.do("POST", functions+"/"+url.PathEscape(name)+"/invocations", `{"text":"hello"}`)
		require.Equal(t, 200, a.status, a.text)
		require.Equal(t, `{"text":"hello"}`, a.text)
		require.Equal(t, "$LATEST", a.header.Get("X-Amz-Executed-Version"))
	}
	for kind, status := range map[string]int{"Event": 202, "DryRun": 204} {
		r := c.request("POST", template+"/invocations", `{}`)
		r.Header.Set("X-Amz-Invocation-Type", kind)
		require.Equal(t, status, c.send(r).status, kind)
	}
	r := c.request("POST", template+"/invocations", `{}`)
	r.Header.Set("X-Amz-Log-Type", "Tail")
	require.NotEmpty(t, c.send(r).header.Get("X-Amz-Log-Result"))
	a := c.do("POST", functions+"/raises/invocations", `{}`)
	require.Equal(t, 200, a.status, a.text)
	require.Equal(t, "Unhandled", a.header.Get("X-Amz-Function-Error"))
	require.Equal(t, "out of order", a.body["errorMessage"])
	c.refused(429, "TooManyRequestsException", "Rate Exceeded.", "POST", functions+"/refuses/invocations", `{}`)
	c.refused(500, "ServiceException", "Internal server error", "POST", functions+"/breaks/invocations", `{}`)

	want := document{
		"FunctionName": "template", "FunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:template", "Version": "$LATEST", "Runtime": "nodejs22.x", "Handler": "app.handler",
		"Timeout": 6.0, "MemorySize": 256.0, "PackageType": "Zip", "State": "Active", "LastUpdateStatus": "Successful",
	}
	require.Equal(t, want, c.must(200, "GET", template+"/configuration", nil))
	require.Equal(t, want, c.must(200, "GET", template, nil)["Configuration"])

	const elsewhere = "The function template was not made by the Lambda API: change it where it is defined"
	c.refused(409, "ResourceConflictException", elsewhere, "POST", functions, definition(t, document{"FunctionName": "template"}))
	c.refused(409, "ResourceConflictException", elsewhere, "PUT", template+"/configuration", document{"Timeout": 9})
	c.refused(409, "ResourceConflictException", elsewhere, "DELETE", template, nil)
	c.refused(404, "ResourceNotFoundException", "Function not found: ", "POST", template+":prod/invocations", `{}`)
	c.refused(404, "ResourceNotFoundException", "Function not found: ", "GET", template+"?Qualifier=3", nil)
	c.refused(404, "ResourceNotFoundException", "Function not found: ", "GET", functions+"/none", nil)
}

// A list has the functions of both, each once, in the order of their names.
func TestOthers_List(t *testing.T) {
	t.Parallel()
	all := &later{}
	c := newClient(t, api.Config{Others: all})
	for _, name := range []string{"b", "d", "both"} {
		c.create(document{"FunctionName": name})
	}
	all.others = others{other("e", nil), other("both", nil), other("a", nil), other("c", nil)}
	for _, query := range []string{"?MaxItems=1", "?MaxItems=2", "?MaxItems=50", "?MaxItems=2&FunctionVersion=ALL"} {
		var got []any
		for marker, more := "", true; more; {
			page := c.must(200, "GET", functions+query+"&Marker="+url.QueryEscape(marker), nil)
			for _, f := range page["Functions"].([]any) {
				got = append(got, f.(document)["FunctionName"])
			}
			marker, more = page["NextMarker"].(string)
		}
		require.Equal(t, []any{"a", "b", "both", "c", "d", "e"}, got, query)
	}
	require.Contains(t, c.do("GET", functions+"/both/configuration", nil).text, `"MemorySize":256`)
	c.must(204, "DELETE", functions+"/both", nil) // its own, which nobody calls any more
}

// later are functions that come when the server runs.
type later struct{ others }
