package lambda

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"example.com/gateway"
)

// FunctionError says that a function raised: it returned an error, threw,
// panicked, or ran out of its own time or memory.
type FunctionError struct {
	Function string // the function's name, "" for one in process
	Type     string // errorType: the name of a type or an exception
	Message  string // errorMessage
	// Err is what a handler in process returned.
	Err error
	// Stack is that of a panic in process.
	Stack []byte
}

// Error implements error.
func (e *FunctionError) Error() string {
	if e.Type == "" {
		return fmt.Sprintf("lambda: function %q raised: %s", e.Function, e.Message)
	}
	return fmt.Sprintf("lambda: function %q raised: %s: %s", e.Function, e.Type, e.Message)
}

// StackTrace returns Stack, which the gateway's log shows.
func (e *FunctionError) StackTrace() []byte { return e.Stack }

// Unwrap returns Err.
func (e *FunctionError) Unwrap() error { return e.Err }

// InvokeError says that an endpoint did not run a function: 403 without the
// permission, 404 where there is none of that name, 429 when throttled.
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

// integrationError gives err the status that the service answers a $connect with.
func integrationError(req *gateway.Request, err error) error {
	status := http.StatusBadGateway // it raised, it is malformed, it was lost on the way
	var (
		refused *InvokeError
		timeout net.Error
	)
	switch {
	case errors.As(err, new(*FunctionError)): // whatever that wraps
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

// errConfiguration marks what makes any call impossible.
var errConfiguration = errors.New("lambda: invalid configuration")
