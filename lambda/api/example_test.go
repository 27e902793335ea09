package api_test

import (
	"fmt"
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
	resp, err := http.Post(srv.URL+"/2015-03-31/functions", "application/json", strings.NewReader(`{
		"FunctionName": "chat", "Runtime": "nodejs20.x", "Handler": "index.handler", "Role": "arn:aws:iam::123456789012:role/any",
		"Code": {"S3Bucket": "code", "S3Key": "chat.zip"}
	}`))
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode, resp.Header.Get("X-Amzn-ErrorType")) // SDKs send the zip file itself
	// Output: 400 InvalidParameterValueException
}
