// Package mapping compiles what API Gateway's parameter mappings are made of:
// targets, sources, identity sources, and the URI of an HTTP endpoint with its
// placeholders. (API Gateway: "Setting up data mapping for WebSocket APIs".)
//
// It says where a value comes from and where it goes. The values themselves come from a
// [Resolver], and those of $context variables from a [Variables].
package mapping

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"example.com/gateway/internal/jsonpath"
	"example.com/gateway/internal/nearest"
)

// Place says where a source has its values.
type Place int

// The places of sources. The first two are those of the upgrade request.
const (
	Header Place = iota
	Query
	StageVariable
	Context
	RequestBody
	ResponseHeader
	ResponseBody
)

// Resolver has the values of one event.
type Resolver interface {
	// Values returns all values that place has under name, none if the source is missing.
	Values(place Place, name string) []string
	// Body returns the body of RequestBody or ResponseBody, and whether it is JSON.
	Body(place Place) (body []byte, valid bool)
}

// Source is where a value comes from, compiled.
type Source struct {
	Place Place
	Name  string // in a header, query, or list of variables
	text  string // what the source was compiled from
	all   bool   // all values count, not only the last
	path  *jsonpath.Path
	fixed []string // the value of a literal; nil if the source is no literal; empty if it never has a value
}

// String returns the text that the source was compiled from.
func (s *Source) String() string { return s.text }

// OfUpgrade reports whether only an upgrade request has the values of the source.
func (s *Source) OfUpgrade() bool {
	return s.fixed == nil && (s.Place == Header || s.Place == Query)
}

// Hidden reports whether the source exists and never has a value, as in the service.
func (s *Source) Hidden() bool { return s.fixed != nil && len(s.fixed) == 0 }

// OfMessage reports whether only a message has the values of the source.
func (s *Source) OfMessage() bool { return s.fixed == nil && s.Place == RequestBody }

// Values returns the values of the source: none if it is missing or a JSON null, and
// more than one only if it is a multivalue source.
func (s *Source) Values(r Resolver) []string {
	switch {
	case s.fixed != nil:
		return s.fixed
	case s.path != nil:
		body, valid := r.Body(s.Place)
		if !valid {
			return nil
		}
		value := s.path.Lookup(body)
		if value.Kind == jsonpath.Missing || value.Kind == jsonpath.Null {
			return nil
		}
		return []string{string(value.AppendString(nil))}
	}
	values := r.Values(s.Place, s.Name)
	if s.all {
		return values
	}
	return values[max(0, len(values)-1):]
}

// Value returns the last value of the source, "" if it is missing.
func (s *Source) Value(r Resolver) string {
	values := s.Values(r)
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// Mapping is one entry of RequestParameters or ResponseParameters, compiled.
type Mapping struct {
	Target Target
	Name   string
	Source
}

// Target is the part of a request or an answer that a mapping sets.
type Target string

// The targets.
const (
	ToHeader Target = "header"
	ToQuery  Target = "querystring"
	ToPath   Target = "path"
)

// Kind is a kind of mapping, or of source: which targets and sources it knows.
type Kind struct {
	target  *regexp.Regexp
	targets string // for an error
	// prefixes are what stands before the names of the targets, for an error.
	prefixes []string
	what     string // for an error: what its sources are called
	name     *regexp.Regexp
	names    string // for an error
	forms    []form
	literal  bool
}

// form is a form of source: what stands before the name, and what it means.
type form struct {
	prefix string
	place  Place
	all    bool
	known  func(name string) bool // nil: every name will do
	hidden []string               // names that never have a value
}

const (
	parameterName  = `[a-zA-Z0-9._$-]+`
	parameterNames = "letters, digits and . _ $ -"
)

var (
	requestTarget  = regexp.MustCompile(`^integration\.request\.(header|querystring|path)\.(` + parameterName + `)$`)
	responseTarget = regexp.MustCompile(`^method\.response\.(header)\.(` + parameterName + `)$`)
	mappingName    = regexp.MustCompile(`^` + parameterName + `$`)
	identityName   = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)
)

// Request returns the kind of HTTPIntegration.RequestParameters. A context variable has
// to be one that exists: nobody would notice a mistake in its name otherwise.
func Request() Kind {
	return Kind{
		target:   requestTarget,
		targets:  "integration.request.header.{name}, integration.request.querystring.{name} or integration.request.path.{name}",
		what:     "source",
		name:     mappingName,
		names:    parameterNames,
		literal:  true,
		prefixes: []string{"integration.request.header", "integration.request.querystring", "integration.request.path"},
		forms: []form{
			{prefix: "route.request.querystring.", place: Query},
			{prefix: "route.request.multivaluequerystring.", place: Query, all: true},
			{prefix: "route.request.header.", place: Header},
			{prefix: "route.request.multivalueheader.", place: Header, all: true},
			{prefix: "route.request.body", place: RequestBody},
			{prefix: "stageVariables.", place: StageVariable},
			{prefix: "context.", place: Context, known: IsContextVariable},
		},
	}
}

// Response returns the kind of IntegrationResponse.ResponseParameters.
func Response() Kind {
	return Kind{
		target:   responseTarget,
		targets:  "method.response.header.{name}",
		what:     "source",
		name:     mappingName,
		names:    parameterNames,
		literal:  true,
		prefixes: []string{"method.response.header"},
		forms: []form{
			{prefix: "integration.response.header.", place: ResponseHeader},
			{prefix: "integration.response.multivalueheader.", place: ResponseHeader, all: true},
			{prefix: "integration.response.body", place: ResponseBody},
		},
	}
}

// Required returns the kind of source that Route.RequestParameters names.
func Required() Kind {
	k := Identity()
	k.what, k.forms = "request parameter", k.forms[:2]
	return k
}

// Identity returns the kind of source that tells an authorizer who a client is.
// (API Gateway: "Create a Lambda REQUEST authorizer function".)
func Identity() Kind {
	return Kind{
		what:  "identity source",
		name:  identityName,
		names: "letters, digits and . _ -",
		forms: []form{
			{prefix: "route.request.header.", place: Header},
			{prefix: "route.request.querystring.", place: Query},
			{prefix: "stageVariables.", place: StageVariable},
			{prefix: "context.", place: Context, hidden: []string{"eventType", "messageDirection"}}, // as in the service
		},
	}
}

// Compile compiles parameters, a map from target to source.
func (k Kind) Compile(parameters map[string]string) ([]Mapping, error) {
	mappings := make([]Mapping, 0, len(parameters))
	for key, text := range parameters {
		target := k.target.FindStringSubmatch(key)
		if target == nil {
			return nil, fmt.Errorf("parameter %q: the key is not %s%s", key, k.targets, nearest.Question(nearest.Prefix(key, k.prefixes)))
		}
		source, err := k.Source(text)
		if err != nil {
			return nil, fmt.Errorf("parameter %q: %w", key, err)
		}
		mappings = append(mappings, Mapping{Target(target[1]), target[2], source})
	}
	slices.SortFunc(mappings, func(a, b Mapping) int { // a map has no order, a request shall have one
		return strings.Compare(string(a.Target)+"."+a.Name, string(b.Target)+"."+b.Name)
	})
	return mappings, nil
}

// Source compiles one source.
func (k Kind) Source(text string) (Source, error) {
	s := Source{text: text}
	if literal, ok := strings.CutPrefix(text, "'"); ok && k.literal {
		literal, ok = strings.CutSuffix(literal, "'")
		if !ok {
			return s, fmt.Errorf("%s %q: the literal has no closing '", k.what, text)
		}
		s.fixed = []string{literal}
		return s, nil
	}
	for _, f := range k.forms {
		name, ok := strings.CutPrefix(text, f.prefix)
		if !ok || f.inBody() && !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "[") {
			continue
		}
		s.Place, s.Name, s.all = f.place, name, f.all
		if err := k.check(&s, &f); err != nil {
			return s, fmt.Errorf("%s %q: %w", k.what, text, err)
		}
		return s, nil
	}
	return s, fmt.Errorf("%s %q is not one of %s%s", k.what, text, k.list(), nearest.Question(k.near(text)))
}

// check checks the name of a source, or compiles its JSONPath.
func (k Kind) check(s *Source, f *form) (err error) {
	switch {
	case f.inBody():
		s.path, err = jsonpath.Compile(s.Name)
		return err
	case !k.name.MatchString(s.Name):
		return fmt.Errorf("the name %q does not consist of %s", s.Name, k.names)
	case f.known != nil && !f.known(s.Name):
		return fmt.Errorf("there is no $context variable %q%s", s.Name, nearest.Question(nearest.To(s.Name, ContextVariables())))
	case slices.Contains(f.hidden, s.Name):
		s.fixed = []string{}
	}
	return nil
}

func (f *form) inBody() bool { return f.place == RequestBody || f.place == ResponseBody }

// near returns the source that text was probably meant to be, or "".
func (k Kind) near(text string) string {
	prefixes := make([]string, len(k.forms))
	for n, f := range k.forms {
		prefixes[n] = strings.TrimSuffix(f.prefix, ".")
	}
	return nearest.Prefix(text, prefixes)
}

// list names the forms of sources, for an error.
func (k Kind) list() string {
	var forms []string
	if k.literal {
		forms = append(forms, "'literal'")
	}
	for _, f := range k.forms {
		if f.inBody() {
			forms = append(forms, f.prefix+".{JSONPath}")
			continue
		}
		forms = append(forms, f.prefix+"{name}")
	}
	return strings.Join(forms, ", ")
}
