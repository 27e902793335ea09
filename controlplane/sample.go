package controlplane

import (
	"encoding/json"
	"slices"
	"strings"
)

// sampleTemplate returns a mapping template that makes something of the form of a JSON
// schema, as GetModelTemplate shows it. A schema that it cannot read gives an empty object.
func sampleTemplate(schema string) string {
	var root any
	_ = json.Unmarshal([]byte(schema), &root) // nil is no schema
	var b strings.Builder
	b.WriteString("#set($inputRoot = $input.path('$'))\n")
	writeSample(&b, root, "  ", 0)
	return b.String()
}

// writeSample writes a value of the type that a schema has.
func writeSample(b *strings.Builder, schema any, indent string, depth int) {
	s, _ := schema.(map[string]any)
	kind, _ := s["type"].(string)
	switch kind {
	case "string":
		b.WriteString(`"foo"`)
	case "integer":
		b.WriteString("42")
	case "number":
		b.WriteString("42.0")
	case "boolean":
		b.WriteString("true")
	case "array":
		b.WriteString("[ ")
		writeSample(b, s["items"], indent, depth+1)
		b.WriteString(" ]")
	default:
		writeSampleObject(b, s, indent, depth)
	}
}

func writeSampleObject(b *strings.Builder, s map[string]any, indent string, depth int) {
	properties, _ := s["properties"].(map[string]any)
	if len(properties) == 0 || depth > mostDepth {
		b.WriteString("{ }")
		return
	}
	names := make([]string, 0, len(properties))
	for name := range properties {
		names = append(names, name)
	}
	slices.Sort(names)
	b.WriteString("{")
	for n, name := range names {
		if n > 0 {
			b.WriteString(",")
		}
		quoted, _ := json.Marshal(name) // a string: cannot fail
		b.WriteString("\n" + indent + string(quoted) + " : ")
		writeSample(b, properties[name], indent+"  ", depth+1)
	}
	b.WriteString("\n" + strings.TrimSuffix(indent, "  ") + "}")
}
