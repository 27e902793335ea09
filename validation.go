package gateway

import (
	"fmt"
	"slices"
	"strings"

	"example.com/gateway/internal/mapping"
	"example.com/gateway/internal/selection"
)

// Model checks the messages of a route: a JSON Schema of package models, or a check of
// your own. (API Gateway: "Request validation for WebSocket APIs".)
type Model interface {
	// Validate returns nil if body fits. Otherwise the error says what does not fit. It
	// goes to the log and to $context.error.validationErrorString, but not to the client,
	// and it must not quote the body. Validate must not keep or change body. It may run
	// concurrently.
	Validate(body []byte) error
}

// defaultModel is the key of the model for messages that select no other.
const defaultModel = "$default"

// compileValidation checks and compiles the request parameters and the models.
func (r *route) compileValidation() error {
	for key, required := range r.RequestParameters {
		source, err := mapping.Required().Source(key)
		switch {
		case err != nil:
			return invalid(fmt.Sprintf("route %q", r.RouteKey), err)
		case r.RouteKey != RouteKeyConnect:
			return fmt.Errorf("%w: route %q has the request parameter %q: only $connect has headers and a query", ErrInvalidOption, r.RouteKey, key)
		case required:
			r.required = append(r.required, source)
		}
	}
	slices.SortFunc(r.required, func(a, b mapping.Source) int {
		return strings.Compare(a.Name+a.String(), b.Name+b.String())
	})
	if r.ModelSelectionExpression == "" {
		if len(r.RequestModels) > 0 {
			return fmt.Errorf(`%w: route %q has RequestModels, and no ModelSelectionExpression selects any: \$default selects the model "$default"`, ErrInvalidOption, r.RouteKey)
		}
		return nil
	}
	if isLifecycle(r.RouteKey) {
		return fmt.Errorf("%w: route %q: its events have no body: remove ModelSelectionExpression and RequestModels", ErrInvalidOption, r.RouteKey)
	}
	for key, model := range r.RequestModels {
		if isNil(model) {
			return fmt.Errorf("%w: route %q: the model %q is nil: set it or leave it out", ErrInvalidOption, r.RouteKey, key)
		}
	}
	expression, err := compileSelection(selection.Model, r.ModelSelectionExpression)
	if err != nil {
		return invalid(fmt.Sprintf("route %q: ModelSelectionExpression", r.RouteKey), err)
	}
	r.selection = expression
	return nil
}

// isLifecycle reports whether the events of a route have no body.
func isLifecycle(routeKey string) bool {
	switch routeKey {
	case RouteKeyConnect, RouteKeyDisconnect, RouteKeyJoin, RouteKeyLeave:
		return true
	}
	return false
}

// ValidationError says why a message does not fit the model of its route, or the type of its
// typed handler: see [JSON]. The client gets "Invalid request body", and Fields.
type ValidationError struct {
	RouteKey string
	// Model is the key of the model in Route.RequestModels; "" if there is no model for
	// the message, or if it does not fit the type of its handler.
	Model string
	// Err is what the model returned, or what does not fit the type. It is also
	// $context.error.validationErrorString.
	Err error
	// Fields is what the client is told besides: only by a typed handler.
	Fields []FieldError
}

// Error implements error.
func (e *ValidationError) Error() string {
	if e.Model == "" && e.Fields != nil {
		return fmt.Sprintf("gateway: message for route %q does not fit the type of its handler: %v", e.RouteKey, e.Err)
	}
	return fmt.Sprintf("gateway: message for route %q does not fit model %q: %v", e.RouteKey, e.Model, e.Err)
}

// Unwrap returns Err.
func (e *ValidationError) Unwrap() error { return e.Err }

// errorAnswer implements [answered].
func (e *ValidationError) errorAnswer() errorAnswer { return answerOf(errInvalidBody) }
