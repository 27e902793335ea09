package controlplane

import (
	"errors"
	"fmt"
	"net/http"
)

// apiError is an error that a client gets: a name, a status and a text. Any other error
// is an InternalServerError, and its text goes to the log only.
type apiError struct {
	status  int
	name    string // the header x-amzn-ErrorType
	message string
}

func (e *apiError) Error() string { return e.name + ": " + e.message }

// textMember is the member of the answer that has the text.
func (e *apiError) textMember() string {
	if e.name == "AccessDeniedException" { // the service's is written by IAM
		return "Message"
	}
	return "message"
}

func badRequest(format string, args ...any) error {
	return &apiError{http.StatusBadRequest, "BadRequestException", fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &apiError{http.StatusNotFound, "NotFoundException", fmt.Sprintf(format, args...)}
}

func conflict(format string, args ...any) error {
	return &apiError{http.StatusConflict, "ConflictException", fmt.Sprintf(format, args...)}
}

func accessDenied(format string, args ...any) error {
	return &apiError{http.StatusForbidden, "AccessDeniedException", fmt.Sprintf(format, args...)}
}

// answerOf returns what a client gets for an error. known reports whether the client may see
// the text of the error; if not, the log has to have it.
func answerOf(err error) (answer *apiError, known bool) {
	if errors.As(err, &answer) {
		return answer, true
	}
	return &apiError{http.StatusInternalServerError, "InternalServerErrorException", "Internal server error"}, false
}
