package models

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Bounds on the work of one validation. An ordinary message of 128 KiB takes about
// 100,000 steps. A step takes about 100 ns.
const (
	maxSteps = 5_000_000
	maxDepth = 20_000 // of schemas within schemas
)

// node is a compiled schema. It never changes once it is built. In place of a $ref stands
// the node that the $ref refers to.
type node struct {
	location string // URL of the schema, for errors at compile time

	types    typeSet // 0: any
	typeText string
	enum     map[string]struct{} // by canonical form; nil: any value
	enumText string
	enumDeep bool // has arrays or objects

	numbers []rule[decimal]
	strings []rule[string]
	arrays  []rule[[]any]
	objects []rule[map[string]any]

	items           *node   // for all items
	tuple           []*node // one for each of the first items
	additionalItems *node   // for the items after those of tuple
	maxTuple        bool    // no items may follow those of tuple

	required             []string // sorted
	properties           map[string]*node
	propertyNames        []string // of properties, sorted
	patterns             []patternProperty
	additionalProperties *node
	noAdditional         bool
	dependencies         []dependency // sorted

	not   *node
	allOf []*node
	anyOf []*node
	oneOf []*node
}

// rule is a keyword that checks a single value.
type rule[T any] struct {
	keyword, want string
	fits          func(*checker, T) bool
}

type patternProperty struct {
	match  jsonschema.Regexp
	schema *node
}

type dependency struct {
	name   string
	needs  []string // sorted
	schema *node
}

// checker is the state of one check of a body.
type checker struct {
	steps     int // left
	depth     int
	exhausted bool // there is no result

	collect  bool // go on after the first problem, and record all
	failures int
	problems []Problem
	more     int // problems that are not in problems

	buffer []byte // for canonical
}

// spend uses up steps, and reports whether there were enough.
func (c *checker) spend(steps int) bool {
	c.steps -= steps
	if c.steps < 0 {
		c.exhausted = true
	}
	return !c.exhausted
}

// check reports whether v fits n. If c is exhausted, the result means nothing.
func (c *checker) check(n *node, v any, at *path) bool {
	if c.depth == maxDepth {
		c.exhausted = true
	}
	if !c.spend(1) {
		return false
	}
	c.depth++
	before := c.failures
	_ = c.checkValue(n, v, at) && c.checkBranches(n, v, at)
	c.depth--
	return c.failures == before
}

// fits is check without recording problems.
func (c *checker) fits(n *node, v any) bool {
	collect, failures := c.collect, c.failures
	c.collect = false
	ok := c.check(n, v, nil)
	c.collect, c.failures = collect, failures
	return ok
}

// checkValue checks the keywords for v's type. Like the functions below, it records
// problems, and returns false as soon as one decides.
func (c *checker) checkValue(n *node, v any, at *path) bool {
	found := typeOf(v)
	if n.types != 0 && n.types&found == 0 {
		// Other problems would only repeat this one.
		c.fail(at, "type", n.typeText+", got "+found.String())
		return false
	}
	if n.enum != nil && !c.inEnum(n, v) && !c.fail(at, "enum", n.enumText) {
		return false
	}
	switch v := v.(type) {
	case json.Number:
		return len(n.numbers) == 0 || apply(c, n.numbers, parseDecimal(v.String()), at)
	case string:
		return apply(c, n.strings, v, at)
	case []any:
		return apply(c, n.arrays, v, at) && c.checkItems(n, v, at)
	case map[string]any:
		return apply(c, n.objects, v, at) && c.checkRequired(n, v, at) && c.checkDependencies(n, v, at) && c.checkProperties(n, v, at)
	}
	return true
}

func apply[T any](c *checker, rules []rule[T], v T, at *path) bool {
	for i := range rules {
		if !rules[i].fits(c, v) && !c.fail(at, rules[i].keyword, rules[i].want) {
			return false
		}
	}
	return true
}

func (c *checker) inEnum(n *node, v any) bool {
	switch v.(type) {
	case []any, map[string]any:
		if !n.enumDeep {
			return false
		}
	}
	c.buffer = c.canonical(c.buffer[:0], v)
	_, ok := n.enum[string(c.buffer)]
	return ok
}

func (c *checker) checkItems(n *node, items []any, at *path) bool {
	if n.maxTuple && len(items) > len(n.tuple) && !c.fail(at, "additionalItems", fmt.Sprintf("want at most %s", count(len(n.tuple), "item"))) {
		return false
	}
	for i, item := range items {
		schema := n.items
		switch {
		case i < len(n.tuple):
			schema = n.tuple[i]
		case n.tuple != nil:
			schema = n.additionalItems
		}
		if schema == nil {
			return true // so are all that follow
		}
		if !c.check(schema, item, &path{at, "", i}) && !c.collect {
			return false
		}
	}
	return true
}

func (c *checker) checkRequired(n *node, object map[string]any, at *path) bool {
	if !c.spend(len(n.required) / 16) {
		return false
	}
	for _, name := range n.required {
		if _, ok := object[name]; !ok && !c.fail(at, "required", "missing property "+quote(name)) {
			return false
		}
	}
	return true
}

func (c *checker) checkDependencies(n *node, object map[string]any, at *path) bool {
	if !c.spend(len(n.dependencies) / 16) {
		return false
	}
	for _, d := range n.dependencies {
		if _, ok := object[d.name]; !ok {
			continue
		}
		for _, name := range d.needs {
			if _, ok := object[name]; !ok && !c.fail(at, "dependencies", fmt.Sprintf("property %s needs property %s", quote(d.name), quote(name))) {
				return false
			}
		}
		if d.schema != nil && !c.check(d.schema, object, at) && !c.collect {
			return false
		}
	}
	return true
}

// checkProperties checks the properties in the order of their names, so that problems
// and steps are the same each time.
func (c *checker) checkProperties(n *node, object map[string]any, at *path) bool {
	if n.properties == nil && n.patterns == nil && n.additionalProperties == nil && !n.noAdditional {
		return true
	}
	names := n.propertyNames
	rest := n.patterns != nil || n.additionalProperties != nil || n.noAdditional
	if rest || len(object) < len(names) {
		names = c.sortedNames(object)
	}
	if !c.spend(len(names) / 16) {
		return false
	}
	for _, name := range names {
		value, ok := object[name]
		if ok && !c.checkProperty(n, name, value, at) && !c.collect {
			return false
		}
	}
	return true
}

func (c *checker) checkProperty(n *node, name string, value any, at *path) bool {
	before := c.failures
	schema := n.properties[name]
	known := schema != nil
	here := path{at, name, -1}
	if known && !c.check(schema, value, &here) && !c.collect {
		return false
	}
	for i := range n.patterns {
		if !c.spend(1+len(name)/2) || !n.patterns[i].match.MatchString(name) {
			continue
		}
		known = true
		if !c.check(n.patterns[i].schema, value, &here) && !c.collect {
			return false
		}
	}
	switch {
	case known:
	case n.noAdditional:
		c.fail(at, "additionalProperties", "property "+quote(name)+" is not allowed")
	case n.additionalProperties != nil:
		c.check(n.additionalProperties, value, &here)
	}
	return c.failures == before
}

// checkBranches checks the keywords that apply other schemas to v.
func (c *checker) checkBranches(n *node, v any, at *path) bool {
	for _, schema := range n.allOf {
		if !c.check(schema, v, at) && !c.collect {
			return false
		}
	}
	if len(n.anyOf) > 0 && !slices.ContainsFunc(n.anyOf, func(schema *node) bool { return c.fits(schema, v) }) {
		if !c.fail(at, "anyOf", "fits none of "+count(len(n.anyOf), "schema")) {
			return false
		}
	}
	if len(n.oneOf) > 0 && !c.checkOneOf(n, v, at) {
		return false
	}
	if n.not != nil && c.fits(n.not, v) {
		return c.fail(at, "not", "fits the schema that it must not fit")
	}
	return true
}

func (c *checker) checkOneOf(n *node, v any, at *path) bool {
	fitting := 0
	for _, schema := range n.oneOf {
		if c.fits(schema, v) {
			fitting++
		}
		if fitting > 1 {
			return c.fail(at, "oneOf", "fits more than one of "+count(len(n.oneOf), "schema"))
		}
	}
	return fitting == 1 || c.fail(at, "oneOf", "fits none of "+count(len(n.oneOf), "schema"))
}

// canonical writes v so that equal values give equal bytes: numbers by value, and
// properties sorted by name.
func (c *checker) canonical(b []byte, v any) []byte {
	if c.exhausted {
		return b
	}
	before := len(b)
	switch v := v.(type) {
	case nil:
		b = append(b, 'n')
	case bool:
		b = strconv.AppendBool(b, v)
	case json.Number:
		b = append(parseDecimal(v.String()).append(append(b, '#')), ';')
	case string:
		b = strconv.AppendInt(append(b, 's'), int64(len(v)), 10)
		b = append(append(b, ':'), v...)
	case []any:
		b = append(b, '[')
		for _, item := range v {
			b = c.canonical(b, item)
		}
		return append(b, ']')
	case map[string]any:
		b = append(b, '{')
		for _, name := range c.sortedNames(v) {
			b = c.canonical(b, name)
			b = c.canonical(b, v[name])
		}
		return append(b, '}')
	}
	c.spend(1 + (len(b)-before)/16)
	return b
}

// sortedNames returns the names of an object's properties, sorted.
func (c *checker) sortedNames(object map[string]any) []string {
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	c.spend(len(names))
	return names
}

// typeSet is a set of JSON types. typeOf returns one type or, for an integer, two.
type typeSet uint8

const (
	arrayType typeSet = 1 << iota
	booleanType
	integerType
	nullType
	numberType
	objectType
	stringType
)

// typeNames has the names of the types in the order of their bits, which is alphabetic.
var typeNames = [...]string{"array", "boolean", "integer", "null", "number", "object", "string"} //nolint:gochecknoglobals // never changes

func typeOf(v any) typeSet {
	switch v := v.(type) {
	case []any:
		return arrayType
	case bool:
		return booleanType
	case json.Number:
		if parseDecimal(v.String()).isInteger() {
			return numberType | integerType
		}
		return numberType
	case map[string]any:
		return objectType
	case string:
		return stringType
	default:
		return nullType
	}
}

// String returns the names of the types of a schema, or the name of a value's type.
func (t typeSet) String() string {
	if t&numberType != 0 {
		t &^= integerType
	}
	var names []string
	for i, name := range typeNames {
		if t&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

// decode reads JSON, and keeps numbers as they are written. invalid says why text is not
// JSON, without quoting it: encoding/json would quote the character at which it stopped.
func decode(text []byte) (value any, invalid string) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	err := decoder.Decode(&value)
	if err == nil {
		if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
			return nil, "there is more behind the value"
		}
		return value, ""
	}
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF):
		return nil, "it is empty"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, "it ends too early"
	case !errors.As(err, &syntax):
		return nil, "it cannot be read"
	case strings.Contains(syntax.Error(), "max depth"):
		return nil, "it is nested more than 10000 deep"
	default:
		return nil, "byte " + strconv.FormatInt(syntax.Offset, 10) + " is not expected"
	}
}

// count writes a number of things.
func count(n int, thing string) string {
	switch {
	case n == 1:
		return "1 " + thing
	case thing == "property":
		return strconv.Itoa(n) + " properties"
	}
	return strconv.Itoa(n) + " " + thing + "s"
}
