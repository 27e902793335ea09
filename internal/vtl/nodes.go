package vtl

// node is a part of a template that prints something or has an effect.
type node interface {
	render(r *run)
}

// text prints itself.
type text string

func (n text) render(r *run) { r.write(string(n)) }

// setDirective is #set. It does nothing if the right side is null. By a quirk of Velocity
// 1.7, it also does nothing if the left side is $!x or ${x}.
type setDirective struct {
	target *reference
	value  expr
	at     int
}

func (n *setDirective) render(r *run) {
	v := n.value.value(r)
	if v == nil || r.halted() {
		return
	}
	switch {
	case len(n.target.steps) > 0:
		n.target.assign(r, v)
	case !n.target.quiet && !n.target.formal:
		r.scope.put(n.target.slot, v)
	}
}

// ifDirective is #if with its #elseif and #else. The condition of #else is nil.
type ifDirective struct {
	branches []branch
}

type branch struct {
	condition expr
	nodes     []node
}

func (n *ifDirective) render(r *run) {
	for i := range n.branches {
		b := &n.branches[i]
		if b.condition == nil || b.condition.truth(r) {
			r.block(b.nodes)
			return
		}
		if r.halted() {
			return
		}
	}
}

// foreachDirective is #foreach.
type foreachDirective struct {
	item, counter, hasNext, status int // slots
	list                           expr
	nodes                          []node
	at                             int
}

func (n *foreachDirective) render(r *run) {
	items, ok := elements(r, n.list.value(r))
	if !ok || r.halted() {
		return
	}
	s := r.scope
	saved := [...]any{s.get(r, n.item), s.get(r, n.counter), s.get(r, n.hasNext)}
	outer := s.get(r, n.status)
	l := &loop{parent: outer}
	s.put(n.status, l)
	for i := 0; i < len(items) && !r.halted(); i++ {
		if i == maxRounds {
			r.fail(n.at, "#foreach has more than 1000 rounds")
			return
		}
		r.step(n.at, 1)
		l.index, l.hasNext = i, i+1 < len(items)
		s.put(n.counter, int64(i+1))
		s.put(n.hasNext, l.hasNext)
		s.put(n.item, items[i])
		r.block(n.nodes)
		if r.caughtBy(l) {
			break
		}
	}
	for i, slot := range [...]int{n.item, n.counter, n.hasNext} {
		s.restore(slot, saved[i])
	}
	s.restore(n.status, outer)
}

// elements returns the elements for #foreach. A value without elements is skipped.
func elements(r *run, v any) ([]any, bool) {
	switch v := v.(type) {
	case *list:
		// A copy of the header: the body may add to the list.
		return v.items, true
	case *object:
		r.grow(len(v.entries) * itemBytes)
		return v.values(), true
	case stageVariables:
		return elements(r, stringsObject(r.env.StageVariables))
	default:
		return nil, false
	}
}

// breakDirective is #break. It leaves the innermost loop or macro. With an argument such as
// $foreach.parent it leaves that loop.
type breakDirective struct {
	loop expr
	at   int
}

func (n *breakDirective) render(r *run) {
	if n.loop == nil {
		r.halt, r.haltLoop = haltBreak, nil
		return
	}
	l, ok := n.loop.value(r).(*loop)
	if r.halted() {
		return
	}
	if !ok {
		r.fail(n.at, "the argument of #break is not a loop")
		return
	}
	r.halt, r.haltLoop = haltBreak, l
}

// stopDirective is #stop: it ends the run.
type stopDirective struct{}

func (stopDirective) render(r *run) { r.halt = haltStop }

// macro is a macro that #macro defines.
type macro struct {
	args  []int // slots
	nodes []node
}

// macroCall is "#name(…)", or text that looks like it.
type macroCall struct {
	name        string
	args        []expr
	nodes       *body // of #@name(…), otherwise nil
	body        int   // slot of $bodyContent
	badArgument string
	source      string
	at          int
}

// body is the block given to a macro. It prints the nodes in it.
type body struct{ nodes []node }

func (n *macroCall) render(r *run) {
	m := r.template.macros[n.name]
	switch {
	case m == nil:
		r.write(n.source)
		return
	case n.badArgument != "":
		r.fail(n.at, "the argument "+n.badArgument+" of the macro #"+n.name+" is not a value")
		return
	case r.macroDepth == maxMacroDepth:
		r.fail(n.at, "macros call each other more than 20 deep")
		return
	}
	r.macroDepth++
	outer := r.scope
	r.scope = newScope(outer, m.args, n.args)
	if n.nodes != nil {
		r.scope.local[n.body] = n.nodes
	}
	r.block(m.nodes)
	r.scope = outer
	r.macroDepth--
	r.caughtBy(nil)
}
