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
// What fails is told by a [ValidationError], whose text names places and
// expectations and never a value of the message.
//
// # Where draft 4 leaves a choice
//
// The formats of draft 4 (date-time, email, hostname, ipv4, ipv6, uri) are
// checked, any other says nothing. 1.0 is an integer. Patterns are Go's regular
// expressions, which take time linear in the text: those that need lookaround,
// backreferences or \u escapes do not compile. Numbers are compared exactly, however
// many digits they have. Of duplicate names the last wins.
//
// # What is bounded
//
// Schemas come from whoever runs the API and messages from anybody, so neither may
// reach the network, the file system, or the end of memory. A schema has at most
// 32,768 characters and 100 levels; nothing is ever loaded for a $ref. A message
// has at most 10,000 levels. One whose validation takes more than a fixed number of
// steps, which needs a schema whose branches multiply or a message above any
// quota, does not fit. (API Gateway: "Request validation for WebSocket APIs",
// "CreateModel".)
package models

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Model is a compiled schema. It is safe for concurrent use; only [Compile],
// [MustCompile] and [CompileAll] make one.
type Model struct {
	root *node
}

// Compile reads a schema of JSON Schema draft 4. A $schema is optional and, if
// there, names draft 4.
//
// The error names the place in the schema, as a JSON pointer, and what is wrong
// with it: above 32,768 characters, no JSON, not what draft 4's meta schema allows,
// a pattern that is not one of Go's regular expressions, or a $ref to what is not
// in the schema itself or to itself.
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

// CompileAll compiles models that may refer to each other, and to themselves, by
//
//	{"$ref": "https://apigateway.amazonaws.com/restapis/{API ID}/models/{name}"}
//
// with any API ID. The keys are the names: 1 to 128 letters and digits. An error,
// as of [Compile], names the model too. (API Gateway: "Data models for REST APIs",
// where a model refers to another.)
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

// Validate returns nil when body fits the model, and else a [*ValidationError]. It
// neither keeps nor changes body and is safe for concurrent use.
func (m *Model) Validate(body []byte) error {
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

// compileError puts what is wrong with a schema on one line, whatever the schema's
// names are.
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
