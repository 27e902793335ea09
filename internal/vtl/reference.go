package vtl

import (
	"strings"

	"example.com/gateway/internal/jsonpath"
)

// reference is a variable and the steps after it.
type reference struct {
	name          string // of the variable
	slot          int
	steps         []step
	quiet, formal bool
	source        string
	at            int

	// For a reference in the text: half the number of backslashes before it, and whether
	// there is one more, which escapes it.
	slashes int
	escaped bool
	printed bool // it is a reference in the text
	target  bool // it is the left side of a #set
}

// step leads from a value to its property, its item or the result of its method.
type step struct {
	kind stepKind
	name string
	args []expr // stepIndex: one
	at   int

	// path is the compiled argument of $input.json or $input.path, if the only argument is a
	// string.
	path    *jsonpath.Path
	pathErr error
}

type stepKind uint8

const (
	stepProperty stepKind = iota
	stepMethod
	stepIndex
)

// compile prepares the path of $input.json('path').
func (s *step) compile() {
	if s.name != "json" && s.name != "path" || len(s.args) != 1 {
		return
	}
	if l, ok := s.args[0].(literal); ok {
		if text, ok := l.constant.(string); ok {
			s.path, s.pathErr = jsonpath.Compile(text)
		}
	}
}

func (n *reference) text() string { return n.source }

// render prints the value or, if there is none, the text of the reference. A reference
// after a backslash prints its text without the backslash, if it has a value.
func (n *reference) render(r *run) {
	v := n.value(r)
	if r.halted() {
		return
	}
	if isOpaque(v) {
		v = nil
	}
	slashes := n.slashes
	switch {
	case n.escaped && v == nil:
		slashes++
	case !n.escaped && v == nil:
		slashes *= 2
	}
	if slashes > 0 {
		r.write(strings.Repeat(`\`, slashes))
	}
	switch {
	case v == nil || n.escaped:
		r.write(n.nullText(r))
	default:
		r.print(v, 0)
	}
}

// nullText returns the text that the reference prints when it is null.
func (n *reference) nullText(r *run) string {
	switch {
	case n.quiet && !n.escaped:
		return ""
	case n.quiet || n.formal || len(n.steps) > 0:
		return n.source
	}
	if text, ok := r.scope.literal(n.slot); ok {
		return text
	}
	return n.source
}

func (n *reference) value(r *run) any {
	r.step(n.at, 1+len(n.steps))
	return n.walk(r, n.steps)
}

// walk returns the value to which the steps lead from the variable.
func (n *reference) walk(r *run, steps []step) any {
	v := r.scope.get(r, n.slot)
	for i := 0; i < len(steps) && v != nil && !r.halted(); i++ {
		v = steps[i].apply(r, v)
	}
	if r.halted() {
		return nil
	}
	return v
}

func (n *reference) truth(r *run) bool {
	v := n.value(r)
	if b, ok := v.(bool); ok {
		return b
	}
	return v != nil
}

// assign is #set on a reference with steps.
func (n *reference) assign(r *run, v any) {
	last := &n.steps[len(n.steps)-1]
	target := n.walk(r, n.steps[:len(n.steps)-1])
	if target == nil {
		return
	}
	r.step(n.at, 1+len(n.steps))
	if last.kind != stepIndex {
		if o, ok := target.(*object); ok {
			r.put(o, last.name, v)
		}
		return
	}
	key := last.args[0].value(r)
	if r.halted() {
		return
	}
	switch target := target.(type) {
	case *object:
		r.put(target, r.text(key), v)
	case *list:
		if i, ok := target.index(r, last.at, key, true); ok {
			target.items[i] = v
		}
	}
}

func (s *step) apply(r *run, v any) any {
	var few [4]any
	args := few[:0]
	for _, arg := range s.args {
		args = append(args, plain(arg.value(r)))
	}
	if r.halted() {
		return nil
	}
	switch s.kind {
	case stepProperty:
		return property(r, v, s.name)
	case stepIndex:
		return s.item(r, v, args[0])
	default:
		return s.call(r, v, args)
	}
}

// property returns the value of $v.name.
func property(r *run, v any, name string) any {
	switch v := v.(type) {
	case *object:
		return v.get(name)
	case *pair:
		switch name {
		case "key":
			return v.key
		case "value":
			return v.value
		}
	case *loop:
		return v.property(name)
	case variable:
		return v.property(r, name)
	case stageVariables:
		return r.env.StageVariables[name]
	case input:
		if name == "body" {
			return r.body()
		}
	case string:
		if name == "empty" {
			return v == ""
		}
	case *list:
		if name == "empty" {
			return len(v.items) == 0
		}
	}
	return nil
}

// item returns the value of $v[key].
func (s *step) item(r *run, v, key any) any {
	switch v := v.(type) {
	case *list:
		if i, ok := v.index(r, s.at, key, true); ok {
			return v.items[i]
		}
	case *object:
		if i, ok := key.(int64); ok && i < 0 {
			key = i + int64(len(v.entries))
		}
		return v.get(r.text(key))
	case variable, stageVariables:
		return property(r, v, r.text(key))
	default:
		if i, ok := key.(int64); ok && i < 0 {
			r.fail(s.at, "an index below zero needs a list or a map")
		}
	}
	return nil
}
