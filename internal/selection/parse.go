package selection

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"example.com/gateway/internal/jsonpath"
)

// parser splits the text of an expression into pieces.
type parser struct {
	text      string
	name      string   // of the kind, with its article
	variables []string // that the kind may use
	literal   []byte   // not yet in pieces
	pieces    []piece
}

// parseFixed accepts a variable of the kind, in braces or not, and nothing else.
func (p *parser) parseFixed() error {
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
		p.pieces = append(p.pieces, piece{text: p.text})
	default:
		p.pieces = append(p.pieces, piece{variable: name})
	}
	return nil
}

func (p *parser) parse() error {
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
func (p *parser) braced(start int) (end int, err error) {
	start += len("${")
	length := jsonpath.IndexClose(p.text[start:], '}')
	if length < 0 {
		return 0, p.errorAt(start-len("${"), `"${" is not closed by "}"`)
	}
	end = start + length
	return end + len("}"), p.variable(start, end)
}

// bare parses the variable whose "$" is at start and returns where it ends.
func (p *parser) bare(start int) (end int, err error) {
	start += len("$")
	end = start + jsonpath.Extent(p.text[start:])
	if end == start {
		return 0, p.errorAt(start-len("$"), `"$" must be followed by a name or "{"; a literal dollar sign is written \$`)
	}
	return end, p.variable(start, end)
}

// variable adds the variable whose name is p.text[start:end].
func (p *parser) variable(start, end int) error {
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
			p.pieces = append(p.pieces, piece{variable: variable})
			return nil
		}
	}
	reason := fmt.Sprintf("unknown variable %q; %s may use %s", name, p.name, p.allowed(", "))
	if name == varDefault {
		reason += `; the literal $default is written \$default`
	}
	return p.errorAt(p.mismatch(start, name), reason)
}

func (p *parser) addPath(variable, path string, start int) error {
	compiled, err := jsonpath.Compile(path)
	if syntax := (*jsonpath.SyntaxError)(nil); errors.As(err, &syntax) {
		return p.errorAt(start+syntax.Position, fmt.Sprintf("JSONPath %q: %s", path, syntax.Reason))
	}
	p.pieces = append(p.pieces, piece{variable: variable, path: compiled})
	return nil
}

func (p *parser) addHeader(variable, name string, start int) error {
	if strings.Trim(name, headerNameCharacters) != "" || name == "" {
		return p.errorAt(start, fmt.Sprintf("%q is not a header name", name))
	}
	p.pieces = append(p.pieces, piece{variable: variable, text: http.CanonicalHeaderKey(name)})
	return nil
}

func (p *parser) endLiteral() {
	if len(p.literal) > 0 {
		p.pieces = append(p.pieces, piece{text: string(p.literal)})
		p.literal = nil
	}
}

// mismatch finds the known variable that shares the most segments with name, and returns
// the first position at which name differs from it. name begins at start.
func (p *parser) mismatch(start int, name string) int {
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

// allowed lists the variables that the kind may use, each in the form in which it is written.
func (p *parser) allowed(separator string) string {
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

func (p *parser) errorAt(position int, reason string) error {
	return &Error{Expression: p.text, Position: position, Reason: reason}
}
