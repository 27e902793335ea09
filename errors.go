package gateway

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
)

// Errors to compare with [errors.Is]. In parentheses is how a client or a caller of
// @connections sees them: the status, and the name of the exception in the header
// x-amzn-ErrorType. (API Gateway: "Gateway response types".)
var (
	// ErrGone: the connection is not open. It has closed, or its $connect has not
	// returned yet (410 GoneException). As on AWS, nothing can be posted to a connection
	// during its $connect: to greet a client, post from [Observer.ConnectionOpened], or
	// let the answer of $connect do it: see [WithAnswerCommands].
	ErrGone = errors.New("gateway: connection is gone, or not open yet")
	// ErrUnauthorized: the [Authorizer] does not know the client (401).
	ErrUnauthorized = errors.New("gateway: unauthorized")
	// ErrForbidden: the client or the caller may not do this (403; for @connections
	// ForbiddenException).
	ErrForbidden = errors.New("gateway: forbidden")
	// ErrLimitExceeded: the send buffer of the client is full, because it reads too
	// slowly, or the connection is in as many groups as Quotas.GroupsPerConnection allows
	// (429 LimitExceededException).
	ErrLimitExceeded = errors.New("gateway: limit exceeded")
	// ErrPayloadTooLarge: the message is larger than Quotas.MessageBytes, or the state than
	// Quotas.StateBytes (413).
	ErrPayloadTooLarge = errors.New("gateway: payload too large")
	// ErrConflict: the state of the connection is not the one that [IfState] names (412
	// PreconditionFailedException).
	ErrConflict = errors.New("gateway: the state of the connection has changed")
	// ErrClosed: the Gateway shuts down, or has shut down (503).
	ErrClosed = errors.New("gateway: closed")
	// ErrInvalidAuthorization: the [Authorizer] returned something that is not valid
	// (500, with a message that is null).
	ErrInvalidAuthorization = errors.New("gateway: invalid authorization")
	// ErrInvalidOption: an option, a route or a deployment is not valid. The text says
	// what is wrong and how to correct it.
	ErrInvalidOption = errors.New("gateway: invalid option")
	// ErrInvalidArgument: an audience, the name of a group, a close code, a reason, a state,
	// or a part of a Page cannot be (400 BadRequestException). The text names the field, and
	// says how to correct it.
	ErrInvalidArgument = errors.New("gateway: invalid argument")
)

// IntegrationError says that the integration of a route failed: it returned an error,
// panicked, or did not return within Quotas.IntegrationTimeout. Only the observers and the
// log see it; the client gets a fixed text, or what a typed handler tells it: see [JSON].
type IntegrationError struct {
	RouteKey string
	// StatusCode is the status of a refused upgrade. After a timeout it is 504. If the
	// integration itself returned an *IntegrationError with a status from 400 to 599, it
	// is that status. [JSON] says which it is for its errors. Otherwise it is 502.
	StatusCode int
	// Err is what went wrong. After a timeout it wraps [context.DeadlineExceeded].
	Err error
}

// Error implements error.
func (e *IntegrationError) Error() string {
	return fmt.Sprintf("gateway: integration for route %q: %v", e.RouteKey, e.Err)
}

// Unwrap returns Err.
func (e *IntegrationError) Unwrap() error { return e.Err }

// errorAnswer implements [answered]. The status is that of the error.
func (e *IntegrationError) errorAnswer() errorAnswer {
	row := errUnreachable
	var told *toldError
	switch {
	case e.StatusCode != http.StatusGatewayTimeout && errors.As(e.Err, &told):
		return told.answer
	case e.StatusCode == http.StatusUnsupportedMediaType:
		row = errUnsupportedMedia
	case e.StatusCode != http.StatusGatewayTimeout:
		row = errIntegration
	case errors.Is(e.Err, context.DeadlineExceeded):
		row = errTimeout
	}
	answer := answerOf(row)
	answer.status = e.StatusCode
	return answer
}

// Errors that the gateway makes itself. Those that have an answer are in the table answers.
var (
	errNoRoute      = errors.New("no route matches the message and there is no $default route")
	errGoexit       = errors.New("the callback ended its goroutine (runtime.Goexit)")
	errReplySize    = errors.New("the reply is above Quotas.MessageBytes")
	errBadStatus    = errors.New("the $connect integration returned a status code outside 200 to 599")
	errNoModel      = errors.New("no model is selected and there is no $default model")
	errInvalidBody  = errors.New("the message does not fit the model of its route")
	errThrottled    = errors.New("throttled")
	errQuota        = errors.New("the quota of the usage plan is used up")
	errUsageStore   = errors.New("usage store")
	errAPIKey       = errors.New("no valid API key")
	errInternal     = errors.New("internal error")
	errAuthorizer   = errors.New("the authorizer failed")
	errMissingParam = errors.New("a required request parameter is missing")

	errIntegration      = errors.New("the integration failed")
	errTimeout          = errors.New("the integration did not return in time")
	errUnreachable      = errors.New("the endpoint of the integration cannot be reached")
	errUnsupportedMedia = errors.New("no request template fits, and passing the message through is not allowed")

	errNoManagementAuth = errors.New("no ManagementAuth: pass WithManagementAuth to New, or WithoutManagementAuth where only trusted callers reach the handler")
	errManagementCall   = errors.New("not a call of @connections")
	errConnectionID     = errors.New("no gateway has issued this connection ID: take it from Request.ConnectionID or Connection.ID, and escape it in the URL")
	errStateText        = fmt.Errorf("%w: state: it is not valid UTF-8: encode other bytes as text, for example in base64", ErrInvalidArgument)
	errReadBody         = errors.New("reading the body") // which broke off, or breaks a rule of HTTP

	errURLBytes    = errors.New("the URL is above Quotas.URLBytes")
	errHeaderBytes = errors.New("the headers are above Quotas.HeaderBytes")
	errTwoHeaders  = errors.New("a header that may appear only once was sent more than once")
	errProxies     = errors.New("the headers of proxies contradict each other")
	errQuery       = errors.New("the query cannot be read")
	errNoUpgrade   = errors.New("no upgrade to WebSocket version 13 over HTTP/1.1")
	errMethod      = errors.New("the method of the upgrade request is not GET")
	errHandshake   = errors.New("the upgrade request breaks a rule of RFC 6455")
	errOrigin      = errors.New("the origin of the page is not allowed")
	errHijack      = errors.New("the connection cannot be taken over from the server, because http.Hijacker is hidden: " +
		"give the ResponseWriter of each middleware around Gateway.Handler an Unwrap method, and mount the handler outside of http.TimeoutHandler, whose ResponseWriter can never be taken over")
)

// PublicError is an error that decides what the client or the caller may know. If a
// [ManagementAuth] or an [Authorizer] returns one, or wraps one, the answer is 403 with
// the message, or 401 if it also wraps [ErrUnauthorized]. A call of @connections has the
// code in the header x-amzn-ErrorType; a refused upgrade has no such header. A func of [JSON]
// tells its client the message in an error frame. The errors of package sigv4 are
// PublicErrors.
type PublicError interface {
	error
	PublicError() (code, message string)
}

// errorAnswer is what an error looks like in a refused upgrade, in an error frame, in the
// answer to a call of @connections, and in the log.
type errorAnswer struct {
	status int        // HTTP status; for an error frame the status that observers get
	name   string     // x-amzn-ErrorType of calls of @connections; "": there is no such header
	text   string     // the message; "": a call of @connections has an empty body, an upgrade the status text
	kind   string     // gateway response type: $context.error.responseType
	level  slog.Level // of the line in the log: see log.go
}

// answers is the table of all errors that have an answer. If several rows match an error,
// the first one counts. An error that matches no row is errInternal. (API Gateway:
// "Gateway response types".)
//
//nolint:gochecknoglobals // never changes
var answers = [...]struct {
	err error
	errorAnswer
}{
	{errAuthorizer, errorAnswer{http.StatusInternalServerError, "", internalText, "AUTHORIZER_FAILURE", slog.LevelError}},
	{errUsageStore, errorAnswer{http.StatusInternalServerError, "", internalText, "API_CONFIGURATION_ERROR", slog.LevelError}},
	{ErrGone, errorAnswer{http.StatusGone, "GoneException", "", "", slog.LevelDebug}},
	{errAPIKey, errorAnswer{http.StatusForbidden, "", "Forbidden", "INVALID_API_KEY", slog.LevelWarn}},
	{ErrUnauthorized, errorAnswer{http.StatusUnauthorized, "", "Unauthorized", "UNAUTHORIZED", slog.LevelWarn}},
	{ErrForbidden, errorAnswer{http.StatusForbidden, "ForbiddenException", "Forbidden", "ACCESS_DENIED", slog.LevelWarn}},
	{errNoManagementAuth, errorAnswer{http.StatusForbidden, "ForbiddenException", "Forbidden", "ACCESS_DENIED", slog.LevelWarn}},
	{ErrInvalidAuthorization, errorAnswer{http.StatusInternalServerError, "", noMessage, "AUTHORIZER_CONFIGURATION_ERROR", slog.LevelError}},
	{ErrLimitExceeded, errorAnswer{http.StatusTooManyRequests, "LimitExceededException", "", "", slog.LevelDebug}},
	{ErrPayloadTooLarge, errorAnswer{http.StatusRequestEntityTooLarge, "", "", "REQUEST_TOO_LARGE", slog.LevelDebug}},
	{errReadBody, errorAnswer{http.StatusBadRequest, "BadRequestException", "The request body cannot be read", "DEFAULT_4XX", slog.LevelDebug}},
	{errThrottled, errorAnswer{http.StatusTooManyRequests, "TooManyRequestsException", "Too Many Requests", "THROTTLED", slog.LevelDebug}},
	{errQuota, errorAnswer{http.StatusTooManyRequests, "", "Limit Exceeded", "QUOTA_EXCEEDED", slog.LevelDebug}},
	{os.ErrDeadlineExceeded, errorAnswer{http.StatusInternalServerError, "InternalServerErrorException", internalText, "DEFAULT_5XX", slog.LevelDebug}},   // the caller is slow
	{context.Canceled, errorAnswer{http.StatusInternalServerError, "InternalServerErrorException", internalText, "DEFAULT_5XX", slog.LevelDebug}},         // or it has left
	{context.DeadlineExceeded, errorAnswer{http.StatusInternalServerError, "InternalServerErrorException", internalText, "DEFAULT_5XX", slog.LevelDebug}}, // or has given it too little time
	{ErrClosed, errorAnswer{http.StatusServiceUnavailable, "", "Service Unavailable", "", slog.LevelDebug}},

	// Messages.
	{errNoRoute, errorAnswer{http.StatusForbidden, "", "Forbidden", "ACCESS_DENIED", slog.LevelWarn}},
	{errInvalidBody, errorAnswer{http.StatusBadRequest, "", "Invalid request body", "BAD_REQUEST_BODY", slog.LevelWarn}},
	{errReplySize, errorAnswer{http.StatusInternalServerError, "", internalText, "DEFAULT_5XX", slog.LevelError}},

	// Integrations. The status is that of the IntegrationError.
	{errIntegration, errorAnswer{http.StatusBadGateway, "", internalText, "INTEGRATION_FAILURE", slog.LevelError}},
	{errTimeout, errorAnswer{http.StatusGatewayTimeout, "", "Endpoint request timed out", "INTEGRATION_TIMEOUT", slog.LevelError}},
	{errUnreachable, errorAnswer{http.StatusGatewayTimeout, "", internalText, "INTEGRATION_TIMEOUT", slog.LevelError}},
	{errUnsupportedMedia, errorAnswer{http.StatusUnsupportedMediaType, "", "Unsupported Media Type", "UNSUPPORTED_MEDIA_TYPE", slog.LevelError}},

	// Upgrades.
	{errURLBytes, errorAnswer{http.StatusRequestURITooLong, "", "", "DEFAULT_4XX", slog.LevelWarn}},
	{errHeaderBytes, errorAnswer{http.StatusRequestHeaderFieldsTooLarge, "", "", "DEFAULT_4XX", slog.LevelWarn}},
	{errTwoHeaders, errorAnswer{http.StatusBadRequest, "", "", "DEFAULT_4XX", slog.LevelWarn}},
	{errProxies, errorAnswer{http.StatusBadRequest, "BadRequestException", "", "DEFAULT_4XX", slog.LevelWarn}},
	{errQuery, errorAnswer{http.StatusBadRequest, "", "", "DEFAULT_4XX", slog.LevelWarn}},
	{errNoUpgrade, errorAnswer{http.StatusUpgradeRequired, "", "", "DEFAULT_4XX", slog.LevelWarn}},
	{errMethod, errorAnswer{http.StatusMethodNotAllowed, "", "", "DEFAULT_4XX", slog.LevelWarn}},
	{errHandshake, errorAnswer{http.StatusBadRequest, "", "", "DEFAULT_4XX", slog.LevelWarn}},
	{errOrigin, errorAnswer{http.StatusForbidden, "", "", "ACCESS_DENIED", slog.LevelWarn}},
	{errMissingParam, errorAnswer{http.StatusBadRequest, "", "Missing required request parameters", "BAD_REQUEST_PARAMETERS", slog.LevelWarn}},
	{errHijack, errorAnswer{http.StatusInternalServerError, "", internalText, "DEFAULT_5XX", slog.LevelError}},

	// Calls of @connections.
	{errManagementCall, errorAnswer{http.StatusForbidden, "MissingAuthenticationTokenException", "Missing Authentication Token", "MISSING_AUTHENTICATION_TOKEN", slog.LevelWarn}},
	{errConnectionID, errorAnswer{http.StatusBadRequest, "BadRequestException", "Invalid connectionId", "", slog.LevelWarn}},

	{errInternal, errorAnswer{http.StatusInternalServerError, "InternalServerErrorException", internalText, "DEFAULT_5XX", slog.LevelError}},
}

// internalText is what a client learns of a failure inside.
const internalText = "Internal server error"

// noMessage is the text of an error whose message is null on the wire.
const noMessage = "\x00"

// answerOf returns what a client or a caller may see of err. The text of err is not part
// of that. If a method of err panics, err counts as an internal error.
func answerOf(err error) (answer errorAnswer) {
	defer func() {
		if recover() != nil {
			answer = answerOf(errInternal)
		}
	}()
	var own answered
	if errors.As(err, &own) {
		return own.errorAnswer()
	}
	for _, row := range answers {
		if errors.Is(err, row.err) {
			return row.errorAnswer
		}
	}
	return answerOf(errInternal)
}

// answered is an error that has its answer itself, whatever it wraps.
type answered interface {
	error
	errorAnswer() errorAnswer
}

// classified is an error whose answer is that of row, whatever it wraps: an error of the
// program's own code may wrap one of the gateway's.
type classified struct{ row, err error }

func (e *classified) Error() string { return e.err.Error() }

// Unwrap returns the error.
func (e *classified) Unwrap() error { return e.err }

// errorAnswer implements [answered].
func (e *classified) errorAnswer() errorAnswer { return answerOf(e.row) }

// withText returns a with another text.
func (a errorAnswer) withText(text string) errorAnswer {
	a.text = text
	return a
}

// refusal is the error of an upgrade whose answer is not simply the row of its error in the
// table of errors.go.
type refusal struct {
	answer errorAnswer
	header http.Header // further headers of the answer
	resp   *Response   // what the $connect integration answers; nil if it does not refuse the upgrade
	err    error       // for the log and the observers
	html   bool        // the body is HTML, as from the service's front end
}

func (e *refusal) Error() string {
	if e.err == nil {
		return fmt.Sprintf("refused with status %d", e.answer.status)
	}
	return e.err.Error()
}

// Unwrap returns the reason.
func (e *refusal) Unwrap() error { return e.err }

// errorAnswer implements [answered].
func (e *refusal) errorAnswer() errorAnswer { return e.answer }

// as calls [errors.As]. The error may come from the embedding program: if one of its methods
// panics, as reports that the error does not have the type.
func as[T any](err error) (found T, ok bool) {
	defer func() { _ = recover() }()
	ok = errors.As(err, &found)
	return found, ok
}

// is is [errors.Is] for such an error.
func is(err, target error) (matches bool) {
	defer func() { _ = recover() }()
	return errors.Is(err, target)
}

// integrationError wraps the error that an integration returned. expired says that its time
// was over; then the error counts as a timeout, whatever it is. If the error is an
// *IntegrationError, its status is kept.
func integrationError(routeKey string, err error, expired bool) *IntegrationError {
	var own *IntegrationError
	var told *toldError
	switch {
	case expired:
		if !errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
		}
		return &IntegrationError{RouteKey: routeKey, StatusCode: http.StatusGatewayTimeout, Err: err}
	case errors.As(err, &told):
		return &IntegrationError{RouteKey: routeKey, StatusCode: told.answer.status, Err: err}
	case errors.As(err, &own) && own.StatusCode >= 400 && own.StatusCode <= 599:
		return &IntegrationError{RouteKey: routeKey, StatusCode: own.StatusCode, Err: own.Err}
	}
	return &IntegrationError{RouteKey: routeKey, StatusCode: http.StatusBadGateway, Err: err}
}

// toldError is an error of a typed handler whose client is told more than "Internal server
// error". It is the only such error of an integration.
type toldError struct {
	answer errorAnswer
	fields []FieldError
	err    error
}

func (e *toldError) Error() string { return e.err.Error() }

// Unwrap returns the error.
func (e *toldError) Unwrap() error { return e.err }

// fieldsToTell returns what the client is told of the fields of its message, besides the
// answer to err.
func fieldsToTell(err error) []FieldError {
	failed, ok := err.(*IntegrationError) //nolint:errorlint // invoke has made it, and nothing has wrapped it
	if !ok {
		return nil
	}
	if told, ok := as[*toldError](failed.Err); ok {
		return told.fields
	}
	return nil
}

// appendErrorJSON appends the body of an error frame or of a refused upgrade. The blanks
// are as irregular as the service's, because some clients compare strings. fields is what
// does not fit, for the client of a typed handler.
func appendErrorJSON(dst []byte, a errorAnswer, fields []FieldError, connectionID, requestID string) []byte {
	dst = append(dst, `{"message": `...)
	dst = appendJSONString(dst, cmp.Or(a.text, http.StatusText(a.status)))
	dst = append(dst, `, "connectionId":"`...)
	dst = append(dst, connectionID...)
	dst = append(dst, `", "requestId":"`...)
	dst = append(dst, requestID...)
	dst = append(dst, '"')
	if len(fields) > 0 {
		dst = appendFieldErrors(append(dst, `, "errors":`...), fields)
	}
	return append(dst, '}')
}

// appendFieldErrors appends what does not fit in a message, as a JSON array.
func appendFieldErrors(dst []byte, fields []FieldError) []byte {
	before := byte('[')
	for _, f := range fields {
		dst = append(append(dst, before), `{"field":`...)
		dst = appendJSONString(dst, f.Field)
		dst = append(dst, `,"message":`...)
		dst = append(appendJSONString(dst, f.Message), '}')
		before = ','
	}
	return append(dst, ']')
}

// appendJSONString appends text as a JSON string, or null for noMessage.
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

// optionError is an [ErrInvalidOption] that says where the mistake is.
type optionError struct {
	where string
	err   error
}

// invalid returns err as an [ErrInvalidOption] that begins with where.
func invalid(where string, err error) error { return &optionError{where, err} }

// Error implements error. The text has the prefix of an ErrInvalidOption once, also
// when it wraps others.
func (e *optionError) Error() string {
	prefix := ErrInvalidOption.Error() + ": "
	return prefix + e.where + ": " + strings.ReplaceAll(e.err.Error(), prefix, "")
}

// Unwrap returns ErrInvalidOption and what was wrong.
func (e *optionError) Unwrap() []error { return []error{ErrInvalidOption, e.err} }
