package gateway

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Errors that callers branch on with [errors.Is]. Where the service documents an
// exception for the case, [Gateway.ManagementHandler] answers with its status
// and its name in the x-amzn-ErrorType header.
var (
	// ErrGone: no node holds the connection. It has closed, or $connect has not
	// finished yet (410 GoneException).
	ErrGone = errors.New("gateway: connection is gone")
	// ErrUnauthorized: an [Authorizer] does not know the caller (401).
	ErrUnauthorized = errors.New("gateway: unauthorized")
	// ErrForbidden: the caller may not do this (403 ForbiddenException).
	ErrForbidden = errors.New("gateway: forbidden")
	// ErrLimitExceeded: the client's send buffer is full, it reads too slowly
	// (429 LimitExceededException).
	ErrLimitExceeded = errors.New("gateway: limit exceeded")
	// ErrPayloadTooLarge: the message is above Quotas.MessageBytes (413).
	ErrPayloadTooLarge = errors.New("gateway: payload too large")
	// ErrClosed: the Gateway shuts down or has shut down.
	ErrClosed = errors.New("gateway: closed")
	// ErrInvalidAuthorization: what an [Authorizer] returned makes no sense (500,
	// with a message that is null).
	ErrInvalidAuthorization = errors.New("gateway: invalid authorization")
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

// kind is the gateway response type.
func (e *IntegrationError) kind() string {
	switch e.StatusCode {
	case http.StatusUnsupportedMediaType:
		return "UNSUPPORTED_MEDIA_TYPE"
	case http.StatusGatewayTimeout:
		return "INTEGRATION_TIMEOUT"
	}
	return "INTEGRATION_FAILURE"
}

// noMessage is the text of an error whose message is null on the wire.
const noMessage = "\x00"

var (
	errNoRoute          = errors.New("no route matches the message and there is no $default route")
	errGoexit           = errors.New("the callback ended its goroutine (runtime.Goexit)")
	errReplySize        = errors.New("the reply is above Quotas.MessageBytes")
	errBadStatus        = errors.New("the $connect integration returned a status code outside 200 to 599")
	errNoModel          = errors.New("no model is selected and there is no $default model")
	errThrottled        = errors.New("throttled")
	errQuota            = errors.New("the quota of the usage plan is used up")
	errNoManagementAuth = errors.New("no ManagementAuth: pass WithManagementAuth, or WithoutManagementAuth where only trusted callers reach the handler")
)

// PublicError is an error that says itself what the caller may know. One that a
// [ManagementAuth] or an [Authorizer] returns, or wraps, is answered with 403 (401
// when it wraps [ErrUnauthorized] too) and the message. The code is in the
// x-amzn-ErrorType header of a management call; a refused upgrade has no such
// header. The errors of package sigv4 are PublicErrors.
type PublicError interface {
	error
	PublicError() (code, message string)
}

// wireError is how an error shows on the wire: the one table of statuses,
// exception names, texts and gateway response types. (API Gateway: "Gateway
// response types".)
type wireError struct {
	status int
	name   string // of the exception, for x-amzn-ErrorType
	text   string // of the message; "" where the service sends an empty body
	kind   string // $context.error.responseType
}

// wireErrorOf maps err to what a caller may see. An internal text never leaves. A
// method of err that panics makes it an internal error.
func wireErrorOf(err error) (wire wireError) {
	defer func() {
		if recover() != nil {
			wire = internalError()
		}
	}()
	var (
		integration *IntegrationError
		invalid     *ValidationError
		refused     *refusal
	)
	switch {
	case errors.As(err, &refused):
		return wireError{refused.status, "", cmp.Or(refused.text, http.StatusText(refused.status)), refused.kind}
	case errors.As(err, &integration): // whatever that wraps
		return wireError{integration.StatusCode, "", integration.text(), integration.kind()}
	case errors.As(err, &invalid): // likewise
		return wireError{http.StatusBadRequest, "", "Invalid request body", "BAD_REQUEST_BODY"}
	case errors.Is(err, ErrGone):
		return wireError{http.StatusGone, "GoneException", "", ""}
	case errors.Is(err, ErrUnauthorized):
		return wireError{http.StatusUnauthorized, "UnauthorizedException", "Unauthorized", "UNAUTHORIZED"}
	case errors.Is(err, ErrForbidden), errors.Is(err, errNoRoute):
		return wireError{http.StatusForbidden, "ForbiddenException", "Forbidden", "ACCESS_DENIED"}
	case errors.Is(err, ErrLimitExceeded):
		return wireError{http.StatusTooManyRequests, "LimitExceededException", "", ""}
	case errors.Is(err, ErrPayloadTooLarge):
		return wireError{http.StatusRequestEntityTooLarge, "", "", "REQUEST_TOO_LARGE"}
	case errors.Is(err, errReadBody):
		return wireError{http.StatusBadRequest, "BadRequestException", "The request body cannot be read", "DEFAULT_4XX"}
	case errors.Is(err, errThrottled):
		return wireError{http.StatusTooManyRequests, "TooManyRequestsException", "Too Many Requests", "THROTTLED"}
	case errors.Is(err, errQuota):
		return wireError{http.StatusTooManyRequests, "LimitExceededException", "Limit Exceeded", "QUOTA_EXCEEDED"}
	case errors.Is(err, ErrClosed):
		return wireError{http.StatusServiceUnavailable, "", "Service Unavailable", ""}
	}
	return internalError()
}

func internalError() wireError {
	return wireError{http.StatusInternalServerError, "InternalServerErrorException", "Internal server error", "DEFAULT_5XX"}
}

// as is [errors.As] of an error that may be the embedding program's. One whose methods
// panic is none of the type.
func as[T any](err error) (found T, ok bool) {
	defer func() { _ = recover() }()
	ok = errors.As(err, &found)
	return found, ok
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
// clients compare strings.
func appendErrorJSON(dst []byte, e wireError, connectionID, requestID string) []byte {
	dst = append(dst, `{"message": `...)
	dst = appendJSONString(dst, e.text)
	dst = append(dst, `, "connectionId":"`...)
	dst = append(dst, connectionID...)
	dst = append(dst, `", "requestId":"`...)
	dst = append(dst, requestID...)
	return append(dst, `"}`...)
}

// appendJSONString appends text as JSON; noMessage is null.
func appendJSONString(dst []byte, text string) []byte {
	if text == noMessage {
		return append(dst, "null"...)
	}
	if !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		return append(append(append(dst, '"'), text...), '"')
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string: cannot fail
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}
