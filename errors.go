package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// Errors that callers branch on with [errors.Is]. Where the service documents an
// exception for the case, [Gateway.ManagementHandler] answers with its status
// and its name in the x-amzn-ErrorType header.
var (
	// ErrGone: no node holds the connection. It has closed, or $connect has not
	// finished yet (410 GoneException).
	ErrGone = errors.New("gateway: connection is gone")
	// ErrForbidden: the caller may not do this (403 ForbiddenException).
	ErrForbidden = errors.New("gateway: forbidden")
	// ErrLimitExceeded: the client's send buffer is full, it reads too slowly
	// (429 LimitExceededException).
	ErrLimitExceeded = errors.New("gateway: limit exceeded")
	// ErrPayloadTooLarge: the message is above Quotas.MessageBytes (413).
	ErrPayloadTooLarge = errors.New("gateway: payload too large")
	// ErrClosed: the Gateway shuts down or has shut down.
	ErrClosed = errors.New("gateway: closed")
	// ErrInvalidOption: an option, a route or a deployment makes no sense. The
	// text says which and what would.
	ErrInvalidOption = errors.New("gateway: invalid option")
)

// IntegrationError says that the integration of a route failed: it returned an
// error, panicked, or did not return within Quotas.IntegrationTimeout. Only
// [Observer].IntegrationDone and the log see it; the client gets a fixed text.
type IntegrationError struct {
	RouteKey string
	// StatusCode is that of the answer to a refused upgrade: 504 after a timeout;
	// what an *IntegrationError that the integration returned itself says, from 400
	// to 599; else 502.
	StatusCode int
	// Err is what went wrong. [context.DeadlineExceeded] marks a timeout.
	Err error
}

// Error implements error.
func (e *IntegrationError) Error() string {
	return fmt.Sprintf("gateway: integration for route %q: %v", e.RouteKey, e.Err)
}

// Unwrap returns Err.
func (e *IntegrationError) Unwrap() error { return e.Err }

// text is what the client may know.
func (e *IntegrationError) text() string {
	switch {
	case e.StatusCode == http.StatusUnsupportedMediaType:
		return "Unsupported Media Type"
	case e.StatusCode == http.StatusGatewayTimeout && errors.Is(e.Err, context.DeadlineExceeded):
		return "Endpoint request timed out"
	}
	return "Internal server error"
}

var (
	errNoRoute          = errors.New("no route matches the message and there is no $default route")
	errGoexit           = errors.New("the integration ended its goroutine (runtime.Goexit)")
	errReplySize        = errors.New("the reply is above Quotas.MessageBytes")
	errBadStatus        = errors.New("the $connect integration returned a status code outside 200 to 599")
	errTooMany          = errors.New("too many new connections")
	errNoManagementAuth = errors.New("no ManagementAuth: pass WithManagementAuth, or WithoutManagementAuth where only trusted callers reach the handler")
)

// wireError is how an error shows on the wire: the one table of statuses,
// exception names and texts.
type wireError struct {
	status int
	name   string // of the exception, for x-amzn-ErrorType
	text   string // of the message; "" where the service sends an empty body
}

// wireErrorOf maps err to what a caller may see. An internal text never leaves.
func wireErrorOf(err error) wireError {
	var integration *IntegrationError
	switch {
	case errors.Is(err, ErrGone):
		return wireError{http.StatusGone, "GoneException", ""}
	case errors.Is(err, ErrForbidden):
		return wireError{http.StatusForbidden, "ForbiddenException", "Forbidden"}
	case errors.Is(err, ErrLimitExceeded):
		return wireError{http.StatusTooManyRequests, "LimitExceededException", ""}
	case errors.Is(err, ErrPayloadTooLarge):
		return wireError{http.StatusRequestEntityTooLarge, "", ""}
	case errors.Is(err, errNoRoute):
		return wireError{http.StatusForbidden, "", "Forbidden"}
	case errors.Is(err, errTooMany):
		return wireError{http.StatusTooManyRequests, "", "Too Many Requests"}
	case errors.Is(err, ErrClosed):
		return wireError{http.StatusServiceUnavailable, "", "Service Unavailable"}
	case errors.As(err, &integration):
		return wireError{integration.StatusCode, "", integration.text()}
	}
	return wireError{http.StatusInternalServerError, "InternalServerErrorException", "Internal server error"}
}

// integrationError wraps what an integration returned. expired says that its
// time was over, whatever error it made of that. A status that the integration
// names itself, by an *IntegrationError, is kept.
func integrationError(routeKey string, err error, expired bool) *IntegrationError {
	var own *IntegrationError
	switch {
	case expired:
		if !errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
		}
		return &IntegrationError{RouteKey: routeKey, StatusCode: http.StatusGatewayTimeout, Err: err}
	case errors.As(err, &own) && own.StatusCode >= 400 && own.StatusCode <= 599:
		return &IntegrationError{RouteKey: routeKey, StatusCode: own.StatusCode, Err: own.Err}
	}
	return &IntegrationError{RouteKey: routeKey, StatusCode: http.StatusBadGateway, Err: err}
}

// appendErrorJSON appends the body that the service sends for its own errors, in
// a frame and in a refused upgrade alike, with its irregular blanks: some
// clients compare strings. text holds nothing that needs escaping.
func appendErrorJSON(dst []byte, text, connectionID, requestID string) []byte {
	dst = append(dst, `{"message": "`...)
	dst = append(dst, text...)
	dst = append(dst, `", "connectionId":"`...)
	dst = append(dst, connectionID...)
	dst = append(dst, `", "requestId":"`...)
	dst = append(dst, requestID...)
	return append(dst, `"}`...)
}
