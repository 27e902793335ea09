package definition

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const awsSuffix = "amazonaws.com" // the value of AWS::URLSuffix

// Options say what a file cannot: values of parameters, and the names of the surroundings.
// The zero value reads a file with its defaults.
type Options struct {
	// StackName is the value of AWS::StackName, and part of generated names and IDs. The
	// default is the name of the stack if the file tells it (CDK, Serverless), or "local".
	StackName string

	// Region and AccountID are the values of AWS::Region and AWS::AccountId. The defaults
	// are the region of serverless.yml or "us-east-1", and "123456789012".
	Region, AccountID string

	// Parameters has the values of parameters by name: of a template, and for
	// "${param:NAME}" of serverless.yml.
	Parameters map[string]string

	// Stage and Options are the command line of the Serverless Framework: "--stage" and the
	// others by name, for "${opt:NAME}".
	Stage   string
	Options map[string]string

	// Values has the values that are kept elsewhere, by the text of the variable without
	// its braces: "ssm:/chat/secret", "cf:other-stack.Output".
	Values map[string]string

	// Imports has the values of Fn::ImportValue by the name of the export.
	Imports map[string]string

	// Getenv looks up "${env:NAME}" of serverless.yml: the default is os.LookupEnv.
	Getenv func(name string) (string, bool)

	// WorkDir is the folder for code that has to be written or unpacked: ZipFile and
	// archives. The default is a folder of its own for each file in the user's cache. Code
	// that changes gets another folder: Definition.RemoveUnused removes the earlier ones.
	WorkDir string

	// OnFile is called with the absolute path of each file that Load reads, or would read if
	// it were there: when one of them changes, load the definition again. Folders of code are
	// not among them, unless they are missing.
	OnFile func(path string)
}

// Load reads a CloudFormation template (as YAML or JSON, also what "cdk synth" and "sls
// package" write), a SAM template or a serverless.yml. The path may be the folder of such a
// file. It returns an *Error if the file has problems, and another error if it cannot be read.
// It changes nothing but the folder WorkDir, and calls no service.
func Load(path string, opts Options) (*Definition, error) {
	opts.tellOnce()
	path, whole, err := opts.find(path)
	if err != nil {
		return nil, err
	}
	opts.onFile(path)
	content, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return parse(path, content, opts, whole)
}

// find returns the file of a path that may be a folder. It reports whether that stands for
// all the stacks of a CDK app.
func (o *Options) find(path string) (file string, whole bool, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", false, fmt.Errorf("definition: %w", err)
	}
	info, err := os.Stat(abs)
	if err != nil {
		return "", false, fmt.Errorf("definition: %w", err)
	}
	if !info.IsDir() {
		return abs, false, nil
	}
	names := []string{"template.yaml", "template.yml", "template.json", "serverless.yml", "serverless.yaml", "serverless.json"}
	for _, name := range names {
		file := filepath.Join(abs, name)
		if exists(file) {
			return file, false, nil
		}
		o.onFile(file)
	}
	if file := filepath.Join(abs, packagedTemplate); exists(file) {
		return file, false, nil
	}
	for _, dir := range []string{abs, filepath.Join(abs, "cdk.out")} {
		if found := cdkStacks(dir); len(found) > 0 {
			return found[0], true, nil
		}
	}
	stages, _ := filepath.Glob(filepath.Join(abs, "cdk.out", "assembly-*")) // the pattern is right
	switch {
	case len(stages) == 1 && len(cdkStacks(stages[0])) > 0:
		return cdkStacks(stages[0])[0], true, nil
	case len(stages) > 1:
		for i := range stages {
			stages[i] = filepath.Base(stages[i])
		}
		err = fmt.Errorf("definition: %s has several stages: name one of %s", filepath.Join(abs, "cdk.out"), listed(stages))
	case exists(filepath.Join(abs, "serverless.ts")) || exists(filepath.Join(abs, "serverless.js")):
		err = fmt.Errorf("definition: %s has a serverless file that is a program: run \"serverless print --format yaml > serverless.local.yml\" first", abs)
	case exists(filepath.Join(abs, "cdk.json")):
		err = fmt.Errorf("definition: %s is a CDK project: run \"cdk synth\" first", abs)
	default:
		err = fmt.Errorf("definition: %s has none of %s: name the file", abs, listed(append(names, "cdk.out/*.template.json")))
	}
	return "", false, err
}

// parse reads the content of a file, and if it is one of the whole folder, the other stacks of
// the CDK app, too. The path is absolute.
func parse(path string, content []byte, opts Options, whole bool) (*Definition, error) {
	r := &report{}
	root, p := readNode(path, content)
	if p != nil {
		r.fail("", p)
		return nil, r.err()
	}
	opts = opts.withDefaults()
	if opts.WorkDir == "" {
		dir, err := defaultWorkDir(path)
		if err != nil {
			return nil, err
		}
		opts.WorkDir = dir
	}
	all := newStacks(r)
	var t *template
	switch {
	case !root.isMap():
		r.failf(root.at, "", "the file has to be a map with Resources, or with service, provider and functions")
	case root.get("Resources") != nil, isEmptyStack(path, root):
		opts.setStack(opts.stackOf(path))
		all.given = opts
		all.findSiblings(path)
		t = newTemplate(all, opts, path, root, nil)
	case root.get("provider") != nil || root.get("functions") != nil:
		t = newServerless(all, opts, path, root)
	default:
		r.failf(root.at, "", "this is neither a template of CloudFormation or SAM, which has Resources, nor a serverless.yml, which has provider and functions")
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return t.definition(whole)
}

// definition evaluates a template, and all that it names.
func (t *template) definition(whole bool) (*Definition, error) {
	t.complete()
	if whole {
		t.openSiblings()
	}
	if err := t.err(); err != nil {
		return nil, err
	}
	t.openAll()
	if err := t.err(); err != nil {
		return nil, err
	}
	d := &Definition{}
	d.APIs, d.Domains = t.gateways()
	d.Functions = t.functions()
	if len(d.APIs) == 0 {
		t.notef(Warning, t.root.at, "", "the file has no WebSocket API")
	}
	t.noteOthers()
	slices.SortStableFunc(t.notes, func(a, b Note) int {
		if a.File != b.File {
			return 0
		}
		return a.Line - b.Line
	})
	d.Notes, d.workDir, d.unpacked = t.notes, t.opts.WorkDir, t.unpacked
	if err := t.err(); err != nil {
		return nil, err
	}
	return d, nil
}

// readNode reads YAML or JSON. JSON is YAML, too, but is read faster as what it is.
func readNode(path string, content []byte) (*node, *problem) {
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	if bytes.HasPrefix(content, []byte("\xff\xfe")) || bytes.HasPrefix(content, []byte("\xfe\xff")) {
		return nil, problemAt(position{path, 1}, "the file is in UTF-16: save it as UTF-8")
	}
	trimmed := bytes.TrimLeft(content, " \t\r\n")
	if strings.HasSuffix(path, ".json") || bytes.HasPrefix(trimmed, []byte("{\"")) || bytes.HasPrefix(trimmed, []byte("{\n")) {
		return readJSON(path, content)
	}
	return readYAML(path, content)
}

func (o Options) withDefaults() Options {
	if o.AccountID == "" {
		o.AccountID = "123456789012"
	}
	if o.Getenv == nil {
		o.Getenv = os.LookupEnv
	}
	return o
}

func (o *Options) onFile(path string) {
	if o.OnFile != nil {
		o.OnFile(path)
	}
}

// tellOnce lets OnFile hear of each file once.
func (o *Options) tellOnce() {
	told := map[string]bool{}
	if tell := o.OnFile; tell != nil {
		o.OnFile = func(path string) {
			if !told[path] {
				told[path] = true
				tell(path)
			}
		}
	}
}

// setStack sets the names that the file tells, if the caller gives none.
func (o *Options) setStack(stack string) {
	if o.StackName == "" {
		o.StackName = stack
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
}

// packagedTemplate is what "sls package" writes into .serverless.
const packagedTemplate = "cloudformation-template-update-stack.json"

// stackOf returns the name of the stack of a file: CDK calls it NAME.template.json, and the
// Serverless Framework keeps the names of service and stage beside it.
func (o *Options) stackOf(path string) string {
	base := filepath.Base(path)
	if name, ok := strings.CutSuffix(base, cdkEnding); ok && name != "" {
		return name
	}
	if base == packagedTemplate {
		state := filepath.Join(filepath.Dir(path), "serverless-state.json")
		o.onFile(state)
		if content, err := readFile(state); err == nil {
			root, _ := readJSON(state, content)
			service, stage := root.get("service", "service").str(), root.get("service", "provider", "stage").str()
			if service != "" && stage != "" {
				return service + "-" + stage
			}
		}
	}
	return "local"
}
