package lambda

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"example.com/gateway"
	"example.com/gateway/internal/arn"
	"example.com/gateway/internal/endpoint"
)

// Function calls a Lambda function through the Invoke API, of Lambda or of another
// endpoint that has this API. It can be the integration of many routes, and is safe for
// concurrent use. Its fields must not change once it is used, and it must not be copied.
//
// The error of a failed call is a *[gateway.IntegrationError]. It wraps a
// *[FunctionError] when the function raised an error, and an *[InvokeError] when the
// endpoint did not run the function. A call is never repeated.
type Function struct {
	// URL is the URL of the endpoint, such as http://127.0.0.1:9000 or
	// https://lambda.us-east-1.amazonaws.com. It is required. The path of the Invoke
	// API, /2015-03-31/functions/{name}/invocations, is added to it.
	URL string
	// Name is the name of the function, with or without a qualifier: "chat",
	// "chat:live", "123456789012:function:chat", its ARN, or the URI of an integration in
	// API Gateway,
	// arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{ARN}/invocations.
	// An ARN is passed on unchanged. Name may contain ${stageVariables.name}. "" means
	// "function", which is the name in runtime interface emulators.
	Name string
	// Qualifier is a version or an alias. It may contain ${stageVariables.name}. ""
	// means the qualifier in Name, or $LATEST if that has none.
	Qualifier string
	// Timeout ends a call earlier than Quotas.IntegrationTimeout. 0 means that only
	// Quotas.IntegrationTimeout ends it.
	Timeout time.Duration
	// Concurrency is the number of calls that may run at once. More calls wait, and
	// their timeouts run while they wait. 0 or less means any number.
	//
	// A runtime interface emulator takes one call at a time and exits when it gets a
	// second one: set 1, and use the same Function for all routes and authorizers. A call
	// that has timed out is not counted any more, although its function may still run.
	Concurrency int
	// Sign, if not nil, adds to a request what the endpoint asks for, such as an AWS
	// signature. It must not read r.Body; body has the same bytes.
	Sign func(r *http.Request, body []byte) error
	// Client makes the calls. Its redirect policy is not used: redirects are not
	// followed. nil means a client that all integrations of the gateway share. It keeps
	// up to 64 idle connections to the endpoint, for 90 seconds or until the gateway is
	// closed.
	Client *http.Client

	once   sync.Once       // guards making the fields below
	client *http.Client    // of Client
	places chan struct{}   // has an element for each running call; nil: any number may run
	own    endpoint.Client // for calls that belong to no gateway
}

var (
	_ gateway.Integration = (*Function)(nil)
	_ Invoker             = (*Function)(nil)
)

// Invoke calls the function with the event that the service would make from req.
func (f *Function) Invoke(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
	return integration{f}.Invoke(ctx, req)
}

// Backend calls the function with a payload that mapping templates made: see
// [NewBackend].
func (f *Function) Backend(ctx context.Context, req *gateway.Request, payload []byte) (*gateway.Response, error) {
	return backend(ctx, f, req, payload)
}

// Authorizer makes an authorizer that calls the function.
func (f *Function) Authorizer() *Authorizer {
	if f == nil {
		return &Authorizer{}
	}
	return NewAuthorizer(f)
}

// InvokeFunction implements [Invoker]. Stage variables in Name and in Qualifier are
// empty.
func (f *Function) InvokeFunction(ctx context.Context, payload []byte) ([]byte, error) {
	return f.invokeInStage(ctx, nil, payload)
}

// Validate returns what is wrong with the fields. [gateway.Gateway.Handle] calls it.
// A Name that holds ${stageVariables.name} is checked with each call, when the
// variables are known.
func (f *Function) Validate() error {
	if f.Timeout < 0 {
		return fmt.Errorf("%w: the Timeout %v of function %q is negative: leave it 0 for that of the gateway alone", errConfiguration, f.Timeout, f.FunctionName())
	}
	if arn.Expand(f.FunctionName(), nil) == f.FunctionName() {
		if _, err := functionName(f.FunctionName()); err != nil {
			return err
		}
	}
	return f.checkURL(f.FunctionName())
}

// invokeInStage passes an event to the function and returns its answer, both as JSON.
func (f *Function) invokeInStage(ctx context.Context, stageVariables map[string]string, event []byte) ([]byte, error) {
	if f.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.Timeout)
		defer cancel()
	}
	target, name, err := f.target(stageVariables)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(event))
	if err != nil {
		return nil, fmt.Errorf("%w: URL: %w", errConfiguration, withoutURL(err))
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Amz-Invocation-Type", "RequestResponse")
	f.once.Do(f.start)
	if err := f.acquire(ctx); err != nil {
		return nil, fmt.Errorf("lambda: function %q: waiting for one of %d running calls to end: %w", name, f.Concurrency, err)
	}
	defer f.release()
	if f.Sign != nil {
		if err := f.Sign(r, event); err != nil {
			return nil, fmt.Errorf("%w: Sign: %w", errConfiguration, err)
		}
	}
	resp, err := f.clientFor(ctx).Do(r)
	if err != nil {
		return nil, fmt.Errorf("lambda: function %q: %w", name, withoutURL(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode < http.StatusOK { // the body of a 101 is the socket: it has no end, and no timeout
		return nil, refused(name, resp, nil)
	}
	answer, err := readAnswer(resp)
	if err != nil {
		return nil, fmt.Errorf("lambda: function %q: %w", name, err)
	}
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return nil, refused(name, resp, answer)
	case resp.Header.Get("X-Amz-Function-Error") != "", isReport(answer):
		return nil, Raised(name, answer)
	}
	return answer, nil
}

// acquire waits until a call may run.
func (f *Function) acquire(ctx context.Context) error {
	if f.places == nil {
		return nil
	}
	select {
	case f.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *Function) release() {
	if f.places != nil {
		<-f.places
	}
}

// start makes what all calls share.
func (f *Function) start() {
	if f.Concurrency > 0 {
		f.places = make(chan struct{}, f.Concurrency)
	}
	if f.Client != nil {
		f.client = endpoint.WithoutRedirects(f.Client)
	}
}

// clientFor returns the client for a call: f.Client, or the client of the gateway that
// ctx belongs to. The gateway closes the connections of its client.
func (f *Function) clientFor(ctx context.Context) *http.Client {
	if f.Client == nil {
		return endpoint.For(ctx, &f.own)
	}
	return f.client
}

// readAnswer reads a body up to Lambda's bound. If the length is known, it allocates
// once.
func readAnswer(resp *http.Response) ([]byte, error) {
	if resp.ContentLength > maxPayload {
		return nil, errTooLarge
	}
	var b bytes.Buffer
	if resp.ContentLength > 0 {
		b.Grow(int(resp.ContentLength) + bytes.MinRead)
	}
	_, err := b.ReadFrom(io.LimitReader(resp.Body, maxPayload+1))
	switch {
	case err != nil:
		return nil, err
	case b.Len() > maxPayload:
		return nil, errTooLarge
	}
	return b.Bytes(), nil
}

// refused reads the answer of an endpoint that did not invoke the function.
func refused(name string, resp *http.Response, body []byte) error {
	var report struct{ Message string } // message or Message
	if json.Unmarshal(body, &report) != nil || report.Message == "" {
		report.Message = clip(string(body))
	}
	kind, _, _ := strings.Cut(resp.Header.Get("X-Amzn-Errortype"), ":")
	return &InvokeError{Function: name, StatusCode: resp.StatusCode, Type: kind, Message: report.Message}
}

// isReport reports whether an answer is an error report. Emulators may send one without
// the header X-Amz-Function-Error.
func isReport(answer []byte) bool {
	if !bytes.Contains(answer, []byte(`"errorType"`)) {
		return false
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(answer, &members) != nil || members["errorType"] == nil {
		return false
	}
	for name := range members {
		switch name {
		case "errorType", "errorMessage", "stackTrace", "trace", "cause", "requestId":
		default:
			return false
		}
	}
	return true
}

// withoutURL removes the URL, which may contain a secret, from an error.
func withoutURL(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// FunctionName returns Name, or "function" if it is empty.
func (f *Function) FunctionName() string { return cmp.Or(f.Name, "function") }

// target returns the URL to post an event to, and the function's name.
func (f *Function) target(stageVariables map[string]string) (target, name string, err error) {
	name, err = functionName(arn.Expand(f.FunctionName(), stageVariables))
	if err != nil {
		return "", "", err
	}
	if err := f.checkURL(name); err != nil {
		return "", "", err
	}
	// As the SDKs do, escape the colons of an ARN, which [url.PathEscape] leaves.
	target = strings.TrimRight(f.URL, "/") + "/2015-03-31/functions/" + strings.ReplaceAll(url.PathEscape(name), ":", "%3A") + "/invocations"
	if f.Qualifier != "" {
		qualifier := arn.Expand(f.Qualifier, stageVariables)
		if qualifier == "" {
			return "", "", fmt.Errorf("%w: function %q: the qualifier %q is empty", errConfiguration, name, f.Qualifier)
		}
		target += "?Qualifier=" + url.QueryEscape(qualifier)
	}
	return target, name, nil
}

// checkURL returns what is wrong with the URL, without its text, which may hold a
// secret.
func (f *Function) checkURL(name string) error {
	if f.URL == "" {
		return fmt.Errorf("%w: function %q has no URL: set it to an endpoint of the Invoke API, such as http://127.0.0.1:9000", errConfiguration, name)
	}
	switch _, err := endpoint.ParseBase(f.URL); {
	case errors.Is(err, endpoint.ErrQuery): // the path with the function's name would become part of it
		return fmt.Errorf("%w: the URL of function %q %w: set Qualifier for a qualifier, and leave the rest out", errConfiguration, name, err)
	case err != nil:
		return fmt.Errorf("%w: the URL of function %q %w: write one like http://localhost:9000", errConfiguration, name, err)
	}
	return nil
}

// functionName returns the ARN in a URI of API Gateway, or text itself, and checks its
// form.
func functionName(text string) (string, error) {
	f, ok := arn.ParseFunction(text)
	if !ok {
		return "", invalidName(text)
	}
	return f.Identifier, nil
}

func invalidName(text string) error {
	return fmt.Errorf("%w: %q is not the name or the ARN of a function", errConfiguration, text)
}
