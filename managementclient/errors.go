package managementclient

import (
	"fmt"
	"net/http"

	"example.com/gateway"
	"example.com/gateway/internal/apicall"
)

// Error is an answer other than 2xx, or why one connection or one message of a call was
// not served.
type Error struct {
	StatusCode int
	Type       string // the header x-amzn-ErrorType, such as "GoneException"
	Body       string // of the answer, or the text of the error
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("@connections: %d %s %s", e.StatusCode, e.Type, e.Body)
}

// Is reports whether target is the error of package gateway that has this status.
func (e *Error) Is(target error) bool {
	switch e.StatusCode {
	case http.StatusBadRequest:
		return target == gateway.ErrInvalidArgument
	case http.StatusUnauthorized:
		return target == gateway.ErrUnauthorized
	case http.StatusForbidden:
		return target == gateway.ErrForbidden
	case http.StatusGone:
		return target == gateway.ErrGone
	case http.StatusPreconditionFailed:
		return target == gateway.ErrConflict
	case http.StatusRequestEntityTooLarge:
		return target == gateway.ErrPayloadTooLarge
	case http.StatusTooManyRequests:
		return target == gateway.ErrLimitExceeded
	}
	return false
}

// errorOf returns the error that one connection or one message has in an answer.
func errorOf(e apicall.Error) error { return &Error{apicall.Status(e.Type), e.Type, e.Message} }
