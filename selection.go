package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"example.com/gateway/internal/jsonpath"
)

// SelectionExpressionError tells why and where a selection expression was
// refused. (API Gateway developer guide: "WebSocket selection expressions in API
// Gateway"; the guide documents neither the errors nor their texts.)
type SelectionExpressionError struct {
	// Expression is the whole expression as it was given.
	Expression string
	// Position is the byte offset into Expression of what is wrong; it is
	// len(Expression) where something is missing at the end.
	Position int
	// Reason says what is wrong and what is allowed instead, without the
	// expression and the position.
	Reason string
}

// Error returns the expression, the position and the reason in one line.
func (e *SelectionExpressionError) Error() string {
	return fmt.Sprintf("gateway: selection expression %q: position %d: %s", e.Expression, e.Position, e.Reason)
}

// selectionKind is the property that a selection expression is the value of. It
// decides which variables the expression may use:
//
//	kind                              value of                                           may use
//	selectRoute                       Api.RouteSelectionExpression                       request.body, literals
//	selectAPIKey                      Api.ApiKeySelectionExpression                      fixed: request.header.x-api-key or
//	                                                                                     context.authorizer.usageIdentifierKey
//	selectModel                       Route.ModelSelectionExpression                     request.body, literals
//	selectRouteResponse               Route.RouteResponseSelectionExpression             fixed: $default
//	selectRequestTemplate             Integration.TemplateSelectionExpression            request.body, literals
//	selectLambdaIntegrationResponse   Integration.IntegrationResponseSelectionExpression fixed: integration.response.body.errorMessage
//	select{HTTP,Mock}Integration…     the same                                           fixed: integration.response.statuscode
//	selectResponseTemplate            IntegrationResponse.TemplateSelectionExpression    request.body, integration.response.statuscode,
//	                                                                                     .header, .multivalueheader, literals
//	selectAPIMapping                  ApiMappingSelectionExpression                      fixed: request.basepath
//
// A proxy integration has no integration response, and a route response no model
// selection, so that there is no kind for these.
type selectionKind uint8

const (
	selectRoute selectionKind = iota
	selectAPIKey
	selectModel
	selectRouteResponse
	selectRequestTemplate
	selectLambdaIntegrationResponse
	selectHTTPIntegrationResponse
	selectMockIntegrationResponse
	selectResponseTemplate
	selectAPIMapping
)

// The variables. One that ends in "." goes on with a header name.
const (
	varRequestBody      = "request.body" // goes on with a JSONPath
	varAPIKeyHeader     = "request.header.x-api-key"
	varDefault          = "default" // not a variable, although it is written like one
	varBasePath         = "request.basepath"
	varUsageIdentifier  = "context.authorizer.usageIdentifierKey"
	varErrorMessage     = "integration.response.body.errorMessage"
	varStatusCode       = "integration.response.statuscode"
	varStatusCodeShort  = "response.statuscode" // the same, as sample outputs of the guide have it
	varHeader           = "integration.response.header."
	varMultiValueHeader = "integration.response.multivalueheader."
)

// headerNameCharacters are the characters of a token in RFC 9110, section 5.6.2.
const headerNameCharacters = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// rules returns the kind's name with its article and the variables it may use.
// If fixed, one of these variables is the whole expression.
func (k selectionKind) rules() (name string, variables []string, fixed bool) {
	switch k {
	case selectRoute:
		return "a route selection expression", []string{varRequestBody}, false
	case selectAPIKey:
		return "an API key selection expression", []string{varAPIKeyHeader, varUsageIdentifier}, true
	case selectModel:
		return "a model selection expression", []string{varRequestBody}, false
	case selectRouteResponse:
		return "a route response selection expression", []string{varDefault}, true
	case selectRequestTemplate:
		return "a template selection expression", []string{varRequestBody}, false
	case selectLambdaIntegrationResponse:
		return "an integration response selection expression (Lambda)", []string{varErrorMessage}, true
	case selectHTTPIntegrationResponse:
		return "an integration response selection expression (HTTP)", []string{varStatusCode, varStatusCodeShort}, true
	case selectMockIntegrationResponse:
		return "an integration response selection expression (MOCK)", []string{varStatusCode, varStatusCodeShort}, true
	case selectResponseTemplate:
		return "a response template selection expression", []string{varRequestBody, varStatusCode, varHeader, varMultiValueHeader}, false
	case selectAPIMapping:
		return "an API mapping selection expression", []string{varBasePath}, true
	default:
		return fmt.Sprintf("selection expression kind %d", k), nil, true
	}
}

// selectionInput is what an expression may read. Fields that the kind does not
// use may be zero. Evaluation only reads it.
type selectionInput struct {
	body      []byte // the message
	bodyValid bool   // body is valid JSON; if not, its paths are all missing

	requestHeader      http.Header // of the upgrade request
	usageIdentifierKey string      // from the authorizer
	basePath           string      // the mapped path segment of a custom domain

	integrationStatus    int // zero: there is none
	integrationHeader    http.Header
	integrationBody      []byte
	integrationBodyValid bool // integrationBody is valid JSON
}

// selectionExpression is a compiled selection expression. It is immutable and
// safe for concurrent use. (API Gateway developer guide: "WebSocket selection
// expressions in API Gateway".)
//
//	expression = { "\$" | "${" variable "}" | "$" variable | any other character }
//
// Any number of variables and literals may be joined, and the result is never
// evaluated again. Where the guide says nothing:
//
//   - A variable without braces goes as far as [jsonpath.Extent] says.
//   - Several matches are an array, and none of several is "[]"; see [jsonpath.Path].
//   - A "$" that neither "{" nor a name follows, and a "${" without its "}", are
//     errors. A "}" inside a bracket of a path does not count.
//   - A backslash before anything but "$" is a literal backslash.
type selectionExpression struct {
	pieces []selectionPiece
}

// selectionPiece is a literal or a variable.
type selectionPiece struct {
	variable string         // one of the constants; "": a literal
	text     string         // the literal, or the header name of varHeader and varMultiValueHeader
	path     *jsonpath.Path // of varRequestBody and varErrorMessage
}

// compileSelection compiles text as an expression of the given kind. The error
// is always a [*SelectionExpressionError].
func compileSelection(kind selectionKind, text string) (*selectionExpression, error) {
	name, variables, fixed := kind.rules()
	p := selectionParser{text: text, name: name, variables: variables}
	parse := p.parse
	if fixed {
		parse = p.parseFixed
	}
	if err := parse(); err != nil {
		return nil, err
	}
	return &selectionExpression{pieces: p.pieces}, nil
}

// route evaluates e for a message. It returns false if body is not valid JSON,
// for which the $default route is meant whatever the expression; valid JSON that
// a path does not fit has an empty string there.
//
// The key aliases body or buf and must not be changed; buf is overwritten, its
// length is ignored, and it grows as needed. If e is one variable and its value
// a string without escapes, nothing is copied and buf may be nil.
func (e *selectionExpression) route(body, buf []byte) (key []byte, ok bool) {
	if !jsonpath.Valid(body) {
		return nil, false
	}
	if len(e.pieces) == 1 && e.pieces[0].variable == varRequestBody {
		return e.pieces[0].path.Lookup(body).Text(buf), true
	}
	return e.joined(body, buf), true
}

// joined is route for an expression of several pieces. It stands apart since route
// runs for every message, on a stack that should stay small.
func (e *selectionExpression) joined(body, buf []byte) []byte {
	return e.append(buf[:0], &selectionInput{body: body, bodyValid: true})
}

// append appends the value of e for in to dst. Whatever a variable does not find
// is the empty string. It allocates only to extend dst.
func (e *selectionExpression) append(dst []byte, in *selectionInput) []byte {
	for i := range e.pieces {
		dst = e.pieces[i].append(dst, in)
	}
	return dst
}

func (p *selectionPiece) append(dst []byte, in *selectionInput) []byte {
	switch p.variable {
	case "":
		return append(dst, p.text...)
	case varRequestBody:
		if in.bodyValid {
			return p.path.Lookup(in.body).AppendString(dst)
		}
	case varErrorMessage:
		if in.integrationBodyValid {
			return p.path.Lookup(in.integrationBody).AppendString(dst)
		}
	case varStatusCode, varStatusCodeShort:
		if in.integrationStatus != 0 {
			return strconv.AppendInt(dst, int64(in.integrationStatus), 10)
		}
	case varHeader:
		return append(dst, in.integrationHeader.Get(p.text)...)
	case varMultiValueHeader:
		return appendHeaderValues(dst, in.integrationHeader.Values(p.text))
	case varAPIKeyHeader:
		return append(dst, in.requestHeader.Get("X-Api-Key")...)
	case varUsageIdentifier:
		return append(dst, in.usageIdentifierKey...)
	case varBasePath:
		return append(dst, in.basePath...)
	}
	return dst
}

// appendHeaderValues writes a list as a JSON array of strings would be written.
func appendHeaderValues(dst []byte, values []string) []byte {
	separator := "["
	for _, value := range values {
		dst = append(append(dst, separator...), value...)
		separator = ", "
	}
	if len(values) > 0 {
		dst = append(dst, ']')
	}
	return dst
}

// selectionParser turns the text of an expression into pieces.
type selectionParser struct {
	text      string
	name      string   // of the kind, with its article
	variables []string // that the kind may use
	literal   []byte   // not yet in pieces
	pieces    []selectionPiece
}

// parseFixed accepts a variable of the kind, in braces or not, and nothing else.
func (p *selectionParser) parseFixed() error {
	start, end := 0, len(p.text)
	switch {
	case strings.HasPrefix(p.text, "${") && strings.HasSuffix(p.text, "}"):
		start, end = 2, end-1
	case strings.HasPrefix(p.text, "$"):
		start = 1
	}
	name := p.text[start:end]
	switch {
	case start == 0, !slices.Contains(p.variables, name), name == varDefault && start != 1:
		return p.errorAt(p.mismatch(start, name), p.name+" must be "+p.allowed(" or "))
	case name == varErrorMessage:
		return p.addPath(name, ".errorMessage", 0)
	case name == varDefault:
		p.pieces = append(p.pieces, selectionPiece{text: p.text})
	default:
		p.pieces = append(p.pieces, selectionPiece{variable: name})
	}
	return nil
}

func (p *selectionParser) parse() error {
	if p.text == "" {
		return p.errorAt(0, "the expression is empty; "+p.name+" may use "+p.allowed(", ")+" and literals")
	}
	for pos := 0; pos < len(p.text); {
		rest := p.text[pos:]
		var err error
		switch {
		case strings.HasPrefix(rest, `\$`):
			p.literal = append(p.literal, '$')
			pos += len(`\$`)
		case strings.HasPrefix(rest, "${"):
			pos, err = p.braced(pos)
		case rest[0] == '$':
			pos, err = p.bare(pos)
		default:
			p.literal = append(p.literal, rest[0])
			pos++
		}
		if err != nil {
			return err
		}
	}
	p.endLiteral()
	return nil
}

// braced parses the variable whose "${" is at start and returns where it ends.
func (p *selectionParser) braced(start int) (end int, err error) {
	start += len("${")
	length := jsonpath.IndexClose(p.text[start:], '}')
	if length < 0 {
		return 0, p.errorAt(start-len("${"), `"${" is not closed by "}"`)
	}
	end = start + length
	return end + len("}"), p.variable(start, end)
}

// bare parses the variable whose "$" is at start and returns where it ends.
func (p *selectionParser) bare(start int) (end int, err error) {
	start += len("$")
	end = start + jsonpath.Extent(p.text[start:])
	if end == start {
		return 0, p.errorAt(start-len("$"), `"$" must be followed by a name or "{"; a literal dollar sign is written \$`)
	}
	return end, p.variable(start, end)
}

// variable adds the variable whose name is p.text[start:end].
func (p *selectionParser) variable(start, end int) error {
	p.endLiteral()
	name := p.text[start:end]
	for _, variable := range p.variables {
		rest, ok := strings.CutPrefix(name, variable)
		switch {
		case !ok:
		case variable == varRequestBody && rest == "":
			return p.errorAt(end, p.name+" cannot use the whole body, only $request.body.<path>")
		case variable == varRequestBody && (rest[0] == '.' || rest[0] == '['):
			return p.addPath(variable, rest, end-len(rest))
		case strings.HasSuffix(variable, "."):
			return p.addHeader(variable, rest, end-len(rest))
		case rest == "":
			p.pieces = append(p.pieces, selectionPiece{variable: variable})
			return nil
		}
	}
	reason := fmt.Sprintf("unknown variable %q; %s may use %s", name, p.name, p.allowed(", "))
	if name == varDefault {
		reason += `; the literal $default is written \$default`
	}
	return p.errorAt(p.mismatch(start, name), reason)
}

func (p *selectionParser) addPath(variable, path string, start int) error {
	compiled, err := jsonpath.Compile(path)
	if syntax := (*jsonpath.SyntaxError)(nil); errors.As(err, &syntax) {
		return p.errorAt(start+syntax.Position, fmt.Sprintf("JSONPath %q: %s", path, syntax.Reason))
	}
	p.pieces = append(p.pieces, selectionPiece{variable: variable, path: compiled})
	return nil
}

func (p *selectionParser) addHeader(variable, name string, start int) error {
	if strings.Trim(name, headerNameCharacters) != "" || name == "" {
		return p.errorAt(start, fmt.Sprintf("%q is not a header name", name))
	}
	p.pieces = append(p.pieces, selectionPiece{variable: variable, text: http.CanonicalHeaderKey(name)})
	return nil
}

func (p *selectionParser) endLiteral() {
	if len(p.literal) > 0 {
		p.pieces = append(p.pieces, selectionPiece{text: string(p.literal)})
		p.literal = nil
	}
}

// mismatch returns where name, which stands at start, departs from the variable
// that it shares the most segments with.
func (p *selectionParser) mismatch(start int, name string) int {
	shared := 0
	for _, variable := range p.variables {
		same := 0
		for same < min(len(name), len(variable)) && name[same] == variable[same] {
			same++
		}
		shared = max(shared, strings.LastIndexByte(name[:same], '.')+1)
	}
	return start + shared
}

// allowed lists what the kind may use, as one writes it.
func (p *selectionParser) allowed(separator string) string {
	var list []string
	for _, variable := range p.variables {
		switch {
		case variable == varRequestBody:
			variable += ".<path>"
		case strings.HasSuffix(variable, "."):
			variable += "<name>"
		}
		list = append(list, "$"+variable)
	}
	return strings.Join(list, separator)
}

func (p *selectionParser) errorAt(position int, reason string) error {
	return &SelectionExpressionError{Expression: p.text, Position: position, Reason: reason}
}
