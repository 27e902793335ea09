package vtl

// run is one run of a template.
//
// After a failure, #stop or #break it is halted: every function returns as soon as it
// notices, and values do not matter any more.
type run struct {
	template *Template
	env      *Env
	out      []byte
	base     int // the length of the caller's slice
	scope    *scope

	macroDepth int
	steps      int
	built      int
	at         int // offset of the last step that has an offset

	halt     halt
	haltLoop *loop // haltBreak: the loop to leave, nil for the innermost loop or macro
	err      error

	bodyKnown, bodyIsJSON bool
	params                *object
	requestParams         Params
}

type halt uint8

const (
	haltNone halt = iota
	haltBreak
	haltStop
	haltError
)

func (r *run) halted() bool { return r.halt != haltNone }

// caughtBy ends a #break for l. If l is nil, it ends a #break without an argument. It
// reports whether there was one.
func (r *run) caughtBy(l *loop) bool {
	if r.halt != haltBreak || r.haltLoop != nil && r.haltLoop != l {
		return false
	}
	r.halt, r.haltLoop = haltNone, nil
	return true
}

// fail ends the run. The first failure counts. A failure without an offset gets that of the
// last step.
func (r *run) fail(at int, reason string) {
	if at == 0 {
		at = r.at
	}
	if r.err == nil {
		line, column := position(r.template.text, at)
		r.err = &RunError{Line: line, Column: column, Reason: reason}
	}
	r.halt = haltError
}

// step counts n steps.
func (r *run) step(at, n int) {
	r.steps += n
	if at > 0 {
		r.at = at
	}
	if r.steps > maxSteps || r.steps < 0 {
		r.fail(at, "the template takes too many steps")
	}
}

// scan counts the steps of looking through n bytes.
func (r *run) scan(n int) { r.step(0, 1+n/scanBytes) }

// grow counts n bytes of new values, and reports whether they are within the bounds.
func (r *run) grow(n int) bool {
	r.built += n
	r.steps += n / scanBytes
	if n < 0 || r.built > maxBuiltBytes {
		r.fail(0, "the template makes too many or too long values")
		return false
	}
	return true
}

func (r *run) write(s string) {
	if len(r.out)-r.base+len(s) > maxOutputBytes {
		r.fail(0, "the output is longer than 10 MB")
		return
	}
	r.out = append(r.out, s...)
}

func (r *run) block(nodes []node) {
	for _, n := range nodes {
		if r.halted() {
			return
		}
		r.step(0, 1)
		n.render(r)
	}
}

// capture returns the output of f as a string.
func (r *run) capture(f func()) string {
	start := len(r.out)
	f()
	if r.halted() || !r.grow(len(r.out)-start) {
		r.out = r.out[:start]
		return ""
	}
	s := string(r.out[start:])
	r.out = r.out[:start]
	return s
}

// scope has the variables. The scope of a template has vars. The scope of a macro call has
// the macro's arguments, which are evaluated when they are used, in the scope of the call.
type scope struct {
	vars []any

	outer    *scope
	local    map[int]any
	args     map[int]expr
	literals map[int]string // the text that a null argument prints
}

// newScope makes the scope of a call. It ignores arguments that are too many.
func newScope(outer *scope, slots []int, args []expr) *scope {
	s := &scope{outer: outer, local: map[int]any{}, args: map[int]expr{}, literals: map[int]string{}}
	for i := range min(len(slots), len(args)) {
		s.args[slots[i]] = args[i]
		s.literals[slots[i]] = args[i].text()
	}
	return s
}

func (s *scope) get(r *run, slot int) any {
	for ; s.outer != nil; s = s.outer {
		if v := s.local[slot]; v != nil {
			return v
		}
		if arg, ok := s.args[slot]; ok {
			saved := r.scope
			r.scope = s.outer
			v := arg.value(r)
			r.scope = saved
			return v
		}
	}
	return s.vars[slot]
}

// put sets the variable in all scopes, because a macro has no variables of its own.
func (s *scope) put(slot int, v any) {
	for ; s.outer != nil; s = s.outer {
		s.local[slot] = v
	}
	s.vars[slot] = v
}

// restore sets the variable to its earlier value. Null removes the variable, and also the
// argument of a macro.
func (s *scope) restore(slot int, v any) {
	if v != nil {
		s.put(slot, v)
		return
	}
	for ; s.outer != nil; s = s.outer {
		delete(s.local, slot)
		delete(s.args, slot)
	}
	s.vars[slot] = nil
}

// literal returns the source of the argument that a macro's variable stands for.
func (s *scope) literal(slot int) (string, bool) {
	for ; s.outer != nil; s = s.outer {
		if text, ok := s.literals[slot]; ok {
			return text, true
		}
	}
	return "", false
}

// loop is the value of $foreach.
type loop struct {
	index   int
	hasNext bool
	parent  any // the $foreach around it
}

// property returns a property of $foreach, or the result of the method of the same name.
func (l *loop) property(name string) any {
	switch name {
	case "index":
		return int64(l.index)
	case "count":
		return int64(l.index + 1)
	case "hasNext":
		return l.hasNext
	case "first":
		return l.index == 0
	case "last":
		return !l.hasNext
	case "parent":
		if parent, ok := l.parent.(*loop); ok {
			return parent
		}
		return nil
	case "topmost":
		if parent, ok := l.parent.(*loop); ok {
			return parent.property(name)
		}
		return l
	default:
		return nil
	}
}

func (l *loop) method(name string) any {
	switch name {
	case "hasNext", "getHasNext":
		return l.hasNext
	case "isFirst", "getFirst":
		return l.index == 0
	case "isLast", "getLast":
		return !l.hasNext
	case "getIndex":
		return int64(l.index)
	case "getCount":
		return int64(l.index + 1)
	case "getParent":
		return l.property("parent")
	case "getTopmost":
		return l.property("topmost")
	default:
		return nil
	}
}
