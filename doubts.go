package gateway

import (
	"fmt"
	"maps"
	"slices"

	"example.com/gateway/internal/nearest"
)

// doubter is a compiled integration, or an authorizer, that refers to names. Doubts says
// which of them lead nowhere. API Gateway accepts them and uses an empty text, or the text
// of a template as it stands, so they are not errors, but they are rarely intended.
type doubter interface {
	doubts(stageVariables map[string]string) []string
}

var (
	_ doubter = (*httpCall)(nil)
	_ doubter = (*transformed)(nil)
	_ doubter = (*RequestAuthorizer)(nil)
)

// doubtsOf returns the doubts about a route and its compiled integration.
func doubtsOf(r *Route, compiled Integration, stageVariables map[string]string) []string {
	var found []string
	if r.ModelSelectionExpression != "" && len(r.RequestModels) == 0 {
		found = append(found, "the ModelSelectionExpression selects a model, and RequestModels has none, so that every message is refused")
	}
	for _, x := range [...]any{compiled, r.Authorizer} {
		if d, ok := x.(doubter); ok {
			found = append(found, d.doubts(stageVariables)...)
		}
	}
	return found
}

// doubtVariable returns the doubt about a stage variable that where uses, or "". outcome
// says what follows if it is not defined.
func doubtVariable(where, name, outcome string, stageVariables map[string]string) string {
	if _, ok := stageVariables[name]; ok {
		return ""
	}
	meant := nearest.To(name, slices.Sorted(maps.Keys(stageVariables)))
	return fmt.Sprintf("%s: the stage variable %q is not defined, %s%s", where, name, outcome, nearest.Question(meant))
}
