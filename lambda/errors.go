package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"

	"example.com/gateway"
)

// FunctionError says that a function failed: it returned an error, threw an exception,
// panicked, or exceeded its own limits of time or memory.
type FunctionError struct {
	Function string // the function's name; "": a handler in this process
	Type     string // errorType: the name of a type or an exception
	Message  string // errorMessage
	// Trace has the lines of the stack that the function reported, if it did.
	Trace []string
	// Err is the error that a handler in this process returned.
	Err error
	// Stack is the stack of a panic in this process.
	Stack []byte

	raw []byte // what the runtime has reported
}

// Report returns the error as JSON, as a caller of the function gets it: what the runtime
// of the function has reported, or else an object with errorMessage, errorType and trace.
// Do not change it.
func (e *FunctionError) Report() []byte {
	if e.raw != nil {
		return e.raw
	}
	report := struct {
		ErrorMessage string   `json:"errorMessage"`
		ErrorType    string   `json:"errorType,omitempty"`
		Trace        []string `json:"trace,omitempty"`
	}{e.Message, e.Type, e.Trace}
	b, _ := json.Marshal(report) // strings: cannot fail
	return b
}

// Error implements error.
func (e *FunctionError) Error() string {
	if e.Type == "" {
		return fmt.Sprintf("lambda: function %q raised: %s", e.Function, e.Message)
	}
	return fmt.Sprintf("lambda: function %q raised: %s: %s", e.Function, e.Type, e.Message)
}

// StackTrace returns Stack. The gateway logs it.
func (e *FunctionError) StackTrace() []byte { return e.Stack }

// Unwrap returns Err.
func (e *FunctionError) Unwrap() error { return e.Err }

// InvokeError is the error of an endpoint that did not run a function. The status is 403
// without permission, 404 if there is no such function, and 429 when calls are
// throttled.
type InvokeError struct {
	Function   string
	StatusCode int
	Type       string // x-amzn-ErrorType
	Message    string
}

// Error implements error.
func (e *InvokeError) Error() string {
	return fmt.Sprintf("lambda: function %q was not invoked: %d %s %s", e.Function, e.StatusCode, e.Type, e.Message)
}

// integrationError adds to err the status with which the service refuses a $connect.
func integrationError(req *gateway.Request, err error) error {
	status := http.StatusBadGateway // it raised an error, its answer is malformed, or the connection failed
	var (
		refused *InvokeError
		timeout net.Error
	)
	switch {
	case errors.As(err, new(*FunctionError)): // what it wraps does not matter
	case errors.As(err, &refused), errors.Is(err, errConfiguration):
		status = http.StatusInternalServerError
	case errors.Is(err, context.DeadlineExceeded):
		status = http.StatusGatewayTimeout
	case errors.As(err, &timeout) && timeout.Timeout():
		status = http.StatusGatewayTimeout
		err = fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return &gateway.IntegrationError{RouteKey: req.RouteKey, StatusCode: status, Err: err}
}

// errConfiguration marks a mistake that makes every call impossible.
var errConfiguration = errors.New("lambda: invalid configuration")
