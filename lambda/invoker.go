package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"example.com/gateway"
)

// Invoker calls a function: an event goes in, an answer comes out, both as JSON. It is
// the form that all functions have in common: a [*Function] calls one through the Invoke
// API, [NewInvoker] makes one from a Go handler, and package
// [example.com/gateway/lambda/process] runs one as a process. [NewIntegration],
// [NewBackend] and [NewAuthorizer] give an Invoker to a gateway.
//
// An Invoker must be safe for concurrent use. Two further methods are used if it has
// them: FunctionName() string, the name in texts of errors, and Validate() error, which
// returns what is wrong with its configuration, and which [gateway.Gateway.Handle]
// calls.
type Invoker interface {
	// InvokeFunction calls the function and returns its answer. The payload belongs to
	// the function: the caller must not use it again.
	//
	// The error is a *[FunctionError] when the function raised an error, and an
	// *[InvokeError] when it was not run. After the end of ctx the error is that of ctx.
	// A call is never repeated.
	InvokeFunction(ctx context.Context, payload []byte) (answer []byte, err error)
}

// stageInvoker is an Invoker that needs the stage variables, too.
type stageInvoker interface {
	invokeInStage(ctx context.Context, stageVariables map[string]string, payload []byte) ([]byte, error)
}

var errNoInvoker = fmt.Errorf("%w: the Invoker is nil: give one to NewIntegration, NewBackend or NewAuthorizer", errConfiguration)

// call calls the function of an event of the gateway.
func call(ctx context.Context, i Invoker, req *gateway.Request, payload []byte) ([]byte, error) {
	if s, ok := i.(stageInvoker); ok {
		return s.invokeInStage(ctx, req.StageVariables, payload)
	}
	if i == nil {
		return nil, errNoInvoker
	}
	return i.InvokeFunction(ctx, payload)
}

// validate returns what is wrong with an Invoker, if it can tell.
func validate(i Invoker) error {
	if i == nil {
		return errNoInvoker
	}
	if v, ok := i.(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}

// NewIntegration makes an integration of the type AWS_PROXY: the function gets the
// service's event, and answers with a status code and a body. Every failure is a
// *[gateway.IntegrationError].
//
// A [*Function] is such an integration itself, and [Wrap] makes one from a Go handler.
func NewIntegration(i Invoker) gateway.Integration { return integration{i} }

// integration is an Invoker as the integration of a route.
type integration struct{ invoker Invoker }

// Invoke implements [gateway.Integration].
func (i integration) Invoke(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
	answer, err := call(ctx, i.invoker, req, appendEvent(nil, req))
	if err != nil {
		return nil, integrationError(req, err)
	}
	resp, err := response(req, answer)
	if err != nil {
		return nil, integrationError(req, named(i.invoker, err))
	}
	return resp, nil
}

// Validate returns what is wrong with the Invoker. [gateway.Gateway.Handle] calls it.
func (i integration) Validate() error { return validate(i.invoker) }

// named adds the name of the function to an error.
func named(i Invoker, err error) error {
	if n, ok := i.(interface{ FunctionName() string }); ok {
		return fmt.Errorf("lambda: function %q: %w", n.FunctionName(), err)
	}
	return fmt.Errorf("lambda: %w", err)
}

// NewBackend makes the Backend of a [gateway.CustomIntegration], which then has the
// integration type AWS: the function gets what mapping templates made, not the service's
// event. The integration responses get its answer, or its error report when it raised an
// error:
//
//	&gateway.CustomIntegration{
//		Backend:              lambda.NewBackend(function),
//		SelectByErrorMessage: true,
//		Transform:            &gateway.Transform{…},
//	}
//
// The Backend returns an error only when the function was not called. (API Gateway:
// "Setting up data transformations for WebSocket APIs".)
func NewBackend(i Invoker) func(context.Context, *gateway.Request, []byte) (*gateway.Response, error) {
	return func(ctx context.Context, req *gateway.Request, payload []byte) (*gateway.Response, error) {
		return backend(ctx, i, req, payload)
	}
}

func backend(ctx context.Context, i Invoker, req *gateway.Request, payload []byte) (*gateway.Response, error) {
	answer, err := call(ctx, i, req, payload)
	var raised *FunctionError
	switch {
	case errors.As(err, &raised):
		answer = raised.Report()
	case err != nil:
		return nil, integrationError(req, err)
	}
	return &gateway.Response{StatusCode: http.StatusOK, Body: answer}, nil
}

// Raised returns the error of a function from the report that its runtime sent: a JSON
// object with errorMessage, errorType, and the lines of the stack in trace or stackTrace.
// A report of another form becomes the message.
func Raised(function string, report []byte) *FunctionError {
	var r struct {
		ErrorMessage, ErrorType string
		Trace, StackTrace       trace
	}
	raw := report
	if json.Unmarshal(report, &r) != nil || r.ErrorMessage == "" && r.ErrorType == "" {
		r.ErrorMessage, raw = clip(string(report)), nil
	}
	lines := r.Trace
	if len(lines) == 0 {
		lines = r.StackTrace
	}
	return &FunctionError{Function: function, Type: r.ErrorType, Message: r.ErrorMessage, Trace: lines, raw: raw}
}

// trace reads the lines of a stack. The runtimes write them as text. Those of some write
// objects, which stay JSON.
type trace []string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *trace) UnmarshalJSON(b []byte) error {
	var lines []json.RawMessage
	_ = json.Unmarshal(b, &lines) // a trace of another form is left out: the message matters more
	for _, line := range lines {
		var text string
		if json.Unmarshal(line, &text) != nil {
			text = string(line)
		}
		*t = append(*t, text)
	}
	return nil
}
