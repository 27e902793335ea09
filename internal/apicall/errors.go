package apicall

import "net/http"

// MostErrors is how many errors a [Delivery] has at most.
const MostErrors = 100

// statuses are the statuses of the answers to calls, by the names of their errors.
//
//nolint:gochecknoglobals // never changes
var statuses = map[string]int{
	"BadRequestException":                 http.StatusBadRequest,
	"ForbiddenException":                  http.StatusForbidden,
	"MissingAuthenticationTokenException": http.StatusForbidden,
	"GoneException":                       http.StatusGone,
	"PreconditionFailedException":         http.StatusPreconditionFailed,
	"PayloadTooLargeException":            http.StatusRequestEntityTooLarge,
	"LimitExceededException":              http.StatusTooManyRequests,
	"TooManyRequestsException":            http.StatusTooManyRequests,
}

// Status returns the status that an answer with an error of this name has.
func Status(name string) int {
	if status, known := statuses[name]; known {
		return status
	}
	return http.StatusInternalServerError
}
