package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"example.com/gateway/internal/jsonpath"
)

// mapping is one entry of RequestParameters or ResponseParameters, compiled:
// where a value goes and where it comes from. (API Gateway: "Setting up data
// mapping for WebSocket APIs".)
type mapping struct {
	place  string // header, querystring, path
	name   string
	source mappingSource
}

// mappingSource returns the values of a source: none where it is missing, then
// the mapping is skipped; several from multivalue sources only.
type mappingSource func(in *mappingInput) []string

// mappingInput is what sources look at.
type mappingInput struct {
	req       *Request
	validBody bool       // req.Body is JSON
	query     url.Values // of the upgrade request
	resp      *Response  // of the backend, for ResponseParameters
}

func newMappingInput(req *Request) *mappingInput {
	in := &mappingInput{req: req, validBody: jsonpath.Valid(req.Body)}
	if req.Upgrade != nil {
		in.query = req.Upgrade.URL.Query()
	}
	return in
}

// values returns what m maps.
func (m *mapping) values(in *mappingInput) []string { return m.source(in) }

// mappingKind is one of the two uses of mappings.
type mappingKind struct {
	target  *regexp.Regexp
	targets string // for an error
	sources []sourceForm
}

// sourceForm is a kind of source: what stands before the name, and what to make
// of the name.
type sourceForm struct {
	prefix string
	form   string // for an error
	make   func(name string) (mappingSource, error)
}

const parameterName = `[a-zA-Z0-9._$-]+`

func requestMappings() mappingKind {
	return mappingKind{
		target:  regexp.MustCompile(`^integration\.request\.(header|querystring|path)\.(` + parameterName + `)$`),
		targets: "integration.request.header.{name}, integration.request.querystring.{name} or integration.request.path.{name}",
		sources: []sourceForm{
			{"route.request.querystring.", "{name}", named(func(in *mappingInput, name string) []string { return last(in.query[name]) })},
			{"route.request.multivaluequerystring.", "{name}", named(func(in *mappingInput, name string) []string { return in.query[name] })},
			{"route.request.header.", "{name}", named(func(in *mappingInput, name string) []string { return last(in.upgradeHeader(name)) })},
			{"route.request.multivalueheader.", "{name}", named((*mappingInput).upgradeHeader)},
			{"route.request.body", ".{JSONPath}", bodySource(func(in *mappingInput) ([]byte, bool) { return in.req.Body, in.validBody })},
			{"stageVariables.", "{name}", named(func(in *mappingInput, name string) []string {
				value, ok := in.req.StageVariables[name]
				return optional(value, ok)
			})},
			{"context.", "{name}", contextSource},
		},
	}
}

func responseMappings() mappingKind {
	return mappingKind{
		target:  regexp.MustCompile(`^method\.response\.(header)\.(` + parameterName + `)$`),
		targets: "method.response.header.{name}",
		sources: []sourceForm{
			{"integration.response.header.", "{name}", named(func(in *mappingInput, name string) []string { return last(in.resp.Header.Values(name)) })},
			{"integration.response.multivalueheader.", "{name}", named(func(in *mappingInput, name string) []string { return in.resp.Header.Values(name) })},
			{"integration.response.body", ".{JSONPath}", bodySource(func(in *mappingInput) ([]byte, bool) {
				return in.resp.Body, jsonpath.Valid(in.resp.Body)
			})},
		},
	}
}

// compile compiles parameters, a map from target to source.
func (k mappingKind) compile(parameters map[string]string) ([]mapping, error) {
	mappings := make([]mapping, 0, len(parameters))
	for key, text := range parameters {
		target := k.target.FindStringSubmatch(key)
		if target == nil {
			return nil, fmt.Errorf("%w: parameter %q: the key is not %s", ErrInvalidOption, key, k.targets)
		}
		source, err := k.compileSource(text)
		if err != nil {
			return nil, fmt.Errorf("%w: parameter %q: %w", ErrInvalidOption, key, err)
		}
		mappings = append(mappings, mapping{target[1], target[2], source})
	}
	slices.SortFunc(mappings, func(a, b mapping) int { // a map has no order, a request shall have one
		return strings.Compare(a.place+"."+a.name, b.place+"."+b.name)
	})
	return mappings, nil
}

func (k mappingKind) compileSource(text string) (mappingSource, error) {
	if literal, ok := strings.CutPrefix(text, "'"); ok {
		literal, ok = strings.CutSuffix(literal, "'")
		if !ok {
			return nil, fmt.Errorf("the literal %q has no closing '", text)
		}
		return func(*mappingInput) []string { return []string{literal} }, nil
	}
	forms := []string{"'literal'"}
	for _, s := range k.sources {
		if name, ok := strings.CutPrefix(text, s.prefix); ok && (strings.HasSuffix(s.prefix, ".") || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "[")) {
			source, err := s.make(name)
			if err != nil {
				return nil, fmt.Errorf("source %q: %w", text, err)
			}
			return source, nil
		}
		forms = append(forms, s.prefix+s.form)
	}
	return nil, fmt.Errorf("the source %q is not one of %s", text, strings.Join(forms, ", "))
}

// named makes a sourceForm whose name is a parameter's.
func named(get func(in *mappingInput, name string) []string) func(string) (mappingSource, error) {
	valid := regexp.MustCompile(`^` + parameterName + `$`)
	return func(name string) (mappingSource, error) {
		if !valid.MatchString(name) {
			return nil, fmt.Errorf("the name %q has other characters than letters, digits and . _ $ -", name)
		}
		return func(in *mappingInput) []string { return get(in, name) }, nil
	}
}

// contextSource makes a source of a $context variable, which has to be one that
// the service knows: a mistake in its name would otherwise never show.
func contextSource(name string) (mappingSource, error) {
	if !isContextVariable(name) {
		return nil, fmt.Errorf("there is no $context variable %q", name)
	}
	return func(in *mappingInput) []string { return optional(in.req.contextValue(name)) }, nil
}

// bodySource makes a sourceForm whose name is a JSONPath into a body.
func bodySource(get func(in *mappingInput) (body []byte, valid bool)) func(string) (mappingSource, error) {
	return func(text string) (mappingSource, error) {
		path, err := jsonpath.Compile(text)
		if err != nil {
			return nil, err
		}
		return func(in *mappingInput) []string {
			body, valid := get(in)
			if !valid {
				return nil
			}
			value := path.Lookup(body)
			return optional(string(value.AppendString(nil)), value.Kind != jsonpath.Missing)
		}, nil
	}
}

// upgradeHeader returns the values of a header of the upgrade request, CONNECT
// only.
func (in *mappingInput) upgradeHeader(name string) []string {
	switch {
	case in.req.Upgrade == nil:
		return nil
	case strings.EqualFold(name, "Host"): // net/http keeps it apart
		return []string{in.req.Upgrade.Host}
	}
	return in.req.Upgrade.Header[http.CanonicalHeaderKey(name)]
}

func optional(value string, ok bool) []string {
	if !ok {
		return nil
	}
	return []string{value}
}

func last(values []string) []string { return values[max(0, len(values)-1):] }
