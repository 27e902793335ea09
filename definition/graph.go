package definition

import (
	"slices"
	"strings"
)

// checkReferences finds names that do not exist, and resources that depend on each other in
// a circle, which CloudFormation refuses, too.
func (t *template) checkReferences() {
	edges := map[string][]string{}
	for _, logicalID := range t.order {
		r := t.resources[logicalID]
		if !r.active || r.implied {
			continue
		}
		runs := r.typ == typeFunction || t.isGateway(r)
		w := &walk{t: t, visit: func(at position, name string) {
			target, p := t.find(at, name)
			switch {
			case p == nil:
				edges[logicalID] = append(edges[logicalID], target.logicalID)
			case runs:
				t.fail(logicalID, p)
			default:
				t.notef(Warning, p.at, logicalID, "%s", p.text)
			}
		}}
		w.node(r.props)
		edges[logicalID] = append(edges[logicalID], t.dependsOn(r)...)
	}
	if circle := findCircle(t.order, edges); circle != nil {
		first := t.resources[circle[0]]
		t.failf(first.at, first.logicalID, "these resources depend on each other in a circle: %s → %s. Break it by writing one of the names as text",
			strings.Join(circle, " → "), circle[0])
	}
	w := &walk{t: t, visit: func(at position, name string) {
		if _, p := t.find(at, name); p != nil {
			t.notef(Warning, p.at, "", "an output cannot be given: %s", p.text)
		}
	}}
	w.node(t.root.get("Outputs"))
}

func (t *template) dependsOn(r *resource) []string {
	var names []string
	n := r.body.get("DependsOn")
	items := []*node{n}
	if n != nil && n.kind == listKind {
		items = n.items
	}
	for _, item := range items {
		name, ok := item.scalar()
		if !ok {
			continue
		}
		target := t.resources[t.alias(name)]
		if target == nil {
			t.failf(item.at, r.logicalID, "DependsOn names %q, which is no resource of this template%s", name, t.didYouMean(name, func() []string { return t.order }))
			continue
		}
		names = append(names, target.logicalID)
	}
	return names
}

// walk visits all names that a value refers to. Of an Fn::If it visits the branch that counts.
type walk struct {
	t     *template
	visit func(at position, name string)
}

func (w *walk) node(n *node) {
	if n == nil {
		return
	}
	name, argument := n.intrinsic()
	switch name {
	case "Ref":
		if text, ok := argument.scalar(); ok {
			w.name(argument.at, text)
			return
		}
	case "Fn::GetAtt":
		text := argument.str()
		if argument.kind == listKind && len(argument.items) > 0 {
			text = argument.items[0].str() + "." + joinAttributes(argument.items[1:])
		}
		if text != "" {
			w.attribute(argument.at, text)
		}
	case "Fn::Sub":
		w.sub(n.keyAt[0], argument)
		return
	case "Fn::If":
		if branch, p := w.t.branch(n.at, argument); p == nil {
			w.node(branch)
		}
		return
	}
	for _, item := range n.items {
		w.node(item)
	}
	if name == "Fn::ImportValue" && len(w.t.problems) == 0 {
		// Another stack of a CDK app belongs to the definition if something is imported from it.
		_, _ = w.t.eval(n)
	}
}

func joinAttributes(items []*node) string {
	var texts []string
	for _, item := range items {
		texts = append(texts, item.str())
	}
	return strings.Join(texts, ".")
}

func (w *walk) name(at position, name string) {
	if !slices.Contains(pseudoNames(), name) && w.t.parameters[name] == nil {
		w.visit(at, name)
	}
}

func (w *walk) attribute(at position, name string) {
	if logicalID := w.t.alias(name); logicalID != name {
		w.visit(at, logicalID)
		return
	}
	logicalID, _, _ := strings.Cut(name, ".")
	w.visit(at, logicalID)
}

func (w *walk) sub(at position, argument *node) {
	text, variables, p := subArguments(at, argument)
	if p != nil {
		return // the evaluation tells it
	}
	w.node(variables)
	for _, part := range splitSub(text) {
		switch {
		case part.variable == "" || variables.get(part.variable) != nil:
		case strings.Contains(part.variable, "."):
			w.attribute(at, part.variable)
		default:
			w.name(at, part.variable)
		}
	}
}

// findCircle returns names that lead from one to the next and back to the first, or nil.
func findCircle(names []string, edges map[string][]string) []string {
	const open, done = 1, 2
	state := map[string]int{}
	var path []string
	var visit func(name string) []string
	visit = func(name string) []string {
		switch state[name] {
		case done:
			return nil
		case open:
			return slices.Clone(path[slices.Index(path, name):])
		}
		state[name] = open
		path = append(path, name)
		for _, next := range edges[name] {
			if circle := visit(next); circle != nil {
				return circle
			}
		}
		path = path[:len(path)-1]
		state[name] = done
		return nil
	}
	for _, name := range names {
		if circle := visit(name); circle != nil {
			return circle
		}
	}
	return nil
}
