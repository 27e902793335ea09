// Package vtl runs mapping templates as API Gateway documents them: the Velocity
// template language with the variables $input, $context, $stageVariables and
// $util.
//
//	template, err := vtl.Parse(`{"id": "$context.connectionId", "text": $input.json('$.text')}`)
//	payload, err := template.Append(nil, &vtl.Env{Body: body, Context: variable})
//
// # The language
//
// The dialect is that of Apache Velocity 1.7 with its default properties, including its
// white space and its escapes. testdata/golden has the output of Velocity itself. A few
// rules are surprising:
//
//   - A reference without a value prints its own source text; a quiet reference ($!x)
//     prints nothing. #set with a right side of null does not change the variable, and
//     #set($!x = 1) and #set(${x} = 1) never set anything.
//   - In a condition null and false are false. Every other reference is true, even to the
//     empty string and to 0. A literal other than true is false.
//   - A name may contain "-", so $a-1 is one name, and 3 -1 is not a subtraction.
//   - The arguments of a macro are evaluated by name, at each use.
//   - "7/2" is 3, and a division by zero is null.
//
// The package differs from Velocity 1.7 on purpose in these points:
//
//   - [Parse] refuses #include, #parse, #evaluate and #define, because nothing in a
//     template may reach the host.
//   - Values are null, booleans, strings, 64-bit integers, floating-point
//     numbers, lists and ordered maps, and have the methods that methods_*.go
//     list. There is no reflection: $x.class is null like any other property.
//   - Integers beyond 64 bits print as they are written, and are null in arithmetic. A
//     result beyond 64 bits is null. Velocity uses BigInteger.
//   - The keys of a map are strings; a key of another type becomes its text.
//   - A Java array, which only split returns, is a list here and prints as one.
//   - keySet, values and entrySet return copies.
//   - Regular expressions are RE2's: a pattern with a lookaround or a back
//     reference is an error.
//   - A method with a wrong number of arguments is unknown, and the reference prints
//     itself. Velocity fails if there are too many, as in $s.length(1).
//   - #literal() prints its comments too. An undefined #@name block prints its source with
//     the escapes.
//   - If Velocity's lexer loses characters or fails by mistake, we keep the text and
//     continue: "$a.size()b.c" (it drops ".c"), "$a{$b" (an error), "$a.b##c" (not a
//     comment), "$a.b#set(…)" (may fail), "$#foreach" and "#$a#if" (an error), "\$.a" (it
//     drops "\$"), and a "$" or "#" at the very end (an error).
//   - In a #foreach over null elements, #set can give the loop variable a value.
//
// # The variables
//
// If a path leads to no value, $input.json gives "" (with the quotes), and $input.path the
// empty string. In a body that is not JSON no path leads to a value. An unknown $context
// variable, stage variable or parameter is the empty string. (API Gateway developer guide:
// "WebSocket API mapping template reference"; what it does not say follows the practice
// of REST APIs.)
//
// # Bounds
//
// Templates and bodies may be hostile. None of them makes the package panic, run forever or
// use unlimited memory: see the constants in limits.go. A run that reaches a bound ends
// with a [RunError].
package vtl

import (
	"fmt"
	"strings"
)

// Template is a parsed template. It is immutable and safe for concurrent use.
type Template struct {
	text  string
	nodes []node
	*symbols
}

// Env has the data for one run of a template. The zero Env is empty.
type Env struct {
	// Body is the payload: $input.body, and the JSON of $input.json and
	// $input.path. It must not change while the template runs.
	Body []byte
	// Params returns the parameters of $input.params. It is called at most once in a run,
	// and only if the template uses them. Nil means that there are none.
	Params func() Params
	// Context returns the variable with a dotted name, such as "identity.sourceIp" or
	// "authorizer.x", without "$context.", and whether there is one. The value is a string,
	// or an int64 if a template may calculate with it. Nil means that there are none.
	Context func(name string) (any, bool)
	// StageVariables are the variables of $stageVariables.
	StageVariables map[string]string
}

// Params are the parameters of the request: $input.params() has them under
// "path", "querystring" and "header".
type Params struct {
	Path, Querystring, Header map[string]string
}

// Parse parses the text of a template. It refuses more than 300 KB (API Gateway
// quotas: "Mapping template size"). The error is always a [*SyntaxError].
func Parse(text string) (*Template, error) {
	if len(text) > maxTemplateBytes {
		return nil, &SyntaxError{Line: 1, Column: 1, Reason: fmt.Sprintf("the template has %d bytes, the most is %d",
			len(text), maxTemplateBytes)}
	}
	p := &parser{text: text, fixedAt: -1, symbols: &symbols{
		slots: map[string]int{}, macros: map[string]*macro{}, assigned: map[int]bool{},
	}}
	nodes := p.template()
	if p.err != nil {
		return nil, p.err.at(text)
	}
	return &Template{text: text, nodes: nodes, symbols: p.symbols}, nil
}

// Append runs the template, appends its output to dst and returns the extended slice. If
// the run reaches a bound, or a method fails where Java would throw, it returns dst
// unchanged and a [*RunError]. A nil env is an empty one.
func (t *Template) Append(dst []byte, env *Env) ([]byte, error) {
	if env == nil {
		env = &Env{}
	}
	r := &run{env: env, out: dst, base: len(dst), template: t}
	r.scope = &scope{vars: make([]any, len(t.slots))}
	r.roots()
	r.block(t.nodes)
	if r.err != nil {
		return dst, r.err
	}
	return r.out, nil
}

// SyntaxError describes why and where [Parse] refused a template.
type SyntaxError struct {
	Line, Column int // from 1, in bytes; inside a string they are the position of its quote
	Reason       string
}

// Error returns the position and the reason.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("mapping template: line %d, column %d: %s", e.Line, e.Column, e.Reason)
}

// RunError describes why and where [Template.Append] failed.
type RunError struct {
	Line, Column int // from 1, in bytes; inside a string they are the position of its quote
	Reason       string
}

// Error returns the position and the reason.
func (e *RunError) Error() string {
	return fmt.Sprintf("mapping template: line %d, column %d: %s", e.Line, e.Column, e.Reason)
}

// position converts an offset to a line and a column.
func position(text string, offset int) (line, column int) {
	before := text[:offset]
	return strings.Count(before, "\n") + 1, offset - strings.LastIndexByte(before, '\n')
}
