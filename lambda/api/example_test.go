package api_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"example.com/gateway/controlplane"
	"example.com/gateway/lambda/api"
)

// One port with the Lambda API and the REST API of API Gateway: what an SDK makes by the one,
// integrations of the other can name.
func ExampleServer() {
	functions, err := api.New(api.Config{})
	if err != nil {
		panic(err)
	}
	defer functions.Close()
	apis, err := controlplane.New(controlplane.Config{Functions: functions})
	if err != nil {
		panic(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if api.Owns(r) {
			functions.ServeHTTP(w, r)
			return
		}
		apis.ServeHTTP(w, r)
	})

	srv := httptest.NewServer(handler)
	defer srv.Close()
	call := func(path, body string) string {
		resp, err := http.Post(srv.URL+path, "application/json", strings.NewReader(body))
		if err != nil {
			panic(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			panic(err)
		}
		return resp.Status + " " + string(text)
	}
	// The zip file, in base64, has an executable file with the name bootstrap. SDKs, the AWS
	// CLI and Terraform send the same.
	created := call("/2015-03-31/functions", `{
		"FunctionName": "hello", "Runtime": "provided.al2023", "Handler": "bootstrap", "Role": "arn:aws:iam::123456789012:role/any",
		"Timeout": 30, "Code": {"ZipFile": "`+exampleCode()+`"}
	}`)
	fmt.Println(created[:len("201 Created")])
	fmt.Println(call("/2015-03-31/functions/hello/invocations", `{"do": "echo", "text": "hello, world"}`))
	// Output:
	// 201 Created
	// 200 OK "hello, world"
}
