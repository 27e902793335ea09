// Package selection compiles and evaluates the selection expressions of API Gateway's
// WebSocket APIs: which route, model, template or integration response a message
// gets. (API Gateway developer guide: "WebSocket selection expressions in API
// Gateway".)
package selection

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"example.com/gateway/internal/jsonpath"
)

// Error says why an expression was refused, and where.
type Error struct {
	Expression string // as it was given
	Position   int    // of the mistake: a byte offset into Expression, which may be its length
	Reason     string // what is wrong and what is allowed instead
}

// Error returns the expression, the position and the reason in one line.
func (e *Error) Error() string {
	return fmt.Sprintf("selection expression %q: position %d: %s", e.Expression, e.Position, e.Reason)
}

// Expression is a compiled selection expression. It never changes and is safe for
// concurrent use.
//
//	expression = { "\$" | "${" variable "}" | "$" variable | any other character }
//
// Any number of variables and literals may be joined, and the result is never
// evaluated again. The guide leaves some questions open, which are answered like this:
//
//   - [jsonpath.Extent] decides where a variable without braces ends.
//   - Several matches become an array; no match of a path that can have several becomes
//     "[]". See [jsonpath.Path].
//   - A "$" that is followed neither by "{" nor by a name is an error, and so is a "${"
//     without its "}". A "}" inside a bracket of a path does not end the variable.
//   - A backslash before any character but "$" is a literal backslash.
type Expression struct {
	pieces []piece
}

// piece is a literal or a variable.
type piece struct {
	variable string         // one of the constants; "": a literal
	text     string         // the literal, or the header name of varHeader and varMultiValueHeader
	path     *jsonpath.Path // of varRequestBody and varErrorMessage
}

// Input holds what an expression may read. Fields that the expression's [Kind] does
// not use may be zero. Evaluation does not change it.
type Input struct {
	Body      []byte // the message
	BodyValid bool   // Body is valid JSON; if not, every path into it finds nothing

	RequestHeader      http.Header // of the upgrade request
	UsageIdentifierKey string      // from the authorizer
	BasePath           string      // the mapped path segment of a custom domain

	IntegrationStatus    int // zero: there is none
	IntegrationHeader    http.Header
	IntegrationBody      []byte
	IntegrationBodyValid bool // IntegrationBody is valid JSON
}

// Compile compiles text as an expression of the given kind. The error is always an
// [*Error].
func Compile(kind Kind, text string) (*Expression, error) {
	name, variables, fixed := kind.rules()
	p := parser{text: text, name: name, variables: variables}
	parse := p.parse
	if fixed {
		parse = p.parseFixed
	}
	if err := parse(); err != nil {
		return nil, err
	}
	return &Expression{pieces: p.pieces}, nil
}

// Route evaluates e for a message. It returns false if body is not valid JSON: such a
// message goes to $default, whatever the expression. Where a path finds nothing in
// valid JSON, its value is the empty string.
//
// The key shares the memory of body or buf and must not be changed. buf is overwritten
// from its start and grows as needed. If e is one variable whose value is a string
// without escapes, nothing is copied and buf may be nil.
func (e *Expression) Route(body, buf []byte) (key []byte, ok bool) {
	if !jsonpath.Valid(body) {
		return nil, false
	}
	if len(e.pieces) == 1 && e.pieces[0].variable == varRequestBody {
		return e.pieces[0].path.Lookup(body).Text(buf), true
	}
	return e.joined(body, buf), true
}

// joined is Route for an expression of several pieces. It is a function of its own
// because Route runs for every message, on a stack that should stay small.
func (e *Expression) joined(body, buf []byte) []byte {
	return e.Append(buf[:0], &Input{Body: body, BodyValid: true})
}

// Append appends the value of e for in to dst. A variable that finds nothing has the
// empty string as its value. Append allocates only to extend dst.
func (e *Expression) Append(dst []byte, in *Input) []byte {
	for i := range e.pieces {
		dst = e.pieces[i].append(dst, in)
	}
	return dst
}

// UsesAuthorizerKey reports whether an expression of the kind [APIKey] takes the key
// from the authorizer, and not from a header of the upgrade request.
func (e *Expression) UsesAuthorizerKey() bool {
	return slices.ContainsFunc(e.pieces, func(p piece) bool { return p.variable == varUsageIdentifier })
}

// Constant reports whether e has the same value for every input, because it has no
// variable.
func (e *Expression) Constant() bool {
	return !slices.ContainsFunc(e.pieces, func(p piece) bool { return p.variable != "" })
}

// Reads returns which members of the message e reads: for each of its variables the names
// that lead there. See [jsonpath.Path.Names].
func (e *Expression) Reads() [][]string {
	var paths [][]string
	for _, p := range e.pieces {
		if p.variable == varRequestBody {
			paths = append(paths, p.path.Names())
		}
	}
	return paths
}

// Is reports whether e is constant and has this value.
func (e *Expression) Is(value string) bool {
	return e.Constant() && string(e.Append(nil, &Input{})) == value
}

// Pattern returns a regular expression that matches every value that e can have. It
// is not anchored.
func (e *Expression) Pattern() string {
	var b strings.Builder
	for _, p := range e.pieces {
		switch p.variable {
		case "":
			b.WriteString(regexp.QuoteMeta(p.text))
		case varStatusCode, varStatusCodeShort:
			b.WriteString(`-?[0-9]+`)
		default:
			b.WriteString(`.*`)
		}
	}
	return b.String()
}

func (p *piece) append(dst []byte, in *Input) []byte {
	switch p.variable {
	case "":
		return append(dst, p.text...)
	case varRequestBody:
		if in.BodyValid {
			return p.path.Lookup(in.Body).AppendString(dst)
		}
	case varErrorMessage:
		if in.IntegrationBodyValid {
			return p.path.Lookup(in.IntegrationBody).AppendString(dst)
		}
	case varStatusCode, varStatusCodeShort:
		if in.IntegrationStatus != 0 {
			return strconv.AppendInt(dst, int64(in.IntegrationStatus), 10)
		}
	case varHeader:
		return append(dst, in.IntegrationHeader.Get(p.text)...)
	case varMultiValueHeader:
		return appendHeaderValues(dst, in.IntegrationHeader.Values(p.text))
	case varAPIKeyHeader:
		return append(dst, in.RequestHeader.Get("X-Api-Key")...)
	case varUsageIdentifier:
		return append(dst, in.UsageIdentifierKey...)
	case varBasePath:
		return append(dst, in.BasePath...)
	}
	return dst
}

// appendHeaderValues appends a list in the form of an array: [a, b]. An empty list is
// the empty string.
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
