// Command controlplane calls the control plane, @connections and the Lambda API with the
// AWS SDK for Go v2. It reads one call from each line of stdin, and writes one outcome for each to stdout,
// as a line. Calls and outcomes are JSON. The tests of outside clients run it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// call describes a call. The names of operation and arguments are those of the SDK. Bytes
// are {"$bytes": "base64"}.
type call struct {
	Service   string          `json:"service"`
	Endpoint  string          `json:"endpoint"`
	Operation string          `json:"operation"`
	Arguments json.RawMessage `json:"arguments"`
}

// outcome is what the caller sees.
type outcome struct {
	Status  int    `json:"status"`
	Answer  any    `json:"answer,omitempty"`
	Class   string `json:"class,omitempty"` // type of the error, without its package
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

func main() {
	if err := serve(context.Background()); err != nil { //nolint:forbidigo // this is main
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // likewise
	}
}

func serve(ctx context.Context) error {
	in, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var c call
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			return err
		}
		o, err := c.do(ctx)
		if err != nil {
			return err
		}
		if err := out.Encode(o); err != nil {
			return err
		}
	}
	return in.Err()
}

// do finds the operation by its name. The error is one of the test.
func (c *call) do(ctx context.Context) (o outcome, err error) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	method := reflect.ValueOf(c.client(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		resp, err := transport.RoundTrip(r)
		if err == nil {
			o.Status = resp.StatusCode
		}
		return resp, err
	})})).MethodByName(c.Operation)
	if !method.IsValid() {
		return o, fmt.Errorf("the SDK has no operation %s", c.Operation)
	}
	input := reflect.New(method.Type().In(1).Elem())
	if err := json.Unmarshal(wrapped.ReplaceAll(c.Arguments, []byte("$1")), input.Interface()); err != nil {
		return o, err
	}
	results := method.Call([]reflect.Value{reflect.ValueOf(ctx), input})
	if failed, ok := results[1].Interface().(error); ok {
		o.fail(failed)
		return o, nil
	}
	o.Answer = results[0].Interface()
	return o, nil
}

// wrapped matches bytes, which encoding/json has as the text alone.
var wrapped = regexp.MustCompile(`\{"\$bytes":("[^"]*")\}`)

func (c *call) client(h *http.Client) any {
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY")}, nil
	})
	region := os.Getenv("AWS_REGION")
	switch c.Service {
	case "apigatewaymanagementapi":
		return apigatewaymanagementapi.New(apigatewaymanagementapi.Options{Region: region, BaseEndpoint: &c.Endpoint, Credentials: credentials, HTTPClient: h})
	case "lambda":
		return lambda.New(lambda.Options{Region: region, BaseEndpoint: &c.Endpoint, Credentials: credentials, HTTPClient: h})
	}
	return apigatewayv2.New(apigatewayv2.Options{Region: region, BaseEndpoint: &c.Endpoint, Credentials: credentials, HTTPClient: h})
}

// fail writes an error as a caller tells errors apart: by its type.
func (o *outcome) fail(err error) {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		o.Status = response.HTTPStatusCode()
	}
	var refused smithy.APIError
	if errors.As(err, &refused) {
		o.Class, o.Code, o.Message = typeName(refused), refused.ErrorCode(), refused.ErrorMessage()
		return
	}
	o.Class, o.Message = typeName(err), err.Error()
}

// typeName returns the name of v's type without its package.
func typeName(v any) string {
	name := fmt.Sprintf("%T", v)
	return name[strings.LastIndex(name, ".")+1:]
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
