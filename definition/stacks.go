package definition

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

const (
	typeStack      = "AWS::CloudFormation::Stack"
	samApplication = "AWS::Serverless::Application"

	maxNested = 10  // stacks in stacks
	maxStacks = 100 // of one definition
)

// stacks are the templates of a definition: that of the file, those of its nested stacks, and
// those of other stacks of a CDK app.
type stacks struct {
	*report
	given    Options     // those of Load, with the names that the file tells
	all      []*template // each behind the one that names it
	loaded   int
	count    int      // of resources
	unpacked []string // folders of WorkDir
	produced int
	depth    int

	exports   map[string]export
	scanned   int // how many templates have their exports there
	importing map[string]bool
	siblings  map[string]*node // other templates of a CDK app, by path; nil until they are read
	roots     map[string]*node // of nested stacks, by path
}

// export is an output with a name by which other stacks import it.
type export struct {
	t      *template
	output string
	body   *node
}

func newStacks(r *report) *stacks {
	return &stacks{report: r, exports: map[string]export{}, importing: map[string]bool{}, siblings: map[string]*node{}, roots: map[string]*node{}}
}

// nestedStack is a nested stack whose template has been found, or is being read.
type nestedStack struct {
	template *template // nil if the file is not on this machine
	open     bool
}

// ofType calls f for the active resources of a type, in all templates.
func (s *stacks) ofType(typ string, f func(t *template, r *resource)) {
	for _, t := range s.all {
		for _, r := range t.ofType(typ) {
			f(t, r)
		}
	}
}

// complete expands a template and checks its references. After that it belongs to the
// definition.
func (t *template) complete() {
	t.all = append(t.all, t)
	t.expandSAM()
	t.byType = nil
	if len(t.problems) == 0 {
		t.checkReferences()
	}
}

// openAll reads the templates of all nested stacks.
func (s *stacks) openAll() {
	for i := 0; i < len(s.all); i++ { // it grows
		t := s.all[i]
		for _, r := range append(t.ofType(typeStack), t.ofType(samApplication)...) {
			if _, p := t.nested(r); p != nil {
				t.fail(r.logicalID, p)
			}
		}
	}
}

// nested returns the template of a nested stack, or nil if its file is not on this machine.
func (t *template) nested(r *resource) (*template, *problem) {
	if n := t.children[r.logicalID]; n != nil {
		if n.open {
			return nil, &problem{at: r.at, logicalID: r.logicalID, text: "the parameters of the nested stack depend on its own outputs: break the circle"}
		}
		return n.template, nil
	}
	n := &nestedStack{open: true}
	t.children[r.logicalID] = n
	defer func() { n.open = false }()
	path, p := t.nestedPath(r)
	if p != nil || path == "" {
		return nil, p
	}
	if t.level >= maxNested {
		return nil, problemAt(r.at, "stacks are nested more than %d deep", maxNested)
	}
	if t.loaded++; t.loaded > maxStacks {
		return nil, problemAt(r.at, "there are more than %d nested stacks", maxStacks)
	}
	root := t.roots[path]
	if root == nil {
		if root, p = readTemplate(&t.opts, r.at, path); p != nil {
			return nil, p
		}
		t.roots[path] = root
	}
	opts := t.opts
	opts.StackName = t.opts.StackName + "-" + r.logicalID
	if opts.Parameters, p = t.nestedParameters(r); p != nil {
		return nil, p
	}
	n.template = newTemplate(t.stacks, opts, path, root, &caller{t, r})
	n.template.complete()
	return n.template, nil
}

// readTemplate reads a file that another file names.
func readTemplate(opts *Options, at position, path string) (*node, *problem) {
	opts.onFile(path)
	content, err := readFile(path)
	if err != nil {
		return nil, problemAt(at, "%v", err)
	}
	root, p := readNode(path, content)
	switch {
	case p != nil:
		return nil, p
	case root.get("Resources") == nil && !isEmptyStack(path, root):
		return nil, problemAt(root.at, "this is no template: it has no Resources")
	}
	return root, nil
}

// nestedPath returns the file of a nested stack: the asset of CDK, or what TemplateURL or
// Location says, if that is a path, or if a file with this name is beside the template.
func (t *template) nestedPath(r *resource) (string, *problem) {
	if asset, ok := r.body.get("Metadata", assetKey).scalar(); ok {
		return t.asset(asset), nil
	}
	key := "TemplateURL"
	if r.typ == samApplication {
		key = "Location"
	}
	value, p := t.property(r, key)
	if p != nil {
		return "", p
	}
	if value == nil {
		return "", &problem{at: r.at, logicalID: r.logicalID, text: key + " is missing: give the path of the template"}
	}
	text, ok := value.scalar()
	if !ok {
		return "", nil // an application of the Serverless Application Repository
	}
	if !strings.Contains(text, "://") {
		path := t.path(text)
		if !exists(path) {
			t.opts.onFile(path)
			return "", problemAt(r.props.lineOf(key), "the template of the nested stack is not at %s: correct %s", path, key)
		}
		return path, nil
	}
	base := text[strings.LastIndexByte(text, '/')+1:]
	for _, name := range []string{base, "cloudformation-template-" + base} {
		if path := t.path(name); base != "" {
			if exists(path) {
				return path, nil
			}
			t.opts.onFile(path)
		}
	}
	return "", nil
}

func (t *template) nestedParameters(r *resource) (map[string]string, *problem) {
	values, p := t.property(r, "Parameters")
	if p != nil || values == nil {
		return nil, p
	}
	if values.kind != mapKind {
		return nil, problemAt(values.at, "Parameters has to be a map, but is %s", values.kind)
	}
	given := map[string]string{}
	for i, name := range values.keys {
		items := []*node{values.items[i]}
		if items[0].kind == listKind {
			items = items[0].items
		}
		var texts []string
		for _, item := range items {
			text, ok := item.scalar()
			if !ok {
				return nil, problemAt(values.keyAt[i], "the parameter %s has to be a text or a list of texts, but has %s", name, item.kind)
			}
			texts = append(texts, text)
		}
		given[name] = strings.Join(texts, ",")
	}
	return given, nil
}

// output returns an output of a nested stack.
func (t *template) output(at position, r *resource, name string) (*node, *problem) {
	child, p := t.nested(r)
	if p != nil {
		return nil, p
	}
	if child == nil {
		text, p := t.otherAttribute(r, "Outputs."+name)
		return textNode(at, text), p
	}
	body := child.root.get("Outputs", name)
	if body == nil {
		return nil, problemAt(at, "the template of %s (%s) has no output %q%s", r.logicalID, filepath.Base(child.root.at.file), name, t.didYouMean(name, child.root.get("Outputs").names))
	}
	return child.outputValue(at, name, body)
}

// outputValue evaluates an output once.
func (t *template) outputValue(at position, name string, body *node) (*node, *problem) {
	if value := t.outputs[name]; value != nil {
		return value, nil
	}
	if condition, ok := body.get("Condition").scalar(); ok {
		holds, p := t.condition(body.get("Condition").at, condition)
		if p != nil {
			return nil, p
		}
		if !holds {
			return nil, problemAt(at, "the output %q does not exist, because its condition %q is false", name, condition)
		}
	}
	if body.get("Value") == nil {
		return nil, problemAt(body.at, "the output %q has no Value", name)
	}
	value, p := t.eval(body.get("Value"))
	if p == nil {
		t.outputs[name] = value
	}
	return value, p
}

// imported returns the value that a stack of this definition exports, or nil.
func (s *stacks) imported(at position, name string) (*node, *problem) {
	s.scanExports()
	if _, known := s.exports[name]; !known && s.openSibling(name) {
		s.scanExports()
	}
	e, known := s.exports[name]
	if !known {
		return nil, nil //nolint:nilnil // nothing is wrong: the stack is elsewhere
	}
	if s.importing[name] {
		return nil, problemAt(at, "the export %q depends on itself", name)
	}
	s.importing[name] = true
	defer delete(s.importing, name)
	return e.t.outputValue(at, e.output, e.body)
}

// scanExports finds what the templates export that are new since it was called before.
func (s *stacks) scanExports() {
	for s.scanned < len(s.all) {
		t := s.all[s.scanned]
		s.scanned++
		outputs := t.root.get("Outputs")
		if !outputs.isMap() {
			continue
		}
		for i, output := range outputs.items {
			name := output.get("Export", "Name")
			if name == nil {
				continue
			}
			if value, p := t.eval(name); p == nil && value.str() != "" {
				s.exports[value.str()] = export{t, outputs.keys[i], output}
			}
		}
	}
}

// openSibling reads the other stack of a CDK app that exports a name. It reports whether
// there is one.
func (s *stacks) openSibling(name string) bool {
	for _, path := range sortedKeys(s.siblings) {
		root := s.sibling(path)
		outputs := root.get("Outputs")
		if !outputs.isMap() || !slices.ContainsFunc(outputs.items, func(o *node) bool { return o.get("Export", "Name").str() == name }) {
			continue
		}
		s.open(path)
		return true
	}
	return false
}

// sibling returns the template of another stack of a CDK app, or nil if it cannot be read.
func (s *stacks) sibling(path string) *node {
	if root := s.siblings[path]; root != nil {
		return root
	}
	root, p := readTemplate(&s.given, position{file: path}, path)
	if p != nil {
		s.fail("", p)
		delete(s.siblings, path)
		return nil
	}
	s.siblings[path] = root
	return root
}

// open reads another stack of a CDK app.
func (s *stacks) open(path string) {
	root := s.sibling(path)
	if root == nil {
		return
	}
	delete(s.siblings, path)
	opts := s.given
	opts.StackName, opts.Parameters = s.given.stackOf(path), nil
	newTemplate(s, opts, path, root, nil).complete()
}

// openSiblings reads all other stacks of a CDK app.
func (s *stacks) openSiblings() {
	for _, path := range sortedKeys(s.siblings) {
		if _, there := s.siblings[path]; there { // not opened by an import meanwhile
			s.open(path)
		}
	}
}

// findSiblings finds the other templates in the folder of a stack of CDK.
func (s *stacks) findSiblings(path string) {
	if !strings.HasSuffix(path, cdkEnding) {
		return
	}
	for _, other := range cdkStacks(filepath.Dir(path)) {
		if other != path && len(s.siblings) < maxStacks {
			s.siblings[other] = nil
		}
	}
}

const (
	cdkEnding = ".template.json"
	assetKey  = "aws:asset:path" // of the metadata of a resource
)

// isEmptyStack reports whether a template of CDK has nothing in it, not even Resources.
func isEmptyStack(path string, root *node) bool {
	return strings.HasSuffix(path, cdkEnding) && root.isMap() && root.get("Resources") == nil
}

// cdkStacks returns the templates of a folder that "cdk synth" has written, without those of
// nested stacks.
func cdkStacks(dir string) []string {
	found, _ := filepath.Glob(filepath.Join(dir, "*"+cdkEnding)) // the pattern is right
	return slices.DeleteFunc(found, func(path string) bool { return strings.HasSuffix(path, ".nested"+cdkEnding) })
}

// caller is the resource of another template that a nested stack stands for.
type caller struct {
	t *template
	r *resource
}

// missing tells that a parameter has no value.
func (c *caller) missing(name string, at position) *problem {
	if c == nil {
		return problemAt(at, "the parameter has no default: give it a value")
	}
	return &problem{at: c.r.at, logicalID: c.r.logicalID, text: fmt.Sprintf("the parameter %q of the nested stack has no default: add it to Parameters", name)}
}
