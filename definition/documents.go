package definition

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// document evaluates the properties of a resource of API Gateway. The second map has the
// evaluated properties that are part of the path.
func (t *template) document(r *resource) (Document, map[string]*node) {
	doc := Document{LogicalID: r.logicalID, ID: t.id(r), Fields: map[string]any{}, File: r.at.file, Line: r.at.line}
	path := map[string]*node{}
	schema := schemaOf(r.typ)
	for i, key := range r.props.keys {
		p := findProperty(schema, key)
		if p == nil {
			t.failf(r.props.keyAt[i], r.logicalID, "%s has no property %q%s", r.typ, key, didYouMean(key, namesOf(schema)))
			continue
		}
		switch p.typ {
		case refusedField:
			t.failf(r.props.keyAt[i], r.logicalID, "%s is a property of HTTP APIs: remove it from this WebSocket API", key)
			continue
		case ignoredField:
			t.notef(Ignored, r.props.keyAt[i], r.logicalID, "%s has no effect here", key)
			continue
		default:
		}
		value, problem := t.property(r, key)
		if problem != nil {
			t.fail(r.logicalID, problem)
			continue
		}
		if value == nil {
			continue
		}
		if p.typ == pathField {
			path[key] = value
			continue
		}
		if field, problem := convert(*p, value); problem != nil {
			t.fail(r.logicalID, problem)
		} else {
			doc.Fields[p.field()] = field
		}
	}
	for _, p := range schema {
		if p.required && r.props.get(p.name).absent() {
			t.failf(r.at, r.logicalID, "%s is missing: %s needs it", p.name, r.typ)
		}
	}
	return doc, path
}

func findProperty(schema []property, name string) *property {
	for i := range schema {
		if schema[i].name == name {
			return &schema[i]
		}
	}
	return nil
}

func namesOf(schema []property) []string {
	names := make([]string, len(schema))
	for i, p := range schema {
		names[i] = p.name
	}
	return names
}

// convert turns an evaluated property into a field. As in CloudFormation a text may stand
// for a number or a boolean, and the other way round.
func convert(p property, n *node) (any, *problem) {
	wrong := func(want string) *problem {
		return problemAt(n.at, "%s has to be %s, but is %s", p.name, want, n.kind)
	}
	switch p.typ {
	case textField:
		if text, ok := n.scalar(); ok {
			return text, nil
		}
		return nil, wrong("a text")
	case boolField:
		if text := strings.ToLower(n.str()); text == "true" || text == "false" {
			return text == "true", nil
		}
		return nil, wrong("true or false")
	case integerField, numberField:
		return convertNumber(p, n)
	case textsField:
		return convertTexts(p, n)
	case schemaField:
		if n.kind == textKind {
			return n.text, nil
		}
		if n.kind == mapKind {
			return n.json(), nil
		}
		return nil, wrong("a JSON schema")
	case textMapField:
		return convertMap(p, n, property{name: p.name, typ: textField})
	case settingsMapField:
		return convertMap(p, n, property{name: p.name, typ: settingsField})
	case settingsField:
		return convertSettings(p, n)
	case settingsListField:
		return convertSettingsList(p, n)
	case parameterMapField:
		return convertParameters(p, n)
	case tagsField:
		return convertTags(p, n)
	default:
		return n.value(), nil
	}
}

func convertNumber(p property, n *node) (any, *problem) {
	text := n.str()
	_, err := strconv.ParseFloat(text, 64)
	if p.typ == integerField && err == nil {
		_, err = strconv.ParseInt(text, 10, 64)
	}
	if err != nil || !json.Valid([]byte(text)) {
		want := "a number"
		if p.typ == integerField {
			want = "a whole number"
		}
		return nil, problemAt(n.at, "%s has to be %s", p.name, want)
	}
	return json.Number(text), nil
}

func convertTexts(p property, n *node) (any, *problem) {
	items := []*node{n} // one text counts as a list of one
	if n.kind == listKind {
		items = n.items
	}
	list := []any{}
	for _, item := range items {
		text, ok := item.scalar()
		if !ok {
			return nil, problemAt(item.at, "%s has to be a list of texts, but has %s", p.name, item.kind)
		}
		list = append(list, text)
	}
	return list, nil
}

func convertMap(p property, n *node, value property) (any, *problem) {
	if n.kind != mapKind {
		return nil, problemAt(n.at, "%s has to be a map, but is %s", p.name, n.kind)
	}
	m := map[string]any{}
	for i, key := range n.keys {
		if n.items[i].absent() {
			continue
		}
		value.name = p.name
		field, problem := convert(value, n.items[i])
		if problem != nil {
			problem.text = strings.Replace(problem.text, p.name, p.name+"["+strconv.Quote(key)+"]", 1)
			return nil, problem
		}
		m[key] = field
	}
	return m, nil
}

// convertSettings converts a map with known keys. Templates write these keys with a capital,
// some with a small first letter.
func convertSettings(p property, n *node) (any, *problem) {
	if n.kind != mapKind {
		return nil, problemAt(n.at, "%s has to be a map, but is %s", p.name, n.kind)
	}
	known := settingsOf(p.name)
	m := map[string]any{}
	for i, key := range n.keys {
		index := slices.IndexFunc(known, func(k property) bool { return k.name == key || k.field() == key })
		if index < 0 {
			return nil, problemAt(n.keyAt[i], "%s has no key %q%s", p.name, key, didYouMean(key, namesOf(known)))
		}
		if n.items[i].absent() {
			continue
		}
		item := n.items[i]
		if known[index].name == "EndpointType" && item.kind == textKind {
			item = textNode(item.at, strings.ToUpper(item.text)) // templates have Regional, too
		}
		value, problem := convert(known[index], item)
		if problem != nil {
			problem.text = p.name + "." + problem.text
			return nil, problem
		}
		m[known[index].field()] = value
	}
	return m, nil
}

func convertSettingsList(p property, n *node) (any, *problem) {
	if n.kind != listKind {
		return nil, problemAt(n.at, "%s has to be a list, but is %s", p.name, n.kind)
	}
	list := []any{}
	for _, item := range n.items {
		settings, problem := convertSettings(p, item)
		if problem != nil {
			return nil, problem
		}
		list = append(list, settings)
	}
	return list, nil
}

// convertParameters converts {"route.request.header.X": {Required: true}}.
func convertParameters(p property, n *node) (any, *problem) {
	if n.kind != mapKind {
		return nil, problemAt(n.at, "%s has to be a map, but is %s", p.name, n.kind)
	}
	m := map[string]any{}
	for i, key := range n.keys {
		item := n.items[i]
		if text := strings.ToLower(item.str()); text == "true" || text == "false" {
			m[key] = map[string]any{"required": text == "true"}
			continue
		}
		value, problem := convertSettings(property{name: p.name, typ: settingsField}, item)
		if problem != nil {
			return nil, problemAt(item.at, "%s[%q] has to be a map with Required", p.name, key)
		}
		m[key] = value
	}
	return m, nil
}

func convertTags(p property, n *node) (any, *problem) {
	if n.kind != listKind {
		return convertMap(p, n, property{name: p.name, typ: textField})
	}
	m := map[string]any{}
	for _, item := range n.items {
		key, ok := item.get("Key").scalar()
		value, valid := item.get("Value").scalar()
		if !ok || !valid {
			return nil, problemAt(item.at, "Tags has to be a map of texts, or a list of maps with Key and Value")
		}
		m[key] = value
	}
	return m, nil
}
