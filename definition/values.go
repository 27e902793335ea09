package definition

import (
	"path/filepath"
	"strings"
)

// ReadValues reads a file of values, for [Options].Parameters, Imports and Values. It is
//
//   - a map in YAML or JSON, {Name: value}
//   - a file of parameters for the AWS CLI: a list of {ParameterKey, ParameterValue}, or
//     {"Parameters": {Name: value}}
//   - samconfig.toml, of which it takes the parameter_overrides of the environment
//     "default", those for "deploy" before the global ones
//
// A value is a text, a number or a boolean; a list of these is joined with commas. The error
// is an *Error if the file has problems.
func ReadValues(path string) (map[string]string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	content, err := readFile(path)
	if err != nil {
		return nil, err
	}
	if strings.EqualFold(filepath.Ext(path), ".toml") {
		return samOverrides(string(content)), nil
	}
	r := &report{}
	root, p := readNode(path, content)
	if p != nil {
		r.fail("", p)
		return nil, r.err()
	}
	if parameters := root.get("Parameters"); parameters.isMap() {
		root = parameters
	}
	values := map[string]string{}
	switch root.kind {
	case mapKind:
		for i, name := range root.keys {
			r.take(values, name, root.keyAt[i], root.items[i])
		}
	case listKind:
		for _, item := range root.items {
			name, value := item.get("ParameterKey").str(), item.get("ParameterValue")
			if name == "" || value == nil {
				r.failf(item.at, "", "each entry of a list of values needs ParameterKey and ParameterValue")
				continue
			}
			r.take(values, name, item.at, value)
		}
	default:
		r.failf(root.at, "", "a file of values has to be a map of names and values")
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return values, nil
}

func (r *report) take(values map[string]string, name string, at position, value *node) {
	items := []*node{value}
	if value.kind == listKind {
		items = value.items
	}
	var texts []string
	for _, item := range items {
		text, ok := item.scalar()
		if !ok {
			r.failf(at, "", "the value of %s has to be a text, a number, a boolean or a list of these, but is %s", name, value.kind)
			return
		}
		texts = append(texts, text)
	}
	values[name] = strings.Join(texts, ",")
}

// samOverrides returns the parameter_overrides of a samconfig.toml: a text, "A=b C=\"d e\"",
// or a list of such texts.
func samOverrides(text string) map[string]string {
	bySection := map[string]map[string]string{}
	section, open := "", ""
	var list []string // the lines of a list that is not closed yet
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case list != nil:
			open = line
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[] ")
			continue
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok || strings.TrimSpace(key) != "parameter_overrides" {
				continue
			}
			open = strings.TrimSpace(value)
		}
		if list = append(list, open); strings.HasPrefix(list[0], "[") && !strings.HasSuffix(open, "]") {
			continue // the list goes on
		}
		bySection[section] = overrides(strings.Join(list, " "))
		list = nil
	}
	values := map[string]string{}
	for _, section := range []string{"default.global.parameters", "default.deploy.parameters"} {
		for name, value := range bySection[section] {
			values[name] = value
		}
	}
	return values
}

// overrides reads the value of parameter_overrides.
func overrides(toml string) map[string]string {
	var texts []string
	for toml = strings.Trim(toml, "[] "); ; {
		toml = strings.TrimLeft(toml, ", ")
		quote := `"`
		switch {
		case strings.HasPrefix(toml, `"""`), strings.HasPrefix(toml, `'''`):
			quote = toml[:3]
		case strings.HasPrefix(toml, `'`):
			quote = `'`
		case !strings.HasPrefix(toml, `"`):
			return pairs(strings.Join(texts, " "))
		}
		toml = toml[len(quote):]
		end := strings.Index(toml, quote)
		for end > 0 && quote == `"` && toml[end-1] == '\\' {
			next := strings.Index(toml[end+1:], quote)
			if next < 0 {
				end = -1
				break
			}
			end += 1 + next
		}
		if end < 0 {
			return pairs(strings.Join(texts, " "))
		}
		item := toml[:end]
		if quote == `"` {
			item = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(item)
		}
		texts, toml = append(texts, item), toml[end+len(quote):]
	}
}

// pairs splits "A=b C=\"d e\"" into names and values.
func pairs(text string) map[string]string {
	values := map[string]string{}
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		name, rest, ok := strings.Cut(text, "=")
		if !ok {
			break
		}
		value, after := rest, ""
		if strings.HasPrefix(rest, `"`) || strings.HasPrefix(rest, `'`) {
			value, after, _ = strings.Cut(rest[1:], rest[:1])
		} else if i := strings.IndexAny(rest, " \t"); i >= 0 {
			value, after = rest[:i], rest[i:]
		}
		values[strings.TrimSpace(name)], text = value, after
	}
	return values
}
