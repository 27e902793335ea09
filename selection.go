package gateway

import (
	"errors"
	"fmt"

	"example.com/gateway/internal/selection"
)

// SelectionExpressionError says why a selection expression was refused, and where. An
// error of [New], [Gateway.Deploy] or [Gateway.Handle] wraps it: find it with
// [errors.As]. (API Gateway developer guide: "WebSocket selection expressions in API
// Gateway"; the guide documents neither the errors nor their texts.)
type SelectionExpressionError struct {
	// Expression is the whole expression as it was given.
	Expression string
	// Position is the byte offset of the mistake in Expression. It is len(Expression)
	// if something is missing at the end.
	Position int
	// Reason says what is wrong and what is allowed instead. It repeats neither the
	// expression nor the position.
	Reason string
}

// Error returns the expression, the position and the reason in one line.
func (e *SelectionExpressionError) Error() string {
	return fmt.Sprintf("selection expression %q: position %d: %s", e.Expression, e.Position, e.Reason)
}

// compileSelection compiles text as an expression of the given kind. The error is
// always a [*SelectionExpressionError].
func compileSelection(kind selection.Kind, text string) (*selection.Expression, error) {
	e, err := selection.Compile(kind, text)
	if refused := (*selection.Error)(nil); errors.As(err, &refused) {
		return nil, (*SelectionExpressionError)(refused)
	}
	return e, err
}
