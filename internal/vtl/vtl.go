// Package vtl runs mapping templates as API Gateway documents them: the Velocity
// template language with the variables $input, $context, $stageVariables and
// $util.
//
//	template, err := vtl.Parse(`{"id": "$context.connectionId", "text": $input.json('$.text')}`)
//	payload, err := template.Append(nil, &vtl.Env{Body: body, Context: variable})
//
// # The language
//
// The dialect is that of Apache Velocity 1.7 with its default properties, down
// to its white space and its escapes; testdata/golden holds what Velocity itself
// prints. A few rules surprise:
//
//   - A reference to nothing prints its own source text, a quiet one ($!x)
//     nothing. #set with a right side of null leaves the variable alone, and
//     #set($!x = 1) and #set(${x} = 1) set nothing at all.
//   - In a condition null and false are false and every other reference is true,
//     the empty string and 0 included. A literal other than true is false.
//   - A name may hold "-", so $a-1 is one name, and 3 -1 is no subtraction.
//   - The arguments of a macro are evaluated by name, at each use.
//   - "7/2" is 3, and a division by zero is null.
//
// Where we knowingly differ from Velocity 1.7:
//
//   - #include, #parse, #evaluate and #define are refused by [Parse], as nothing
//     in a template may reach the host.
//   - Values are null, booleans, strings, 64-bit integers, floating-point
//     numbers, lists and ordered maps, and have the methods that methods_*.go
//     list. There is no reflection: $x.class is null like any other property.
//   - Integers beyond 64 bits print as they were written and are null in
//     arithmetic; a result beyond 64 bits is null. Velocity uses BigInteger.
//   - The keys of a map are strings; a key of another type becomes its text.
//   - A Java array, which only split returns, is a list here and prints as one.
//   - keySet, values and entrySet return copies.
//   - Regular expressions are RE2's: a pattern with a lookaround or a back
//     reference is an error.
//   - A method with a wrong number of arguments is an unknown one and prints
//     itself; Velocity fails for an argument too many, such as $s.length(1).
//   - #literal() prints its comments too. An undefined #@name block prints its
//     source, escapes included.
//   - Where Velocity's lexer loses characters or its way, we keep the text and
//     carry on: "$a.size()b.c" (it drops ".c"), "$a{$b" (an error), "$a.b##c" (no
//     comment), "$a.b#set(…)" (may fail), "$#foreach" and "#$a#if" (an error),
//     "\$.a" (it drops "\$"), and a "$" or "#" at the very end (an error).
//   - A #foreach over null elements lets #set give the loop variable a value.
//
// # The variables
//
// $input.json and $input.path find nothing in a body that is not JSON, and
// where a path leads nowhere they give "" (with the quotes) and the empty
// string. An unknown $context variable, stage variable or parameter is the empty
// string. (API Gateway developer guide: "WebSocket API mapping template
// reference"; what it leaves open follows the practice of REST APIs.)
//
// # Bounds
//
// Templates and bodies may be hostile: neither makes the package panic, hang or
// take memory without end. See the constants in limits.go. A bound that is hit
// ends the run with a [RunError].
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

// Env is what one run of a template sees. The zero Env is an empty one.
type Env struct {
	// Body is the payload: $input.body, and the JSON of $input.json and
	// $input.path. It must not change while the template runs.
	Body []byte
	// Params returns the parameters of $input.params. It is called at most once
	// in a run, and only by a template that asks. Nil means none.
	Params func() Params
	// Context returns the variable of a dotted name without its "$context.",
	// such as "identity.sourceIp" or "authorizer.x", and whether there is one. A
	// value is a string or an int64, with which a template can count. Nil means
	// that there is none.
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
	p := &parser{text: text, fixedAt: -1, symbols: &symbols{slots: map[string]int{}, macros: map[string]*macro{}}}
	nodes := p.template()
	if p.err != nil {
		return nil, p.err.at(text)
	}
	return &Template{text: text, nodes: nodes, symbols: p.symbols}, nil
}

// Append runs the template, appends what it prints to dst and returns the
// extended slice. Where a bound is hit, or a method fails as Java's would throw,
// it returns dst as it was and a [*RunError]. A nil env is an empty one.
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

// SyntaxError tells why and where [Parse] refused a template.
type SyntaxError struct {
	Line, Column int // from 1, in bytes; inside a string those of its quote
	Reason       string
}

// Error returns the position and the reason.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("mapping template: line %d, column %d: %s", e.Line, e.Column, e.Reason)
}

// RunError tells why and where [Template.Append] gave up.
type RunError struct {
	Line, Column int // from 1, in bytes; inside a string those of its quote
	Reason       string
}

// Error returns the position and the reason.
func (e *RunError) Error() string {
	return fmt.Sprintf("mapping template: line %d, column %d: %s", e.Line, e.Column, e.Reason)
}

// position turns an offset into a line and a column.
func position(text string, offset int) (line, column int) {
	before := text[:offset]
	return strings.Count(before, "\n") + 1, offset - strings.LastIndexByte(before, '\n')
}
