package models

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// builder makes nodes from the library's schemas. We use the library to compile schemas,
// but not to validate: its validator cannot be stopped, copies the path to each problem,
// panics at a number such as 1e9999999, and quotes values in its errors.
type builder struct {
	nodes map[*jsonschema.Schema]*node
	built []*node // in order
}

// node returns the node of s. It is complete when the outermost call has returned.
func (b *builder) node(s *jsonschema.Schema) (*node, error) {
	seen := map[*jsonschema.Schema]bool{}
	for s.Ref != nil {
		if seen[s] {
			return nil, fmt.Errorf("%s: $ref leads back to itself", locate(s.Location))
		}
		seen[s] = true
		s = s.Ref
	}
	if n := b.nodes[s]; n != nil {
		return n, nil
	}
	if s.DraftVersion != 4 {
		return nil, fmt.Errorf("%s: not a schema of draft 4", locate(s.Location))
	}
	n := &node{location: s.Location}
	b.nodes[s] = n
	b.built = append(b.built, n)
	b.values(n, s)
	if err := b.object(n, s); err != nil {
		return nil, err
	}
	if err := b.array(n, s); err != nil {
		return nil, err
	}
	return n, b.branches(n, s)
}

// values copies the keywords that contain no schemas.
func (b *builder) values(n *node, s *jsonschema.Schema) {
	if s.Types != nil {
		for i, name := range typeNames {
			if slices.Contains(s.Types.ToStrings(), name) {
				n.types |= 1 << i
			}
		}
		n.typeText = "want " + n.types.String()
	}
	if s.Enum != nil {
		n.enum, n.enumText, n.enumDeep = enum(s.Enum.Values)
	}
	n.numbers = numberRules(s)
	n.strings = stringRules(s)
	atLeast(&n.arrays, "minItems", s.MinItems, "item", func(items []any) int { return len(items) })
	atMost(&n.arrays, "maxItems", s.MaxItems, "item", func(items []any) int { return len(items) })
	if s.UniqueItems {
		n.arrays = append(n.arrays, rule[[]any]{"uniqueItems", "want items that differ", uniqueItems})
	}
	properties := func(object map[string]any) int { return len(object) }
	atLeast(&n.objects, "minProperties", s.MinProperties, "property", properties)
	atMost(&n.objects, "maxProperties", s.MaxProperties, "property", properties)
	n.required = slices.Sorted(slices.Values(s.Required))
}

func enum(values []any) (set map[string]struct{}, text string, deep bool) {
	set = make(map[string]struct{}, len(values))
	var texts []string
	c := checker{steps: maxSteps}
	for _, value := range values {
		set[string(c.canonical(nil, value))] = struct{}{}
		switch value.(type) {
		case []any, map[string]any:
			deep = true
		}
		if written, err := json.Marshal(value); err == nil {
			texts = append(texts, string(written))
		}
	}
	want := "want one of "
	if len(texts) == 1 {
		want = "want "
	}
	return set, clip(want+strings.Join(texts, ", "), maxWantText), deep
}

func numberRules(s *jsonschema.Schema) (rules []rule[decimal]) {
	bound := func(keyword, want string, r *big.Rat, fits func(d, bound decimal) bool) {
		if r == nil {
			return
		}
		d := ratDecimal(r)
		rules = append(rules, rule[decimal]{keyword, "want " + want + " " + clip(d.String(), maxNameText), func(c *checker, v decimal) bool {
			// A comparison takes hardly any time. A division takes the square of the digits.
			return c.spend(len(v.digits)/16+len(v.digits)*len(v.digits)>>16) && fits(v, d)
		}})
	}
	bound("minimum", "at least", s.Minimum, func(d, least decimal) bool { return d.compare(least) >= 0 })
	bound("exclusiveMinimum", "more than", s.ExclusiveMinimum, func(d, least decimal) bool { return d.compare(least) > 0 })
	bound("maximum", "at most", s.Maximum, func(d, most decimal) bool { return d.compare(most) <= 0 })
	bound("exclusiveMaximum", "less than", s.ExclusiveMaximum, func(d, most decimal) bool { return d.compare(most) < 0 })
	bound("multipleOf", "a multiple of", s.MultipleOf, decimal.isMultipleOf)
	return rules
}

func stringRules(s *jsonschema.Schema) (rules []rule[string]) {
	atLeast(&rules, "minLength", s.MinLength, "character", utf8.RuneCountInString)
	atMost(&rules, "maxLength", s.MaxLength, "character", utf8.RuneCountInString)
	if s.Pattern != nil {
		rules = append(rules, rule[string]{"pattern", "want a match of " + clip(fmt.Sprintf("%q", s.Pattern), maxWantText), func(c *checker, v string) bool {
			return c.spend(len(v)/2) && s.Pattern.MatchString(v)
		}})
	}
	if s.Format != nil && formatOfDraft4(s.Format.Name) {
		rules = append(rules, rule[string]{"format", "want a text of format " + s.Format.Name, func(c *checker, v string) bool {
			return c.spend(len(v)/16) && s.Format.Validate(v) == nil
		}})
	}
	return rules
}

// formatOfDraft4 reports whether draft 4 defines a format. The library also knows later
// formats, which draft 4 ignores.
func formatOfDraft4(name string) bool {
	switch name {
	case "date-time", "email", "hostname", "ipv4", "ipv6", "uri":
		return true
	}
	return false
}

func atLeast[T any](rules *[]rule[T], keyword string, least *int, thing string, length func(T) int) {
	if least != nil {
		*rules = append(*rules, rule[T]{keyword, "want at least " + count(*least, thing), func(_ *checker, v T) bool { return length(v) >= *least }})
	}
}

func atMost[T any](rules *[]rule[T], keyword string, most *int, thing string, length func(T) int) {
	if most != nil {
		*rules = append(*rules, rule[T]{keyword, "want at most " + count(*most, thing), func(_ *checker, v T) bool { return length(v) <= *most }})
	}
}

func uniqueItems(c *checker, items []any) bool {
	if len(items) < 2 {
		return true
	}
	seen := make(map[string]struct{}, len(items))
	for _, item := range items {
		c.buffer = c.canonical(c.buffer[:0], item)
		if c.exhausted {
			return false
		}
		seen[string(c.buffer)] = struct{}{}
	}
	return len(seen) == len(items)
}

// object copies the schemas for properties.
func (b *builder) object(n *node, s *jsonschema.Schema) (err error) {
	if s.Properties != nil {
		n.properties = make(map[string]*node, len(s.Properties))
		n.propertyNames = slices.Sorted(maps.Keys(s.Properties))
	}
	for _, name := range n.propertyNames {
		if n.properties[name], err = b.node(s.Properties[name]); err != nil {
			return err
		}
	}
	for match, schema := range s.PatternProperties {
		value, err := b.node(schema)
		if err != nil {
			return err
		}
		n.patterns = append(n.patterns, patternProperty{match, value})
	}
	slices.SortFunc(n.patterns, func(a, b patternProperty) int { return strings.Compare(a.match.String(), b.match.String()) })
	switch additional := s.AdditionalProperties.(type) {
	case bool:
		n.noAdditional = !additional
	case *jsonschema.Schema:
		if n.additionalProperties, err = b.node(additional); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Dependencies)) {
		d := dependency{name: name}
		switch needs := s.Dependencies[name].(type) {
		case []string:
			d.needs = slices.Sorted(slices.Values(needs))
		case *jsonschema.Schema:
			if d.schema, err = b.node(needs); err != nil {
				return err
			}
		}
		n.dependencies = append(n.dependencies, d)
	}
	return nil
}

// array copies the schemas for items.
func (b *builder) array(n *node, s *jsonschema.Schema) (err error) {
	switch items := s.Items.(type) {
	case *jsonschema.Schema:
		n.items, err = b.node(items)
	case []*jsonschema.Schema:
		n.tuple, err = b.all(items)
	}
	if err != nil {
		return err
	}
	switch additional := s.AdditionalItems.(type) {
	case bool:
		n.maxTuple = !additional
	case *jsonschema.Schema:
		n.additionalItems, err = b.node(additional)
	}
	return err
}

// branches copies the schemas for the value itself.
func (b *builder) branches(n *node, s *jsonschema.Schema) (err error) {
	if s.Not != nil {
		if n.not, err = b.node(s.Not); err != nil {
			return err
		}
	}
	if n.allOf, err = b.all(s.AllOf); err != nil {
		return err
	}
	if n.anyOf, err = b.all(s.AnyOf); err != nil {
		return err
	}
	n.oneOf, err = b.all(s.OneOf)
	return err
}

func (b *builder) all(schemas []*jsonschema.Schema) (nodes []*node, err error) {
	for _, s := range schemas {
		n, err := b.node(s)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// endless finds a schema that applies itself to the same value again: a circle that never
// goes deeper into the value.
func (b *builder) endless() error {
	open := map[*node]bool{} // true while it is being visited, false afterwards
	var visit func(n *node) error
	visit = func(n *node) error {
		if on, seen := open[n]; seen {
			if on {
				return fmt.Errorf("%s: the schema refers to itself for the same value", locate(n.location))
			}
			return nil
		}
		open[n] = true
		for _, next := range n.same() {
			if err := visit(next); err != nil {
				return err
			}
		}
		open[n] = false
		return nil
	}
	for _, n := range b.built {
		if err := visit(n); err != nil {
			return err
		}
	}
	return nil
}

// same returns the schemas that n applies to the same value.
func (n *node) same() []*node {
	next := slices.Concat(n.allOf, n.anyOf, n.oneOf)
	if n.not != nil {
		next = append(next, n.not)
	}
	for _, d := range n.dependencies {
		if d.schema != nil {
			next = append(next, d.schema)
		}
	}
	return next
}
