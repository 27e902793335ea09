package config

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"example.com/gateway/internal/nearest"
)

// decoder reads YAML into structs. It goes on after an error, so that a user sees all of
// them at once, and it remembers where each value stands, for the checks that come later.
type decoder struct {
	file     string
	places   map[string]*token.Position // by path, as in routes.$connect.integration
	anchors  map[string]ast.Node
	problems []Problem
	secret   func(s *Secret, path string) // reads a secret
}

var (
	durationType = reflect.TypeFor[time.Duration]() //nolint:gochecknoglobals // constants
	limitType    = reflect.TypeFor[Limit]()         //nolint:gochecknoglobals // constants
	periodType   = reflect.TypeFor[TimeLimit]()     //nolint:gochecknoglobals // constants
)

// decode reads the text of a file into the struct that into points to.
func (d *decoder) decode(text []byte, into any) {
	parsed, err := parser.ParseBytes(text, 0)
	if err != nil {
		d.syntax(err)
		return
	}
	if len(parsed.Docs) > 1 {
		d.problems = append(d.problems, Problem{File: d.file, Text: "the file has several documents: remove the lines with ---"})
		return
	}
	if len(parsed.Docs) == 0 || parsed.Docs[0].Body == nil {
		d.problems = append(d.problems, Problem{File: d.file, Text: "the file is empty: write at least stage, listen and routes"})
		return
	}
	d.value(parsed.Docs[0].Body, reflect.ValueOf(into).Elem(), "")
}

// syntax reports text that is not YAML.
func (d *decoder) syntax(err error) {
	p := Problem{File: d.file}
	var located yaml.Error
	if errors.As(err, &located) {
		p.Text = "this is not YAML: " + located.GetMessage() // Error would print the source, which takes long in a large file
		if t := located.GetToken(); t != nil {
			p.Line, p.Column = t.Position.Line, t.Position.Column
		}
	} else {
		p.Text = "this is not YAML: " + firstLine(err.Error())
	}
	d.problems = append(d.problems, p)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// report reports a problem with the value at path, or with what it should be in.
func (d *decoder) report(path, format string, args ...any) {
	p := Problem{File: d.file, Text: fmt.Sprintf(format, args...)}
	if path != "" {
		p.Text = path + ": " + p.Text
	}
	for at := path; at != ""; {
		if place, ok := d.places[at]; ok {
			p.Line, p.Column = place.Line, place.Column
			break
		}
		dot := strings.LastIndexByte(at, '.')
		if dot < 0 {
			break
		}
		at = at[:dot]
	}
	d.problems = append(d.problems, p)
}

func under(path, name string) string {
	if path == "" || name == "" {
		return path + name
	}
	return path + "." + name
}

// resolve returns the node that an anchor marks or an alias names.
func (d *decoder) resolve(node ast.Node) ast.Node {
	for range 100 { // an alias may name itself
		switch n := node.(type) {
		case *ast.AnchorNode:
			if d.anchors == nil {
				d.anchors = map[string]ast.Node{}
			}
			d.anchors[n.Name.GetToken().Value] = n.Value
			node = n.Value
		case *ast.AliasNode:
			to, ok := d.anchors[n.Value.GetToken().Value]
			if !ok {
				return node
			}
			node = to
		case *ast.TagNode:
			node = n.Value
		default:
			return node
		}
	}
	return node
}

func (d *decoder) value(node ast.Node, into reflect.Value, path string) {
	node = d.resolve(node)
	if _, ok := d.places[path]; !ok && node.GetToken() != nil {
		d.places[path] = node.GetToken().Position
	}
	if _, empty := node.(*ast.NullNode); empty {
		d.report(path, "there is no value: write one, or remove the key")
		return
	}
	if into.Kind() == reflect.Pointer {
		into.Set(reflect.New(into.Type().Elem()))
		into = into.Elem()
	}
	if v, ok := into.Addr().Interface().(*Variable); ok {
		if _, isText := node.(ast.ScalarNode); isText {
			d.scalar(node, reflect.ValueOf(&v.Text).Elem(), path)
			return
		}
		into = reflect.ValueOf(&v.Secret).Elem()
	}
	switch into.Kind() {
	case reflect.Struct:
		d.object(node, into, path)
		if s, ok := into.Addr().Interface().(*Secret); ok {
			d.secret(s, path)
		}
	case reflect.Map:
		d.mapping(node, into, path)
	case reflect.Slice:
		list, ok := node.(*ast.SequenceNode)
		if !ok {
			d.report(path, "write a list: one line for each value, beginning with -")
			return
		}
		into.Set(reflect.MakeSlice(into.Type(), len(list.Values), len(list.Values)))
		for n, v := range list.Values {
			d.value(v, into.Index(n), under(path, strconv.Itoa(n+1)))
		}
	default:
		d.scalar(node, into, path)
	}
}

// members calls each for each member of a node that is an object. It reports others.
func (d *decoder) members(node ast.Node, path string, each func(key string, value ast.Node)) {
	var members []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		members = n.Values
	case *ast.MappingValueNode:
		members = []*ast.MappingValueNode{n}
	default:
		d.report(path, "write an object: one line for each member, as in \"name: value\"")
		return
	}
	for _, m := range members {
		if m.Key.IsMergeKey() {
			d.report(path, "<< is not supported: write the members themselves")
			continue
		}
		key := m.Key.GetToken()
		d.places[under(path, key.Value)] = key.Position
		each(key.Value, m.Value)
	}
}

func (d *decoder) object(node ast.Node, into reflect.Value, path string) {
	fields := map[string]reflect.Value{}
	var names []string
	for n := range into.NumField() {
		if name := into.Type().Field(n).Tag.Get("yaml"); name != "" {
			fields[name] = into.Field(n)
			names = append(names, name)
		}
	}
	d.members(node, path, func(key string, value ast.Node) {
		field, ok := fields[key]
		if !ok {
			hint := nearest.Question(nearest.To(key, names))
			if hint == "" {
				hint = ": use " + strings.Join(names, ", ")
			}
			d.report(under(path, key), "there is no such key%s", hint)
			return
		}
		d.value(value, field, under(path, key))
	})
}

func (d *decoder) mapping(node ast.Node, into reflect.Value, path string) {
	into.Set(reflect.MakeMap(into.Type()))
	d.members(node, path, func(key string, value ast.Node) {
		v := reflect.New(into.Type().Elem()).Elem()
		d.value(value, v, under(path, key))
		into.SetMapIndex(reflect.ValueOf(key), v)
	})
}

func (d *decoder) scalar(node ast.Node, into reflect.Value, path string) {
	scalar, ok := node.(ast.ScalarNode)
	if !ok {
		d.report(path, "write one value, not a list or an object")
		return
	}
	text, isText := fmt.Sprint(scalar.GetValue()), node.Type() == ast.StringType || node.Type() == ast.LiteralType
	isNumber := node.Type() == ast.IntegerType || node.Type() == ast.FloatType
	if isNumber {
		text = node.GetToken().Value // "007" stays as it is
	}
	switch {
	case into.Type() == limitType:
		d.limit(text, into, path)
	case into.Type() == periodType && text == off:
		into.SetInt(-1)
	case into.Type() == durationType, into.Type() == periodType:
		if t, err := time.ParseDuration(text); err != nil || t < 0 {
			d.report(path, "%q is not a time: write a number with a unit, such as 500ms, 30s, 10m or 2h", text)
		} else {
			into.SetInt(int64(t))
		}
	case into.Kind() == reflect.String:
		if !isText && !isNumber {
			d.report(path, "%s is not text: put it into quotes", text)
			return
		}
		into.SetString(text)
	case into.Kind() == reflect.Bool:
		if b, ok := scalar.GetValue().(bool); ok {
			into.SetBool(b)
		} else {
			d.report(path, "%q is neither true nor false", text)
		}
	case into.Kind() == reflect.Int:
		if n, err := strconv.Atoi(text); err == nil && isNumber {
			into.SetInt(int64(n))
		} else {
			d.report(path, "%q is not a whole number", text)
		}
	case into.Kind() == reflect.Float64:
		if f, err := strconv.ParseFloat(text, 64); err == nil && isNumber {
			into.SetFloat(f)
		} else {
			d.report(path, "%q is not a number", text)
		}
	default:
		panic("config: no way to read a " + into.Type().String())
	}
}

// limit reads a number above zero, or off.
func (d *decoder) limit(text string, into reflect.Value, path string) {
	n, err := strconv.Atoi(text)
	switch {
	case text == off:
		into.SetInt(-1)
	case err != nil || n <= 0:
		d.report(path, "%q is not a limit: write a whole number above 0, or %s for no limit", text, off)
	default:
		into.SetInt(int64(n))
	}
}
