package definition

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// variables resolves the variables of the Serverless Framework, "${self:custom.x, 'y'}".
// Variables of CloudFormation, "${AWS::Region}" and "${Name}", stay as they are.
type variables struct {
	*report
	opts     *Options
	root     *node
	dir      string
	stage    string
	dotenv   map[string]string
	params   map[string]string // values of ${param:…} that the caller gave
	files    map[string]*node
	resolved map[*node]*node // nil while the resolution is under way
	failed   map[*node]*problem
	produced int
	depth    int
}

// variableStart is how a variable begins: a source, perhaps with an argument in parentheses,
// and one colon.
var variableStart = regexp.MustCompile(`^\s*[A-Za-z][A-Za-z0-9_-]*(?:\([^)]*\))?:(?:[^:]|$)|^\s*(?:file|strToBool)\([^)]*\)`)

// resolve returns a node with all variables in it replaced.
func (v *variables) resolve(n *node) (*node, *problem) {
	if before, known := v.resolved[n]; known {
		if before == nil {
			return nil, problemAt(n.at, "this value refers to itself by its variables")
		}
		return before, nil
	}
	if p := v.failed[n]; p != nil {
		return nil, p
	}
	if v.depth++; v.depth > 3*maxDepth {
		return nil, problemAt(n.at, "variables refer to variables more than %d deep", maxDepth)
	}
	defer func() { v.depth-- }()
	v.resolved[n] = nil
	value, p := v.resolveNew(n)
	if p == nil {
		if v.produced += value.size * bytesPerUnit; v.produced > maxProduced {
			p = problemAt(n.at, "the variables of this file make more than %d MiB of text", maxProduced>>20)
		}
	}
	if p != nil {
		delete(v.resolved, n)
		v.failed[n] = p
		return nil, p
	}
	v.resolved[n] = value
	return value, nil
}

func (v *variables) resolveNew(n *node) (*node, *problem) {
	switch n.kind {
	case textKind:
		return v.text(n.at, n.text)
	case listKind, mapKind:
		m := &node{kind: n.kind, at: n.at}
		for i, item := range n.items {
			value, p := v.resolve(item)
			if p != nil {
				return nil, p
			}
			m.items = append(m.items, value)
			if n.kind == mapKind {
				key, p := v.key(n.keyAt[i], n.keys[i])
				if p != nil {
					return nil, p
				}
				m.keys, m.keyAt = append(m.keys, key), append(m.keyAt, n.keyAt[i])
			}
		}
		m.weigh()
		return m, nil
	default:
		return n, nil
	}
}

func (v *variables) key(at position, key string) (string, *problem) {
	if !strings.Contains(key, "${") {
		return key, nil
	}
	value, p := v.text(at, key)
	if p != nil {
		return "", p
	}
	return value.str(), nil
}

// endOf returns the index of the brace that closes the variable at the beginning of a text
// "${…}", or -1.
func endOf(text string) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], "${"):
			depth++
			i++
		case text[i] == '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// text resolves the variables in a text. A text that is one variable becomes its value,
// which may be a map or a list.
func (v *variables) text(at position, text string) (*node, *problem) {
	if v.depth++; v.depth > 3*maxDepth {
		return nil, problemAt(at, "variables refer to variables more than %d deep", maxDepth)
	}
	defer func() { v.depth-- }()
	var b strings.Builder
	for whole := text; ; {
		begin := strings.Index(text, "${")
		end := -1
		if begin >= 0 {
			end = endOf(text[begin:])
		}
		if end < 0 {
			b.WriteString(text)
			return textNode(at, b.String()), nil
		}
		b.WriteString(text[:begin])
		variable := text[begin : begin+end+1]
		text = text[begin+end+1:]
		inner := variable[2 : len(variable)-1]
		if !variableStart.MatchString(inner) {
			if strings.Contains(inner, "${") {
				value, p := v.text(at, inner)
				if p != nil {
					return nil, p
				}
				variable = "${" + value.str() + "}"
			}
			b.WriteString(variable)
			continue
		}
		value, p := v.variable(at, inner)
		if p != nil {
			return nil, p
		}
		if variable == strings.TrimSpace(whole) {
			return value, nil
		}
		part, ok := value.scalar()
		if !ok {
			return nil, problemAt(at, "%s cannot be put into a text: it is %s", variable, value.kind)
		}
		if b.WriteString(part); b.Len() > maxProduced {
			return nil, problemAt(at, "the variables of this file make more than %d MiB of text", maxProduced>>20)
		}
	}
}

// variable resolves what stands between "${" and "}": sources, of which the first with a
// value counts.
func (v *variables) variable(at position, inner string) (*node, *problem) {
	if v.depth++; v.depth > 3*maxDepth {
		return nil, problemAt(at, "variables refer to variables more than %d deep", maxDepth)
	}
	defer func() { v.depth-- }()
	sources := splitSources(inner)
	for i, source := range sources {
		value, p := v.source(at, source, i == len(sources)-1)
		if p != nil {
			return nil, p
		}
		if value != nil && value.kind != nullKind {
			return value, nil
		}
	}
	return nil, problemAt(at, "the variable ${%s} has no value: give one, or a default as in ${%s, 'value'}", inner, sources[0])
}

// splitSources splits at the commas that stand in no quotes, parentheses and variables.
func splitSources(text string) []string {
	var parts []string
	depth, begin := 0, 0
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '(' || c == '{':
			depth++
		case c == ')' || c == '}':
			depth--
		case c == ',' && depth == 0:
			parts = append(parts, strings.TrimSpace(text[begin:i]))
			begin = i + 1
		}
	}
	return append(parts, strings.TrimSpace(text[begin:]))
}

// source returns the value of one source, or nil if it has none.
func (v *variables) source(at position, text string, last bool) (*node, *problem) {
	if n := literal(at, text); n != nil {
		return n, nil
	}
	shown := text // without the values of the variables in it, which may be secret
	if strings.Contains(text, "${") {
		value, p := v.text(at, text)
		if p != nil || strings.HasPrefix(text, "${") && endOf(text) == len(text)-1 {
			return value, p
		}
		text = value.str()
	}
	name, address, _ := strings.Cut(text, ":")
	argument := ""
	if before, rest, ok := strings.Cut(text, "("); ok && len(before) < len(name)+1 {
		end := strings.IndexByte(rest, ')')
		if end < 0 {
			return nil, problemAt(at, "the variable %s has no closing parenthesis", shown)
		}
		name, argument, address = before, rest[:end], strings.TrimPrefix(rest[end+1:], ":")
	}
	switch name {
	case "self":
		return v.walk(v.root, address)
	case "param":
		return v.param(at, address)
	case "opt", "sls", "env", "aws":
		if name == "aws" && strings.Contains(address, ":") {
			return v.elsewhere(at, text, shown, last) // aws:ssm:/path
		}
		return v.named(at, name, address), nil
	case "file":
		return v.file(at, text, shown, argument, address, last)
	case "strToBool":
		argument = strings.Trim(argument, `'"`)
		truth := argument == "true" || argument == "1"
		return &node{kind: boolKind, text: strconv.FormatBool(truth), at: at, size: 1}, nil
	default:
		return v.elsewhere(at, text, shown, last)
	}
}

func literal(at position, text string) *node {
	if len(text) >= 2 && (text[0] == '\'' || text[0] == '"') && text[len(text)-1] == text[0] {
		return textNode(at, text[1:len(text)-1])
	}
	switch text {
	case "true", "false":
		return &node{kind: boolKind, text: text, at: at, size: 1}
	case "null":
		return &node{kind: nullKind, at: at, size: 1}
	}
	if _, err := strconv.ParseInt(text, 10, 64); err == nil {
		return integerNode(at, text)
	}
	return nil
}

// walk follows an address, "custom.table.name", and resolves variables on the way.
func (v *variables) walk(n *node, address string) (*node, *problem) {
	if address != "" {
		if n == v.root && address == "provider.stage" && v.stage != "" {
			return textNode(n.at, v.stage), nil
		}
		for key := range strings.SplitSeq(address, ".") {
			if n.kind == textKind {
				value, p := v.resolve(n)
				if p != nil {
					return nil, p
				}
				n = value
			}
			next := n.get(key)
			if index, err := strconv.Atoi(key); err == nil && n.kind == listKind && index >= 0 && index < len(n.items) {
				next = n.items[index]
			}
			if next == nil {
				return nil, nil //nolint:nilnil // no value: the next source counts
			}
			n = next
		}
	}
	return v.resolve(n)
}

// named returns the value of a source that knows names.
func (v *variables) named(at position, source, name string) *node {
	value, ok := "", false
	switch source {
	case "opt":
		value, ok = v.opts.Options[name]
		if name == "stage" && v.opts.Stage != "" {
			value, ok = v.opts.Stage, true
		}
	case "sls":
		value, ok = v.stage, name == "stage"
		if name == "instanceId" {
			value, ok = stableID(10, v.stage), true
		}
	case "aws":
		value, ok = v.opts.AccountID, name == "accountId"
		if name == "region" {
			value, ok = v.opts.Region, true
		}
	case "env":
		if value, ok = v.opts.Getenv(name); !ok {
			value, ok = v.dotenv[name]
		}
	}
	if !ok {
		return nil
	}
	return textNode(at, value)
}

// param returns a parameter of the stage, or of all stages. Those that the caller gives win.
func (v *variables) param(at position, name string) (*node, *problem) {
	if value, ok := v.params[name]; ok {
		return textNode(at, value), nil
	}
	for _, stage := range []string{v.stage, "default"} {
		for _, path := range [][]string{{"stages", stage, "params"}, {"params", stage}} {
			n := v.root
			for _, key := range append(path, name) {
				if n = n.get(key); n == nil || n.kind != textKind {
					continue
				}
				value, p := v.resolve(n)
				if p != nil {
					return nil, p
				}
				n = value
			}
			if n != nil {
				return v.resolve(n)
			}
		}
	}
	return nil, nil //nolint:nilnil // no value: the next source counts
}

// file returns a part of another file. A file that is missing has no value.
func (v *variables) file(at position, text, shown, path, address string, last bool) (*node, *problem) {
	path = strings.Trim(strings.TrimSpace(path), `'"`)
	if filepath.IsAbs(path) || strings.HasPrefix(path, "~") {
		return nil, problemAt(at, "${%s}: write the path relative to the folder of this file", shown)
	}
	full := filepath.Join(v.dir, filepath.FromSlash(path))
	if v.files[full] == nil {
		ending := strings.ToLower(filepath.Ext(full))
		switch ending {
		case ".js", ".cjs", ".mjs", ".ts":
			return v.elsewhere(at, text, shown, last)
		}
		v.opts.onFile(full)
		if !exists(full) {
			return nil, nil //nolint:nilnil // no value: the next source counts
		}
		content, err := readFile(full)
		if err != nil {
			return nil, problemAt(at, "${%s} cannot be read: %v", shown, err)
		}
		n, p := readPart(full, ending, content)
		if p != nil {
			return nil, p
		}
		v.files[full] = n
	}
	return v.walk(v.files[full], address)
}

// readPart reads a file that a variable names. What is neither YAML nor JSON is text, as in the
// Serverless Framework.
func readPart(path, ending string, content []byte) (*node, *problem) {
	switch ending {
	case ".yml", ".yaml", ".json":
		return readNode(path, content)
	case ".tfstate":
		return readJSON(path, content)
	default:
		return textNode(position{path, 1}, strings.ToValidUTF8(string(content), "\uFFFD")), nil
	}
}

// elsewhere returns the value of a source that is not on this machine: the one that the
// caller gave, or the name of the source. The note has the name as it is in the file.
func (v *variables) elsewhere(at position, text, shown string, last bool) (*node, *problem) {
	if value, ok := v.opts.Values[text]; ok {
		return textNode(at, value), nil
	}
	if !last {
		return nil, nil //nolint:nilnil // no value: the next source counts
	}
	why := "is not on this machine"
	if strings.HasPrefix(text, "file(") {
		why = "is the result of a program, which is not run here"
	}
	v.noteOnce(Warning, at, "${"+shown+"} "+why+": its name is used as its value. Give its value, or a default as in ${"+shown+", 'value'}")
	return textNode(at, text), nil
}

// readDotenv reads the files that "useDotenv: true" names.
func (o *Options) readDotenv(dir, stage string) map[string]string {
	values := map[string]string{}
	for _, name := range []string{".env", ".env." + stage} {
		o.onFile(filepath.Join(dir, name))
		content, err := readFile(filepath.Join(dir, name))
		if err != nil {
			continue // these files are optional
		}
		for line := range strings.Lines(string(content)) {
			key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
			if !ok || strings.HasPrefix(key, "#") {
				continue
			}
			value = strings.TrimSpace(value)
			if n := literal(position{}, value); n != nil && n.kind == textKind {
				value = n.text
			}
			values[strings.TrimSpace(strings.TrimPrefix(key, "export "))] = value
		}
	}
	return values
}
