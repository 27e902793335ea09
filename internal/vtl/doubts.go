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
// what was meant. Only what is hardly ever meant is a doubt, because there are many plain
// texts that look like references. Doubts returns the same doubt only once, and at most 100
// doubts.
func (t *Template) Doubts(k *Known) []Doubt {
	f := t.finder(k)
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
			add(n.at, f.doubtOnce(n))
		}
	}
	for _, n := range t.calls {
		if len(doubts) < maxDoubts {
			add(n.at, f.doubtCall(n))
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

// The bounds of the work for a long text: how many doubts are told, and how often one name
// is compared with another. After that nothing more is doubted for being near to a name.
const (
	maxDoubts      = 100
	maxComparisons = 5_000
)

// finder finds the doubts about one template.
type finder struct {
	t           *Template
	known       *Known
	found       map[string]string // the doubts about references by what is compared of them
	optional    map[string]bool   // stage variables that the template can do without
	set         []string          // the names that the template sets
	calls       []string          // the directives and the macros
	stage       []string          // the stage variables
	comparisons int               // how many may still be made
}

func (t *Template) finder(k *Known) *finder {
	f := &finder{
		t: t, known: k, found: map[string]string{}, optional: t.optional(), comparisons: maxComparisons,
		calls: []string{"set", "if", "else", "elseif", "end", "foreach", "macro", "break", "stop", "literal"},
		stage: slices.Sorted(maps.Keys(k.StageVariables)),
	}
	f.calls = append(f.calls, slices.Sorted(maps.Keys(t.macros))...)
	for _, name := range slices.Sorted(maps.Keys(t.slots)) {
		if t.assigned[t.slots[name]] {
			f.set = append(f.set, name)
		}
	}
	return f
}

// optional returns the stage variables that the template tests or prints quietly: those may
// be missing.
func (t *Template) optional() map[string]bool {
	optional := map[string]bool{}
	for _, n := range t.refs {
		if n.name == "stageVariables" && len(n.steps) > 0 && (n.quiet || !n.printed) {
			if name, ok := n.steps[0].key(); ok {
				optional[name] = true
			}
		}
	}
	return optional
}

// nearest returns the known name that is nearest to name, or "".
func (f *finder) nearest(name string, known []string) string {
	if f.comparisons -= len(known); f.comparisons < 0 {
		return ""
	}
	return nearest.To(name, known)
}

// doubtOnce is doubt, which it asks once for all references with the same text.
func (f *finder) doubtOnce(n *reference) string {
	key := fmt.Sprint(n.printed, n.target, f.quoted(n), n.source)
	reason, ok := f.found[key]
	if !ok {
		reason = f.doubt(n)
		f.found[key] = reason
	}
	return reason
}

// doubt returns what is wrong with a reference, or "".
func (f *finder) doubt(n *reference) string {
	switch {
	case f.t.assigned[n.slot]:
		return ""
	case n.target && len(n.steps) > 0 && slices.Contains(roots(), n.name):
		return fmt.Sprintf("#set cannot change $%s, so that it does nothing", n.name)
	case n.name == "input":
		return f.doubtMethod(n, inputMethods(), "body")
	case n.name == "util":
		return f.doubtMethod(n, utilMethods(), "")
	case n.name == "context":
		return f.doubtContext(n)
	case n.name == "stageVariables":
		return f.doubtStageVariable(n)
	}
	return f.doubtName(n)
}

func roots() []string { return []string{"input", "context", "stageVariables", "util"} }

// doubtName returns the doubt about a name that is not known, or "". JSON and prices have
// such names as plain text ("$ref", "$items.price", US$amount), and $null is the usual way
// to write null. So a name is doubted only if it cannot be text, because it has a method or
// a #set, or if it is near to one that is known.
func (f *finder) doubtName(n *reference) string {
	reason := "nothing is called $" + n.name + ", " + n.outcome()
	meant := f.meant(n)
	switch {
	case meant != "":
		return reason + nearest.Question("$"+meant)
	case n.target:
		return reason + ": set it first"
	case slices.ContainsFunc(n.steps, func(s step) bool { return s.kind == stepMethod }):
		return reason + ": set it with #set, or write #[[$" + n.name + "]]# if you want this text"
	}
	return ""
}

// leastBytes is the length of the shortest name that is taken for a misspelt one: too many
// words of three letters are near to each other.
const leastBytes = 4

// meant returns the name that was probably meant by an unknown one, or "".
func (f *finder) meant(n *reference) string {
	if len(n.name) < leastBytes || n.name == "null" {
		return ""
	}
	if len(n.steps) > 0 {
		if root := f.nearest(n.name, roots()); root != "" && f.fits(root, &n.steps[0]) {
			return root
		}
	}
	if f.quoted(n) {
		return ""
	}
	return f.nearest(n.name, f.set)
}

// quoted reports whether the reference is the whole of a text in double quotes, as a key or
// a value of JSON is.
func (f *finder) quoted(n *reference) bool {
	text, end := f.t.text, n.at+len(n.source)
	return n.printed && n.at > 0 && text[n.at-1] == '"' && end < len(text) && text[end] == '"'
}

// fits reports whether the root has what the step asks for.
func (f *finder) fits(root string, s *step) bool {
	key, ok := s.key()
	switch root {
	case "input":
		_, ok = inputMethods()[s.name]
		return ok || s.name == "body"
	case "util":
		_, ok = utilMethods()[s.name]
		return ok
	case "context":
		return ok && (f.known.isContext(key) || f.known.isGroup(key))
	}
	_, defined := f.known.StageVariables[key]
	return ok && defined
}

// outcome says what becomes of a reference that is null.
func (n *reference) outcome() string {
	switch {
	case n.target:
		return "so that #set does nothing"
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
func (f *finder) doubtMethod(n *reference, methods map[string]method, propertyName string) string {
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
	case s.name == propertyName && propertyName != "":
		return fmt.Sprintf("$%s.%s is no method, %s: leave out what is in brackets, and the brackets", n.name, s.name, n.outcome())
	case !known:
		names := slices.Sorted(maps.Keys(methods))
		if propertyName != "" {
			names = append(names, propertyName)
		}
		return fmt.Sprintf("$%s has no %q, %s%s", n.name, s.name, n.outcome(), nearest.Question(f.nearest(s.name, names)))
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
func (f *finder) doubtContext(n *reference) string {
	k := f.known
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
	return fmt.Sprintf("there is no $context.%s, so that it is empty%s", name, nearest.Question(f.nearest(name, k.Context)))
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

// doubtStageVariable checks the name of a stage variable that is printed. One that is also
// tested, or printed quietly, may be missing.
func (f *finder) doubtStageVariable(n *reference) string {
	if len(n.steps) == 0 {
		return ""
	}
	name, ok := n.steps[0].key()
	if _, defined := f.known.StageVariables[name]; !ok || defined || f.optional[name] {
		return ""
	}
	return fmt.Sprintf("the stage variable %q is not defined, so that it is empty%s", name, nearest.Question(f.nearest(name, f.stage)))
}

// doubtCall returns what is wrong with a call of a macro that does not exist, or "". Texts
// have words like "#step (1)" too: a name is doubted only if it is long and near to
// another, or differs from it in its case alone, and no blank is before its bracket.
func (f *finder) doubtCall(n *macroCall) string {
	if f.t.macros[n.name] != nil || !strings.HasPrefix(strings.TrimLeft(n.source, "#@{}"), n.name+"(") {
		return ""
	}
	key := "#" + n.name
	meant, ok := f.found[key]
	if !ok {
		meant = f.nearest(n.name, f.calls)
		f.found[key] = meant
	}
	if meant == "" || len(n.name) < leastCallBytes && !strings.EqualFold(n.name, meant) {
		return ""
	}
	return fmt.Sprintf("there is no #%s, so that its own text is printed%s", n.name, nearest.Question("#"+meant))
}

// leastCallBytes is the length of the shortest word that is taken for a misspelt call.
const leastCallBytes = 6
