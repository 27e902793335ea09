package vtl

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.com/gateway/internal/nearest"
)

// Known has the names that a template can refer to, besides those that it sets itself.
type Known struct {
	// Context has the names of the variables without their "$context.". A name that ends
	// in "." stands for all that begin with it.
	Context []string
	// StageVariables are the variables of $stageVariables.
	StageVariables map[string]string
}

// Doubt is a piece of a template that is probably a mistake. Velocity accepts it.
type Doubt struct {
	Line, Column int // from 1, in bytes; inside a string they are the position of its quote
	Reason       string
}

// String returns the position and the reason.
func (d Doubt) String() string {
	return fmt.Sprintf("line %d, column %d: %s", d.Line, d.Column, d.Reason)
}

// Doubts returns the references to variables, properties and methods that do not exist, in
// the order of the text. Such a reference prints its own text or nothing, which is seldom
// what was meant. Doubts returns the same doubt only once, and at most 100 doubts.
func (t *Template) Doubts(k *Known) []Doubt {
	var doubts []Doubt
	told := map[string]bool{}
	add := func(at int, reason string) {
		if reason == "" || told[reason] {
			return
		}
		told[reason] = true
		line, column := position(t.text, at)
		doubts = append(doubts, Doubt{line, column, reason})
	}
	for _, n := range t.refs {
		if !n.escaped && len(doubts) < maxDoubts {
			add(n.at, t.doubt(n, k))
		}
	}
	for _, n := range t.calls {
		if len(doubts) < maxDoubts {
			add(n.at, t.doubtCall(n))
		}
	}
	slices.SortStableFunc(doubts, func(a, b Doubt) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return doubts
}

// maxDoubts bounds the work for a long text that is not a template.
const maxDoubts = 100

// doubt returns what is wrong with a reference, or "".
func (t *Template) doubt(n *reference, k *Known) string {
	switch {
	case t.assigned[n.slot]:
		return ""
	case n.name == "input":
		return n.doubtMethod(inputMethods(), "body")
	case n.name == "util":
		return n.doubtMethod(utilMethods(), "")
	case n.name == "context":
		return n.doubtContext(k)
	case n.name == "stageVariables":
		return n.doubtStageVariable(k)
	}
	reason := "nothing is called $" + n.name + ", " + n.outcome()
	names := []string{"$input", "$context", "$stageVariables", "$util"}
	for _, name := range slices.Sorted(maps.Keys(t.slots)) {
		if t.assigned[t.slots[name]] {
			names = append(names, "$"+name)
		}
	}
	if meant := nearest.To("$"+n.name, names); meant != "" {
		return reason + nearest.Question(meant)
	}
	return reason + ": set it with #set, or write #[[$" + n.name + "]]# if you want this text"
}

// outcome says what becomes of a reference that is null.
func (n *reference) outcome() string {
	switch {
	case !n.printed:
		return "so that it has no value"
	case n.quiet:
		return "so that nothing is printed"
	}
	return "so that its own text is printed"
}

// method says how many arguments a method takes.
type method struct{ least, most int }

func inputMethods() map[string]method {
	return map[string]method{"json": {1, 1}, "path": {1, 1}, "params": {0, 1}, "getBody": {0, 0}}
}

func utilMethods() map[string]method {
	one := method{1, 1}
	return map[string]method{
		"escapeJavaScript": one, "parseJson": one, "urlEncode": one, "urlDecode": one, "base64Encode": one, "base64Decode": one,
	}
}

// doubtMethod checks the first step from $input or $util, which have methods and at most
// one property.
func (n *reference) doubtMethod(methods map[string]method, propertyName string) string {
	if len(n.steps) == 0 {
		if !n.printed {
			return ""
		}
		return "$" + n.name + " alone has no value, " + n.outcome()
	}
	s := &n.steps[0]
	if s.kind == stepIndex || s.kind == stepProperty && s.name == propertyName {
		return ""
	}
	m, known := methods[s.name]
	switch {
	case !known:
		names := slices.Sorted(maps.Keys(methods))
		if propertyName != "" {
			names = append(names, propertyName)
		}
		return fmt.Sprintf("$%s has no %q, %s%s", n.name, s.name, n.outcome(), nearest.Question(nearest.To(s.name, names)))
	case s.kind == stepProperty:
		return fmt.Sprintf("$%s.%s is a method without its arguments, %s", n.name, s.name, n.outcome())
	case len(s.args) < m.least || len(s.args) > m.most:
		return fmt.Sprintf("$%s.%s has %d arguments, but takes %d, %s", n.name, s.name, len(s.args), m.most, n.outcome())
	case s.pathErr != nil:
		return fmt.Sprintf("$%s.%s: %s, so that each run fails", n.name, s.name, pathReason(s.pathErr))
	}
	return ""
}

// key returns the name that the step looks up in $context or $stageVariables, if it is
// known before the template runs.
func (s *step) key() (string, bool) {
	if s.kind == stepProperty {
		return s.name, true
	}
	if len(s.args) != 1 || s.kind == stepMethod && s.name != "get" {
		return "", false
	}
	if l, ok := s.args[0].(literal); ok {
		name, ok := l.constant.(string)
		return name, ok
	}
	return "", false
}

// doubtContext checks the name of a $context variable. The steps after the name belong to
// the value of the variable, which is text.
func (n *reference) doubtContext(k *Known) string {
	name, all := "", true
	for i := range n.steps {
		key, ok := n.steps[i].key()
		if !ok {
			all = false
			break
		}
		name = strings.TrimPrefix(name+"."+key, ".")
		if k.isContext(name) {
			return ""
		}
	}
	switch {
	case name == "" && (!all || !n.printed):
		return ""
	case name == "":
		return "$context alone has no value, " + n.outcome()
	case k.isGroup(name) && (!all || !n.printed):
		return ""
	case k.isGroup(name):
		return fmt.Sprintf("$context.%s alone has no value, so that nothing is printed", name)
	}
	return fmt.Sprintf("there is no $context.%s, so that it is empty%s", name, nearest.Question(nearest.To(name, k.Context)))
}

func (k *Known) isContext(name string) bool {
	return slices.ContainsFunc(k.Context, func(known string) bool {
		return name == known || strings.HasSuffix(known, ".") && strings.HasPrefix(name, known)
	})
}

// isGroup reports whether variables have the name and a "." before their own.
func (k *Known) isGroup(name string) bool {
	return slices.ContainsFunc(k.Context, func(known string) bool { return strings.HasPrefix(known, name+".") })
}

func (n *reference) doubtStageVariable(k *Known) string {
	if len(n.steps) == 0 {
		return ""
	}
	name, ok := n.steps[0].key()
	if !ok {
		return ""
	}
	if _, ok = k.StageVariables[name]; ok {
		return ""
	}
	known := slices.Sorted(maps.Keys(k.StageVariables))
	return fmt.Sprintf("the stage variable %q is not defined, so that it is empty%s", name, nearest.Question(nearest.To(name, known)))
}

// doubtCall returns what is wrong with a call of a macro that does not exist, or "". If
// its name is not similar to any other, it is taken for text.
func (t *Template) doubtCall(n *macroCall) string {
	if t.macros[n.name] != nil {
		return ""
	}
	names := []string{"set", "if", "else", "elseif", "end", "foreach", "macro", "break", "stop", "literal"}
	meant := nearest.To(n.name, append(names, slices.Sorted(maps.Keys(t.macros))...))
	if meant == "" {
		return ""
	}
	return fmt.Sprintf("there is no #%s, so that its own text is printed%s", n.name, nearest.Question("#"+meant))
}
