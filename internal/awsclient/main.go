// Command awsclient calls @connections with the AWS SDK for Go v2. It reads one call
// from each line of stdin, and writes one outcome for each to stdout, as a line. Calls and
// outcomes are JSON. The tests of outside clients run it. It is a module of its own, so that no other module
// depends on the SDK.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// call describes a call.
type call struct {
	Endpoint        string `json:"endpoint"`
	Operation       string `json:"operation"` // post, get or delete
	ConnectionID    string `json:"connectionId"`
	Data            []byte `json:"data"` // base64
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
	SessionToken    string `json:"sessionToken"`
	Unsigned        bool   `json:"unsigned"`
}

// outcome is what the caller sees.
type outcome struct {
	Status     int         `json:"status"`
	Class      string      `json:"class,omitempty"` // type of the error, without its package
	Code       string      `json:"code,omitempty"`
	Message    string      `json:"message,omitempty"`
	Connection *connection `json:"connection,omitempty"`
}

type connection struct {
	ConnectedAt  *time.Time `json:"connectedAt"`
	LastActiveAt *time.Time `json:"lastActiveAt"`
	Identity     struct {
		SourceIP  string `json:"sourceIp"`
		UserAgent string `json:"userAgent,omitempty"`
	} `json:"identity"`
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
		if err := out.Encode(c.do(ctx)); err != nil {
			return err
		}
	}
	return in.Err()
}

func (c *call) do(ctx context.Context) outcome {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	status := 0
	client := api.New(api.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(c.Endpoint),
		Credentials:  c.credentials(),
		HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := transport.RoundTrip(r)
			if err == nil {
				status = resp.StatusCode
			}
			return resp, err
		})},
	})
	var o outcome
	var err error
	switch c.Operation {
	case "post":
		if c.Data == nil {
			c.Data = []byte{} // the SDK refuses nil
		}
		_, err = client.PostToConnection(ctx, &api.PostToConnectionInput{ConnectionId: &c.ConnectionID, Data: c.Data})
	case "delete":
		_, err = client.DeleteConnection(ctx, &api.DeleteConnectionInput{ConnectionId: &c.ConnectionID})
	default:
		var got *api.GetConnectionOutput
		if got, err = client.GetConnection(ctx, &api.GetConnectionInput{ConnectionId: &c.ConnectionID}); err == nil {
			o.Connection = &connection{ConnectedAt: got.ConnectedAt, LastActiveAt: got.LastActiveAt}
			o.Connection.Identity.SourceIP = aws.ToString(got.Identity.SourceIp)
			o.Connection.Identity.UserAgent = aws.ToString(got.Identity.UserAgent)
		}
	}
	o.Status = status
	var (
		refused  smithy.APIError
		response *smithyhttp.ResponseError
	)
	if errors.As(err, &response) {
		o.Status = response.HTTPStatusCode()
	}
	switch {
	case errors.As(err, &refused):
		o.Class, o.Code, o.Message = typeName(refused), refused.ErrorCode(), refused.ErrorMessage()
	case err != nil:
		o.Class, o.Message = typeName(err), err.Error()
	}
	return o
}

// typeName returns the name of v's type without its package.
func typeName(v any) string {
	name := fmt.Sprintf("%T", v)
	return name[strings.LastIndex(name, ".")+1:]
}

func (c *call) credentials() aws.CredentialsProvider {
	if c.Unsigned {
		return aws.AnonymousCredentials{}
	}
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}, nil
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
