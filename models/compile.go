package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Bounds of a schema. Those of its characters and its name are documented by the service.
const (
	maxSchemaCharacters = 32768
	maxModelName        = 128
	maxSchemaDepth      = 100  // the library's time grows with its cube
	maxSchemaExponent   = 1000 // the library writes numbers out
	maxSchemaCount      = 1<<31 - 1
)

// A model's URL is modelsURL, the API ID, /models/ and the model's name. Our models get
// the ID of an API that cannot exist, and a model without a name gets a name that no
// other model can have.
const (
	modelsURL = "https://apigateway.amazonaws.com/restapis/"
	ownURL    = modelsURL + "-/models/"
	anonymous = "-"
)

// compilation is the state of one [Compile] or [CompileAll].
type compilation struct {
	documents map[string]any // the schemas, by name
	pointers  map[string][]string
	references
}

// reference is a $ref as the schema has it.
type reference struct {
	model, pointer string // where it is
	text           string
	target         string // the URL it resolves to, in a document without ids
}

type references []reference

func compile(schemas map[string]string) (map[string]*Model, error) {
	c := compilation{documents: map[string]any{}, pointers: map[string][]string{}}
	names := slices.Sorted(maps.Keys(schemas))
	for _, name := range names {
		if err := c.read(name, schemas[name]); err != nil {
			return nil, fmt.Errorf("%s: %w", subject(name), err)
		}
	}
	library := jsonschema.NewCompiler()
	library.DefaultDraft(jsonschema.Draft4)
	library.UseLoader(&c) // instead of the loader that opens files
	build := builder{nodes: map[*jsonschema.Schema]*node{}}
	compiled := make(map[string]*Model, len(names))
	for _, name := range names {
		// First the whole, then schemas that nothing refers to: they must be valid too.
		for i, pointer := range c.pointers[name] {
			schema, err := library.Compile(ownURL + name + "#" + url.PathEscape(pointer))
			if err != nil {
				return nil, c.explain(name, err)
			}
			root, err := build.node(schema)
			if err != nil {
				return nil, err
			}
			if i == 0 {
				compiled[name] = &Model{root: root}
			}
		}
	}
	return compiled, build.endless()
}

// read decodes a schema, and checks what the library does not check.
func (c *compilation) read(name, schema string) error {
	if n := utf8.RuneCountInString(schema); n > maxSchemaCharacters {
		return fmt.Errorf("%d characters, above %d", n, maxSchemaCharacters)
	}
	document, invalid := decode([]byte(schema))
	if invalid != "" {
		return fmt.Errorf("not valid JSON: %s", invalid)
	}
	if err := checkSize(document, "", 0); err != nil {
		return err
	}
	c.documents[name] = document
	return c.walk(name, "", document)
}

// checkSize refuses schemas that would take the library too much time or memory.
func checkSize(v any, pointer string, depth int) error {
	if depth > maxSchemaDepth {
		return fmt.Errorf("%s: nested more than %d deep", clip(pointer, maxPointerText), maxSchemaDepth)
	}
	switch v := v.(type) {
	case json.Number:
		if d := parseDecimal(v.String()); d.exponent > maxSchemaExponent || d.exponent < -maxSchemaCharacters {
			return fmt.Errorf("%s: the number's exponent is out of range", place(pointer))
		}
	case []any:
		for i, item := range v {
			if err := checkSize(item, pointer+"/"+strconv.Itoa(i), depth+1); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			here := pointer + "/" + pointerEscapes.Replace(name)
			if err := checkSize(v[name], here, depth+1); err != nil {
				return err
			}
			number, ok := v[name].(json.Number)
			if ok && countKeyword(name) && parseDecimal(number.String()).compare(decimal{digits: strconv.Itoa(maxSchemaCount)}) > 0 {
				return fmt.Errorf("%s: above %d", place(here), maxSchemaCount)
			}
		}
	}
	return nil
}

// countKeyword reports whether the value of a keyword is a count. The library puts counts
// into an int, which it lets overflow.
func countKeyword(name string) bool {
	switch name {
	case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties":
		return true
	}
	return false
}

// walk visits the schemas within a schema. It records where they are and what they refer
// to, and replaces the API ID in the URLs of models by ours.
func (c *compilation) walk(name, pointer string, schema any) error {
	object, ok := schema.(map[string]any)
	if !ok {
		if pointer == "" {
			c.pointers[name] = append(c.pointers[name], pointer) // the library refuses it
		}
		return nil
	}
	c.pointers[name] = append(c.pointers[name], pointer)
	if draft, ok := object["$schema"].(string); ok && !draft4(draft) {
		return fmt.Errorf("%s/$schema: %q is not draft 4, which is http://json-schema.org/draft-04/schema#", pointer, clip(draft, maxWantText))
	}
	if text, ok := object["$ref"].(string); ok {
		if err := c.refer(name, pointer, text, object); err != nil {
			return err
		}
	}
	for _, keyword := range slices.Sorted(maps.Keys(object)) {
		here := pointer + "/" + keyword
		switch keyword {
		case "not", "additionalProperties", "additionalItems":
			if err := c.walk(name, here, object[keyword]); err != nil {
				return err
			}
		case "items", "allOf", "anyOf", "oneOf", "definitions", "properties", "patternProperties", "dependencies":
			if err := c.walkAll(name, here, keyword, object[keyword]); err != nil {
				return err
			}
		}
	}
	return nil
}

// walkAll visits the schemas in an array or an object of schemas.
func (c *compilation) walkAll(name, pointer, keyword string, schemas any) error {
	switch schemas := schemas.(type) {
	case []any:
		for i, schema := range schemas {
			if err := c.walk(name, pointer+"/"+strconv.Itoa(i), schema); err != nil {
				return err
			}
		}
	case map[string]any:
		if keyword == "items" {
			return c.walk(name, pointer, schemas)
		}
		for _, key := range slices.Sorted(maps.Keys(schemas)) {
			if err := c.walk(name, pointer+"/"+pointerEscapes.Replace(key), schemas[key]); err != nil {
				return err
			}
		}
	}
	return nil
}

// refer records a $ref. The library contains meta schemas; a $ref may refer only to that
// of draft 4.
func (c *compilation) refer(name, pointer, text string, object map[string]any) error {
	r := reference{model: name, pointer: pointer + "/$ref", text: text, target: text}
	address, fragment, _ := strings.Cut(text, "#")
	if strings.Contains(address, "://json-schema.org/") && !draft4(address) {
		return fmt.Errorf("%s: %q %s", r.pointer, clip(text, maxWantText), notLoaded)
	}
	if model, ok := modelName(address); ok {
		r.target = ownURL + model + "#" + fragment
		object["$ref"] = r.target
	} else if u, err := url.Parse(ownURL + name); err == nil {
		if resolved, err := u.Parse(address); err == nil {
			r.target = resolved.String() + "#" + fragment
		}
	}
	c.references = append(c.references, r)
	return nil
}

// Load gives the library the models and nothing else.
func (c *compilation) Load(address string) (any, error) {
	if name, ok := modelName(address); ok {
		if document, ok := c.documents[name]; ok {
			return document, nil
		}
	}
	return nil, errNoModel
}

const notLoaded = "is no model, and nothing is loaded"

var errNoModel = errors.New("no such model")

// modelName returns the name in a model's URL.
func modelName(address string) (string, bool) {
	rest, ok := strings.CutPrefix(address, modelsURL)
	api, name, _ := strings.Cut(rest, "/models/")
	return name, ok && api != "" && !strings.Contains(api, "/") && (name == anonymous || validName(name))
}

// draft4 reports whether the library reads a $schema as draft 4.
func draft4(schema string) bool {
	address := strings.TrimSuffix(schema, "#")
	return address == "http://json-schema.org/draft-04/schema" || address == "https://json-schema.org/draft-04/schema"
}

// explain returns an error of the library with the schema and the place in it.
func (c *compilation) explain(name string, err error) error {
	var invalid *jsonschema.SchemaValidationError
	var pattern *jsonschema.InvalidRegexError
	var load *jsonschema.LoadURLError
	var pointer *jsonschema.JSONPointerNotFoundError
	var anchor *jsonschema.AnchorNotFoundError
	switch {
	case errors.As(err, &invalid):
		return explainInvalid(invalid)
	case errors.As(err, &pattern):
		return fmt.Errorf("%s: %s", locate(pattern.URL), badPattern(pattern.Regex, pattern.Err))
	case errors.As(err, &load):
		return c.explainRef(name, load.URL, notLoaded)
	case errors.As(err, &pointer):
		return c.explainRef(name, pointer.URL, "refers to nothing")
	case errors.As(err, &anchor):
		return c.explainRef(name, anchor.Reference, "refers to nothing")
	default: // rare: an id or a $ref is not a URL, or two schemas have the same id
		text := strings.ReplaceAll(err.Error(), ownURL+name, "")
		return fmt.Errorf("%s: %s", subject(name), clip(strings.Join(strings.Fields(text), " "), maxErrorText))
	}
}

// explainRef finds the $ref to target, which the library could not follow.
func (c *compilation) explainRef(name, target, problem string) error {
	address, fragment, _ := strings.Cut(target, "#")
	for _, r := range c.references {
		a, f, _ := strings.Cut(r.target, "#")
		if a == address && (fragment == "" || unescape(f) == unescape(fragment)) {
			return fmt.Errorf("%s: %s: %q %s", subject(r.model), r.pointer, clip(r.text, maxWantText), problem)
		}
	}
	// Within a schema that has an id of its own.
	return fmt.Errorf("%s: $ref to %q %s", subject(name), clip(strings.TrimPrefix(target, ownURL), maxWantText), problem)
}

// explainInvalid returns what the meta schema does not allow in a schema. It reports the
// deepest place, because the places above only repeat that something below is wrong.
func explainInvalid(invalid *jsonschema.SchemaValidationError) error {
	var root *jsonschema.ValidationError
	if !errors.As(invalid.Err, &root) {
		return fmt.Errorf("%s: not a schema of draft 4", locate(invalid.URL))
	}
	var depth int
	var at string
	var texts []string
	var visit func(*jsonschema.ValidationError)
	visit = func(e *jsonschema.ValidationError) {
		for _, cause := range e.Causes {
			visit(cause)
		}
		if len(e.Causes) > 0 {
			return
		}
		here := strings.Join(escaped(e.InstanceLocation), "")
		if n := len(e.InstanceLocation); texts == nil || n > depth || n == depth && here < at {
			depth, at, texts = n, here, nil
		}
		if here == at {
			texts = append(texts, invalidText(e))
		}
	}
	visit(root)
	slices.Sort(texts)
	text := strings.Join(slices.Compact(texts), ", or ")
	return fmt.Errorf("%s: %s", locate(invalid.URL+at), clip(text, maxErrorText))
}

func escaped(tokens []string) []string {
	pointers := make([]string, len(tokens))
	for i, token := range tokens {
		pointers[i] = "/" + pointerEscapes.Replace(token)
	}
	return pointers
}

// invalidText returns the library's text. For a pattern, of which the library does not
// say what is wrong, it has a text of its own.
func invalidText(e *jsonschema.ValidationError) string {
	if format, ok := e.ErrorKind.(*kind.Format); ok && format.Want == "regex" {
		if pattern, ok := format.Got.(string); ok {
			return badPattern(pattern, format.Err)
		}
	}
	return e.DetailedOutput().Error.String()
}

func badPattern(pattern string, err error) string {
	return fmt.Sprintf("pattern %q is not a regular expression of Go: %v", clip(pattern, maxWantText), err)
}

// locate returns the URL of a schema as model and pointer.
func locate(location string) string {
	address, fragment, _ := strings.Cut(location, "#")
	name, ok := modelName(address)
	if !ok {
		return location
	}
	return subject(name) + ": " + place(unescape(fragment))
}

// subject names the model, if there can be several.
func subject(name string) string {
	if name == anonymous {
		return "schema"
	}
	return fmt.Sprintf("model %q", name)
}

// place returns a pointer, or / for the whole.
func place(pointer string) string {
	if pointer == "" {
		return "/"
	}
	return clip(pointer, maxPointerText)
}

func unescape(fragment string) string {
	if text, err := url.PathUnescape(fragment); err == nil {
		return text
	}
	return fragment
}
