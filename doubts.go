package gateway

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.com/gateway/internal/mapping"
	"example.com/gateway/internal/nearest"
	"example.com/gateway/internal/vtl"
)

// doubter is a compiled integration, or an authorizer, that refers to names. Doubts says
// which of them lead nowhere. API Gateway accepts them and uses an empty text, or the text
// of a template as it stands, so they are no errors; but seldom does anybody mean that.
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

// doubtOfKey returns the doubt about a route key of t, or "". A key like "connect" is no
// mistake if the table has a $connect route, too.
func (t *routeTable) doubtOfKey(key string) string {
	trimmed := strings.TrimSpace(key)
	for _, reserved := range [...]string{RouteKeyConnect, RouteKeyDisconnect, RouteKeyDefault} {
		if key != reserved && strings.EqualFold(strings.TrimPrefix(trimmed, "$"), reserved[1:]) && t.find(reserved) == nil {
			return fmt.Sprintf("route key %q is a route for messages%s", key, nearest.Question(reserved))
		}
	}
	if key != trimmed {
		return fmt.Sprintf("route key %q has a blank at its beginning or end%s", key, nearest.Question(trimmed))
	}
	return ""
}

// logDoubts logs the doubts about routes of t that have just been deployed.
func (g *Gateway) logDoubts(t *routeTable, routes ...*route) {
	for _, r := range routes {
		if r == nil {
			continue
		}
		if doubt := t.doubtOfKey(r.RouteKey); doubt != "" {
			g.logKeyDoubt(r.RouteKey, doubt)
		}
		for _, doubt := range r.doubts {
			g.logDoubt(r.RouteKey, doubt)
		}
	}
}

// all returns the routes of a table, sorted by their keys.
func (t *routeTable) all() []*route {
	routes := slices.Collect(maps.Values(t.messages))
	for _, r := range [...]*route{t.connect, t.disconnect, t.fallback} {
		if r != nil {
			routes = append(routes, r)
		}
	}
	slices.SortFunc(routes, func(a, b *route) int { return strings.Compare(a.RouteKey, b.RouteKey) })
	return routes
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

// doubts implements doubter: the stage variables of the URI and of RequestParameters.
func (c *httpCall) doubts(stageVariables map[string]string) []string {
	var found []string
	add := func(where, name string) {
		if doubt := doubtVariable(where, name, "so that it is empty", stageVariables); doubt != "" && !slices.Contains(found, doubt) {
			found = append(found, doubt)
		}
	}
	for _, text := range c.URI.WithoutBraces() {
		found = append(found, fmt.Sprintf(`HTTPIntegration.URI: %q is taken as it stands: did you mean "${%s}"?`, text, text[1:]))
	}
	for _, name := range c.URI.Variables() {
		add("HTTPIntegration.URI", name)
	}
	for _, m := range c.Mappings {
		if m.Place == mapping.StageVariable {
			add(fmt.Sprintf(`RequestParameters["integration.request.%s.%s"]`, m.Target, m.Name), m.Source.Name)
		}
	}
	return found
}

// doubts implements doubter: what the templates refer to, and the call behind them.
func (c *transformed) doubts(stageVariables map[string]string) []string {
	found := c.Doubts(&vtl.Known{
		Context: append(mapping.ContextVariables(), "authorizer."), StageVariables: stageVariables,
	})
	if c.call != nil {
		found = append(found, c.call.doubts(stageVariables)...)
	}
	return found
}

// doubts implements doubter: the identity sources that no client can have.
func (a *RequestAuthorizer) doubts(stageVariables map[string]string) []string {
	const where, refused = "RequestAuthorizer.IdentitySource", "so that every client is refused with 401"
	sources, err := a.sources()
	if err != nil {
		return nil // an error of the route already
	}
	var found []string
	for _, s := range sources {
		switch {
		case s.Place == mapping.StageVariable:
			if doubt := doubtVariable(where, s.Name, refused, stageVariables); doubt != "" {
				found = append(found, doubt)
			}
		case s.Place != mapping.Context:
		case s.Hidden() || strings.HasPrefix(s.Name, "authorizer."):
			found = append(found, fmt.Sprintf("%s: %q has no value yet when the authorizer is asked, %s", where, s.String(), refused))
		case !mapping.IsContextVariable(s.Name):
			meant := nearest.To(s.Name, mapping.ContextVariables())
			found = append(found, fmt.Sprintf("%s: there is no $context variable %q, %s%s", where, s.Name, refused, nearest.Question(meant)))
		}
	}
	return found
}
