package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"example.com/gateway/internal/clip"
)

// apiError is an error that a client gets: a name, a status and a text. Any other error is
// a ServiceException, and its text goes to the log only.
type apiError struct {
	status  int
	name    string // the header x-amzn-ErrorType
	message string
}

func (e *apiError) Error() string { return e.name + ": " + e.message }

// body is the JSON of the error. Some errors of the Lambda API have their text in Message,
// the others in message: SDKs look for the one or the other.
func (e *apiError) body() document {
	kind, text := "User", "message"
	switch e.name {
	case "ServiceException":
		kind, text = "Service", "Message"
	case "ResourceNotFoundException":
		text = "Message"
	}
	return document{"Type": kind, text: e.message}
}

// invalid is the error of a value that the service does not take.
func invalid(format string, args ...any) error {
	return &apiError{http.StatusBadRequest, "InvalidParameterValueException", fmt.Sprintf(format, args...)}
}

// constraint is the error of a value that breaks a constraint of the SDK model. nil is null.
func constraint(value any, member, must string) error {
	shown := "null"
	if t, ok := value.(string); ok {
		shown = "'" + echo(t) + "'"
	} else if value != nil {
		text, _ := encodeJSON(value) // it came from JSON
		shown = "'" + echo(string(text)) + "'"
	}
	return &apiError{http.StatusBadRequest, "ValidationException", "1 validation error detected: Value " + shown + " at '" + member + "' failed to satisfy constraint: Member must " + must}
}

// malformed is the error of a body that is no JSON object, or has a value of another type.
func malformed(format string, args ...any) error {
	return &apiError{http.StatusBadRequest, "SerializationException", fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &apiError{http.StatusNotFound, "ResourceNotFoundException", fmt.Sprintf(format, args...)}
}

func conflict(format string, args ...any) error {
	return &apiError{http.StatusConflict, "ResourceConflictException", fmt.Sprintf(format, args...)}
}

func accessDenied(format string, args ...any) error {
	return &apiError{http.StatusForbidden, "AccessDeniedException", fmt.Sprintf(format, args...)}
}

func tooLarge(limit int64, operation string) error {
	return &apiError{http.StatusRequestEntityTooLarge, "RequestTooLargeException", fmt.Sprintf("Request must be smaller than %d bytes for the %s operation", limit, operation)}
}

func throttled(format string, args ...any) error {
	return &apiError{http.StatusTooManyRequests, "TooManyRequestsException", fmt.Sprintf(format, args...)}
}

// unsupported is the error of what this server does not have. hint says what to do.
func unsupported(what, hint string) error {
	return invalid("Not supported here: %s. %s", strings.ToLower(what[:1])+what[1:], hint)
}

// errClosed is the error of a call after Close. SDKs try again after a 503.
var errClosed error = &apiError{http.StatusServiceUnavailable, "ServiceException", "The server is shutting down"}

// answerOf returns what a client gets for an error. known reports whether the client may see
// its text: if not, log it.
func answerOf(err error) (answer *apiError, known bool) {
	if errors.As(err, &answer) {
		return answer, true
	}
	return &apiError{http.StatusInternalServerError, "ServiceException", "Internal server error"}, false
}

// echo shortens what a client has sent, for the text of an error.
func echo(text string) string { return clip.To(text, 256) }
