// Package models checks messages against JSON Schema draft 4, the language of API
// Gateway's models.
//
// A model is compiled once and may then be used by many connections:
//
//	var order = models.MustCompile(`{
//		"type": "object",
//		"required": ["item"],
//		"properties": {"item": {"type": "string"}, "count": {"type": "integer", "minimum": 1}}
//	}`)
//
// A message that does not fit gives a [ValidationError]. Its text has the places in the
// message and what the schema wants there, and never a value of the message.
//
// # Where draft 4 leaves a choice
//
// The formats of draft 4 (date-time, email, hostname, ipv4, ipv6, uri) are checked; all
// other formats are ignored. 1.0 is an integer. Patterns are Go's regular expressions,
// which take time linear in the text: patterns with lookaround, backreferences or \u
// escapes do not compile. Numbers are compared exactly, however many digits they have.
// If a name occurs twice in an object, the last value counts.
//
// # What is bounded
//
// Anybody can send messages, and schemas come from the operator of the API. Neither may
// reach the network or the file system, or use up the memory. A schema has at most
// 32,768 characters and 100 levels. Nothing is ever loaded for a $ref. A message has at
// most 10,000 levels. A message whose validation takes more than a fixed number of steps
// does not fit; that happens only if the branches of the schema multiply, or if the
// message is far above the default quotas. (API Gateway: "Request validation for
// WebSocket APIs", "CreateModel".)
package models

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Model is a compiled schema. [Compile], [MustCompile] and [CompileAll] make it. The zero
// value does not work: its Validate panics. A Model is safe for concurrent use.
type Model struct {
	root *node
}

// Compile compiles a schema of JSON Schema draft 4. A schema need not have $schema; if it
// has, that must name draft 4.
//
// The error has the place in the schema, as a JSON pointer, and what is wrong there: the
// schema has more than 32,768 characters, is not JSON, or is not allowed by the meta
// schema of draft 4; a pattern is not a regular expression of Go; a $ref refers to itself
// or to a place outside the schema.
func Compile(schema string) (*Model, error) {
	compiled, err := compile(map[string]string{anonymous: schema})
	if err != nil {
		return nil, compileError(err)
	}
	return compiled[anonymous], nil
}

// MustCompile is like [Compile] and panics instead of returning an error. It is for
// schemas that are part of a program.
func MustCompile(schema string) *Model {
	m, err := Compile(schema)
	if err != nil {
		panic(err)
	}
	return m
}

// CompileAll compiles models that may refer to each other, and to themselves, with
//
//	{"$ref": "https://apigateway.amazonaws.com/restapis/{API ID}/models/{name}"}
//
// where the API ID does not matter. The keys of the map are the names of the models: 1 to
// 128 letters and digits. The error is like that of [Compile], and also names the model.
// (API Gateway: "Data models for REST APIs", in which one model refers to another.)
func CompileAll(schemas map[string]string) (map[string]*Model, error) {
	names := make([]string, 0, len(schemas))
	for name := range schemas {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !validName(name) {
			return nil, fmt.Errorf("models: model %q: a name is 1 to %d letters and digits", clip(name, maxNameText), maxModelName)
		}
	}
	compiled, err := compile(schemas)
	if err != nil {
		return nil, compileError(err)
	}
	return compiled, nil
}

// Validate returns nil if body fits the model, and otherwise a [*ValidationError]. It
// neither keeps nor changes body. It is safe for concurrent use.
func (m *Model) Validate(body []byte) error {
	if m.root == nil {
		panic("models: the Model has no schema: make it with Compile, MustCompile or CompileAll")
	}
	value, invalid := decode(body)
	if invalid != "" {
		return &ValidationError{Problems: []Problem{{Text: "not valid JSON: " + invalid}}}
	}
	quick := checker{steps: maxSteps}
	if quick.check(m.root, value, nil) && !quick.exhausted {
		return nil
	}
	if quick.exhausted {
		return &ValidationError{Problems: []Problem{{Text: "takes too many steps to validate"}}}
	}
	thorough := checker{steps: maxSteps, collect: true}
	thorough.check(m.root, value, nil)
	return thorough.err()
}

// compileError returns an error with the text of err on one line, even if names in the
// schema have line breaks.
func compileError(err error) error {
	text := []byte("models: ")
	for _, r := range err.Error() {
		if unicode.IsPrint(r) {
			text = utf8.AppendRune(text, r)
		} else {
			quoted := strconv.QuoteRune(r)
			text = append(text, quoted[1:len(quoted)-1]...)
		}
	}
	return errors.New(string(text))
}

// validName reports whether name is alphanumeric and 1 to 128 characters long.
func validName(name string) bool {
	if name == "" || len(name) > maxModelName {
		return false
	}
	for _, c := range []byte(name) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
