package controlplane

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// This file decodes and checks the members of documents, as the table says.

func jsonNumber(n int) json.Number { return json.Number(strconv.Itoa(n)) }

// newDocument returns the document that a create with this body makes, before its rules.
func (res *resource) newDocument(body document) (document, error) {
	d := document{}
	for n := range res.fields {
		f := &res.fields[n]
		value, given := body[f.name]
		if f.readOnly {
			continue
		}
		if !given || value == nil || value == "" && f.notEmpty == "" && !f.onlyHTTP {
			if f.required {
				return nil, badRequest("%s is required to create %s %s", f.title(), article(res.name), res.name)
			}
			if f.defaultValue != nil {
				d[f.name] = withDefaults(f.defaultValue, f.fields)
			}
			continue
		}
		value, err := f.check(value, true)
		if err != nil {
			return nil, err
		}
		if value != nil {
			d[f.name] = value
		}
	}
	return d, nil
}

// article returns the article before a name.
func article(name string) string {
	if strings.ContainsRune("AEIO", rune(name[0])) {
		return "an"
	}
	return "a"
}

// patched returns the document after an update with this body, before its rules. It
// does not change d.
func (res *resource) patched(d, body document) (document, error) {
	next := copyDocument(d)
	for n := range res.fields {
		f := &res.fields[n]
		value, given := body[f.name]
		if f.readOnly || !given || value == nil {
			continue
		}
		if f.immutable {
			if f.transient || f.name == "tags" || same(value, d[f.name]) {
				continue
			}
			return nil, badRequest("%s cannot be updated", f.title())
		}
		if value == "" {
			if err := f.clear(next); err != nil {
				return nil, err
			}
			continue
		}
		value, err := f.check(value, false)
		if err != nil {
			return nil, err
		}
		if f.merges {
			value = merged(d[f.name], value)
			if err := f.checkLength(len(value.(map[string]any))); err != nil {
				return nil, err
			}
		}
		f.set(next, value)
	}
	return next, nil
}

// clear is an update with an empty text: the member goes, or has its default again.
func (f *field) clear(d document) error {
	switch {
	case f.required:
		return badRequest("%s must not be empty", f.title())
	case f.kind != text:
		return f.mistaken("")
	case f.defaultValue != nil:
		d[f.name] = f.defaultValue
	default:
		delete(d, f.name)
	}
	return nil
}

// set stores a checked value. An empty map, list or object removes a member that has no
// default.
func (f *field) set(d document, value any) {
	if value == nil || f.defaultValue == nil && isEmpty(value) {
		delete(d, f.name)
		return
	}
	d[f.name] = value
}

func isEmpty(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		return len(value) == 0
	case []any:
		return len(value) == 0
	}
	return false
}

// merged returns a map with the keys of both. A key of changes whose value is an empty
// text is removed.
func merged(old, changes any) any {
	m, _ := copyValue(old).(map[string]any)
	if m == nil {
		m = map[string]any{}
	}
	for key, value := range changes.(map[string]any) {
		if value == "" {
			delete(m, key)
		} else {
			m[key] = value
		}
	}
	return m
}

// check returns the value as it is stored, or why it is refused. A value of nil stands
// for an absent member. creating is false for an update.
func (f *field) check(value any, creating bool) (any, error) {
	if f.onlyHTTP {
		if isEmpty(value) {
			return nil, nil
		}
		return nil, badRequest("%s cannot be set for WEBSOCKET protocol Apis.", f.title())
	}
	switch f.kind {
	case text:
		s, ok := value.(string)
		if !ok {
			return nil, f.mistaken(value)
		}
		return s, f.checkText(s)
	case boolean:
		if _, ok := value.(bool); !ok {
			return nil, f.mistaken(value)
		}
		return value, nil
	case integer, number:
		return f.checkNumber(value)
	case list:
		return f.checkList(value, creating)
	case textMap, objectMap:
		return f.checkMap(value, creating)
	case object:
		return f.checkObject(value, creating)
	}
	return nil, fmt.Errorf("controlplane: the member %s has an unknown kind %d", f.name, f.kind)
}

// mistaken is the refusal of a value of another type.
func (f *field) mistaken(value any) error {
	want := map[kind]string{
		text: "a string", integer: "an integer", number: "a number", boolean: "a boolean",
		list: "a list", textMap: "an object of strings", objectMap: "an object of objects", object: "an object",
	}[f.kind]
	return badRequest("%s must be %s, and not %s", f.title(), want, typeName(value))
}

func typeName(value any) string {
	switch value.(type) {
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case bool:
		return "a boolean"
	case []any:
		return "a list"
	case nil:
		return "null"
	}
	return "an object"
}

func (f *field) checkText(s string) error {
	refused := ""
	switch length := utf8.RuneCountInString(s); {
	case s == "" && f.notEmpty != "":
		return badRequest("%s", f.notEmpty)
	case f.refused[s] != "":
		return badRequest("%s", f.refused[s])
	case f.values != nil && !slices.Contains(f.values, s):
		refused = "Must be one of [" + strings.Join(f.values, ", ") + "]"
	case f.pattern != nil && !f.pattern.MatchString(s):
		refused = "Must match " + f.pattern.String()
	case length < f.least || f.most > 0 && length > f.most:
		return badRequest("Invalid %s specified: it has %d characters. Must have %d to %d", f.title(), length, f.least, f.most)
	default:
		return nil
	}
	if f.says == "" {
		return badRequest("Invalid %s specified: %s. %s", f.title(), clip(s), refused)
	}
	if strings.Contains(f.says, "%s") {
		return badRequest(f.says, clip(s))
	}
	return badRequest("%s", f.says)
}

// clip shortens what a client sent, for the text of an error.
func clip(s string) string {
	const most = 256
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

func (f *field) checkNumber(value any) (any, error) {
	n, ok := value.(json.Number)
	if !ok {
		return nil, f.mistaken(value)
	}
	x, err := n.Float64()
	if err != nil || math.IsInf(x, 0) || x < 0 && f.kind == number {
		return nil, badRequest("Invalid %s specified: %s", f.title(), clip(n.String()))
	}
	if x == 0 { // it may be -0
		n = json.Number(strings.TrimPrefix(n.String(), "-"))
	}
	if f.kind == number {
		return n, nil
	}
	if _, err := strconv.ParseInt(n.String(), 10, 64); err != nil {
		return nil, badRequest("%s must be a whole number without an exponent", f.title())
	}
	if x < float64(f.least) || x > float64(f.most) {
		return nil, badRequest("Invalid %s specified: %s. Must be between %d and %d", f.title(), n, f.least, f.most)
	}
	return n, nil
}

// checkLength checks the number of entries of a list or map.
func (f *field) checkLength(n int) error {
	if most := cmp.Or(f.most, mostEntries); n > most {
		return badRequest("Invalid %s specified: it has %d entries. Must have at most %d", f.title(), n, most)
	}
	return nil
}

// What holds for the lists and maps for which the service documents no limit.
const (
	mostEntries = 400
	longestKey  = 1024 // bytes
)

// checkList drops empty texts, which the service does, too.
func (f *field) checkList(value any, creating bool) (any, error) {
	values, ok := value.([]any)
	if !ok {
		return nil, f.mistaken(value)
	}
	if err := f.checkLength(len(values)); err != nil {
		return nil, err
	}
	checked := make([]any, 0, len(values))
	for _, value := range values {
		if value == "" && f.each != nil {
			continue
		}
		value, err := f.element(f.name).check(value, creating)
		if err != nil {
			return nil, err
		}
		checked = append(checked, value)
	}
	if len(checked) == 0 && creating {
		return nil, nil
	}
	return checked, nil
}

func (f *field) checkMap(value any, creating bool) (any, error) {
	values, ok := value.(map[string]any)
	if !ok {
		return nil, f.mistaken(value)
	}
	if err := f.checkLength(len(values)); err != nil {
		return nil, err
	}
	checked := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		value := values[key]
		if value == nil || value == "" && f.merges && creating {
			continue
		}
		if len(key) > longestKey {
			return nil, badRequest("Invalid %s specified: the key %s has more than %d bytes", f.title(), clip(key), longestKey)
		}
		if f.keys != nil && !f.keys.MatchString(key) {
			return nil, badRequest("Invalid %s specified: the key %s must match %s", f.title(), clip(key), f.keys)
		}
		if value == "" && f.merges {
			checked[key] = ""
			continue
		}
		value, err := f.element(f.name).check(value, creating)
		if err != nil {
			return nil, err
		}
		checked[key] = value
	}
	return checked, nil
}

// element returns the field that each entry of a list or map is checked by.
func (f *field) element(name string) *field {
	if f.each == nil {
		return &field{name: name, kind: object, fields: f.fields}
	}
	each := *f.each
	each.name = name
	return &each
}

func (f *field) checkObject(value any, creating bool) (any, error) {
	values, ok := value.(map[string]any)
	if !ok {
		return nil, f.mistaken(value)
	}
	checked := map[string]any{}
	for n := range f.fields {
		inner := &f.fields[n]
		value, given := values[inner.name]
		if !given || value == nil || value == "" || inner.readOnly || inner.isIgnored(value) {
			continue
		}
		value, err := inner.check(value, creating)
		if err != nil {
			return nil, err
		}
		checked[inner.name] = value
	}
	if f.merges && !creating { // the defaults are there
		return checked, nil
	}
	return withDefaults(checked, f.fields), nil
}

// isIgnored tells whether a value is as an absent member.
func (f *field) isIgnored(value any) bool {
	s, ok := value.(string)
	return ok && f.lenient && !slices.Contains(f.values, s)
}

// withDefaults returns the default of a member, or an object with the defaults that it
// lacks. It does not change value.
func withDefaults(value any, fields []field) any {
	m, ok := copyValue(value).(map[string]any)
	if !ok {
		return value
	}
	for n := range fields {
		f := &fields[n]
		if _, given := m[f.name]; !given && f.defaultValue != nil {
			m[f.name] = f.defaultValue
		}
	}
	return m
}

func copyDocument(d document) document {
	c, _ := copyValue(d).(map[string]any)
	return c
}

// copyValue copies a JSON value deeply.
func copyValue(value any) any {
	switch value := value.(type) {
	case map[string]any:
		c := make(map[string]any, len(value))
		for key, inner := range value {
			c[key] = copyValue(inner)
		}
		return c
	case []any:
		c := make([]any, len(value))
		for n, inner := range value {
			c[n] = copyValue(inner)
		}
		return c
	}
	return value
}

// same compares two JSON values.
func same(a, b any) bool {
	left, err := encodeJSON(a)
	if err != nil {
		return false
	}
	right, err := encodeJSON(b)
	return err == nil && string(left) == string(right)
}
