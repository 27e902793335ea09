package definition

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"example.com/gateway/internal/nearest"
)

// functions evaluates the Lambda functions.
func (s *stacks) functions() []Function {
	var found []Function
	byARN := map[string]int{}
	s.ofType(typeFunction, func(t *template, r *resource) {
		f, ok := t.function(r)
		if !ok {
			return
		}
		if i, taken := byARN[f.ARN]; taken {
			advice := "give one of them another name"
			if len(s.all) > 1 {
				advice += ", or name the file of one stack"
			}
			t.failf(r.at, r.logicalID, "the function has the name %s, as %s has: %s", f.Name, found[i].LogicalID, advice)
		}
		byARN[f.ARN] = len(found)
		found = append(found, f)
	})
	return found
}

func (t *template) function(r *resource) (Function, bool) {
	f := Function{LogicalID: r.logicalID}
	name, p := t.ref(r.at, r.logicalID)
	if p == nil {
		f.Name = name.text
		if i := strings.LastIndexByte(f.Name, ':'); i >= 0 {
			f.Name = f.Name[i+1:] // FunctionName may be an ARN
		}
		f.ARN, p = t.functionARN(r)
	}
	if p != nil {
		t.fail(r.logicalID, p)
		return f, false
	}
	if kind, _ := t.textProperty(r, "PackageType"); kind == "Image" || r.props.get("Code", "ImageUri") != nil {
		t.notef(NotRun, r.at, r.logicalID, "the function is a container image, which does not run here: its events fail")
		return f, false
	}
	f.Handler, _ = t.textProperty(r, "Handler")
	f.Runtime, _ = t.textProperty(r, "Runtime")
	f.Timeout = time.Duration(t.intProperty(r, "Timeout", t.lambdaDefaults.timeout, 900)) * time.Second
	f.MemoryMB = t.intProperty(r, "MemorySize", t.lambdaDefaults.memory, 10240)
	f.Env = t.environment(r)
	t.addLayers(r, &f)
	if f.Command = t.command(r); len(f.Command) > 0 {
		f.Dir, _ = t.code(r, &f)
		return f, f.Dir != ""
	}
	if f.Runtime == "" {
		t.failf(r.at, r.logicalID, "Runtime is missing: a function needs it")
		return f, false
	}
	if right := nearest.Runtime(f.Runtime); right != "" {
		t.failf(r.props.lineOf("Runtime"), r.logicalID, "there is no runtime %q: did you mean %q?", f.Runtime, right)
		return f, false
	}
	if f.Handler == "" && !strings.HasPrefix(f.Runtime, "provided") {
		t.failf(r.at, r.logicalID, `Handler is missing: a function needs it, as in "app.handler"`)
		return f, false
	}
	dir, ok := t.code(r, &f)
	f.Dir = dir
	return f, ok
}

// commandKey is the key of a function's metadata that names the program to run.
const commandKey = "gateway:command"

// command returns the program that runs in the place of the runtime.
func (t *template) command(r *resource) []string {
	n := r.body.get("Metadata", commandKey)
	if n.absent() {
		return nil
	}
	value, p := t.eval(n)
	if p != nil {
		t.fail(r.logicalID, p)
		return nil
	}
	items := []*node{value}
	if value.kind == listKind {
		items = value.items
	}
	var command []string
	for _, item := range items {
		text, ok := item.scalar()
		if !ok || text == "" {
			t.failf(n.at, r.logicalID, "%s has to be a program and its arguments, as in [java, -jar, app.jar]", commandKey)
			return nil
		}
		command = append(command, text)
	}
	return command
}

func (t *template) intProperty(r *resource, name string, otherwise, most int) int {
	value, p := t.property(r, name)
	if p != nil {
		t.fail(r.logicalID, p)
		return otherwise
	}
	if value == nil {
		return otherwise
	}
	number, err := strconv.Atoi(value.str())
	if err != nil || number < 1 || number > most {
		t.failf(value.at, r.logicalID, "%s has to be a whole number from 1 to %d", name, most)
		return otherwise
	}
	return number
}

func (t *template) environment(r *resource) map[string]string {
	env := map[string]string{}
	value, p := t.property(r, "Environment", "Variables")
	if p != nil {
		t.fail(r.logicalID, p)
		return env
	}
	if value == nil {
		return env
	}
	if value.kind != mapKind {
		t.failf(value.at, r.logicalID, "Environment.Variables has to be a map, but is %s", value.kind)
		return env
	}
	for i, key := range value.keys {
		text, ok := value.items[i].scalar()
		if !ok && !value.items[i].absent() {
			t.failf(value.keyAt[i], r.logicalID, "the environment variable %s has to be a text, but is %s", key, value.items[i].kind)
			continue
		}
		if strings.Contains(text, "{{resolve:") {
			t.notef(Warning, value.keyAt[i], r.logicalID, "the environment variable %s is resolved only on AWS: set it yourself", key)
		}
		env[key] = text
	}
	return env
}

// code finds the folder with the code of a function.
func (t *template) code(r *resource, f *Function) (string, bool) {
	code := r.props.get("Code")
	at := r.props.lineOf("Code")
	if asset, ok := r.body.get("Metadata", assetKey).scalar(); ok {
		return t.codeAt(r, f, at, t.asset(asset))
	}
	if text, ok := code.scalar(); ok { // SAM's CodeUri, or the work of "aws cloudformation package" not done yet
		return t.codeAt(r, f, at, text)
	}
	if inline, p := t.property(r, "Code", "ZipFile"); p != nil || inline != nil {
		if p != nil {
			t.fail(r.logicalID, p)
			return "", false
		}
		return t.inlineCode(r, f, inline)
	}
	key, ok := t.textProperty(r, "Code", "S3Key")
	if !ok {
		return "", false
	}
	if key != "" {
		return t.codeInS3(r, at, key)
	}
	if code.absent() {
		t.failf(r.at, r.logicalID, "the function has no code: give the path of its folder")
	} else {
		t.failf(code.at, r.logicalID, "Code has to be the path of a folder or a zip file, or ZipFile with the text of the program")
	}
	return "", false
}

// codeInS3 looks beside the file for the archive that a tool has put into a bucket: "sls
// package" leaves it there, and "cdk synth" leaves folders with the same hash.
func (t *template) codeInS3(r *resource, at position, key string) (string, bool) {
	base := filepath.Base(filepath.FromSlash(key))
	asset := "asset." + strings.TrimSuffix(base, ".zip")
	for _, name := range []string{base, asset, asset + ".zip"} {
		path := t.path(name)
		if exists(path) {
			return t.folder(r, at, path)
		}
		t.opts.onFile(path)
	}
	t.notef(NotRun, at, r.logicalID, "the code is in S3 (%s), and not beside this file: give the template as it was before packaging, or put %s beside it", key, base)
	return "", false
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// codeAt finds code at a path that is relative to the file.
func (t *template) codeAt(r *resource, f *Function, at position, rel string) (string, bool) {
	if strings.HasPrefix(rel, "s3://") {
		return t.codeInS3(r, at, rel)
	}
	dir, ok := t.folder(r, at, t.path(rel))
	if ok {
		t.checkHandler(r, f, dir)
	}
	return dir, ok
}

// folder returns a folder as it is, and the folder into which an archive is unpacked.
func (t *template) folder(r *resource, at position, path string) (string, bool) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		t.opts.onFile(path)
	}
	switch {
	case err != nil:
		t.failf(at, r.logicalID, "the code of the function is not at %s: build it first, or correct the path", path)
		return "", false
	case info.IsDir():
		return path, true
	case !info.Mode().IsRegular(), !strings.EqualFold(filepath.Ext(path), ".zip") && !strings.EqualFold(filepath.Ext(path), ".jar"):
		t.failf(at, r.logicalID, "%s is no folder, no zip file and no jar file: give the folder of the code", path)
		return "", false
	}
	dir, err := unpack(path, t.opts.WorkDir, r.logicalID)
	if err != nil {
		t.failf(at, r.logicalID, "%s cannot be unpacked: %v", path, err)
		return "", false
	}
	t.unpacked = append(t.unpacked, filepath.Base(dir))
	return dir, true
}

// checkHandler warns if the handler's file is missing, which is so before a build.
func (t *template) checkHandler(r *resource, f *Function, dir string) {
	module, _ := handlerModule(f.Handler)
	var endings []string
	switch {
	case strings.HasPrefix(f.Runtime, "nodejs"):
		endings = []string{".js", ".mjs", ".cjs"}
	case strings.HasPrefix(f.Runtime, "python"):
		module = strings.ReplaceAll(module, ".", "/")
		endings = []string{".py", "/__init__.py"}
	default:
		return
	}
	for _, ending := range endings {
		if exists(filepath.Join(dir, filepath.FromSlash(module+ending))) {
			return
		}
	}
	advice := "correct Handler"
	if exists(filepath.Join(dir, filepath.FromSlash(module+".ts"))) {
		advice = `it is TypeScript, so build it first and use the output, as ".aws-sam/build/template.yaml" of "sam build"`
		if strings.HasPrefix(filepath.Base(r.at.file), "serverless.") {
			advice = `it is TypeScript, so run "sls package" first and use the output, the folder ".serverless"`
		}
	}
	t.notef(Warning, r.props.lineOf("Handler"), r.logicalID, "the file of the handler %q is not in %s: %s", f.Handler, dir, advice)
}

// handlerModule splits a handler as Lambda does: "src/app.handler" is the module "src/app"
// and its export "handler".
func handlerModule(handler string) (module, export string) {
	slash := strings.LastIndexByte(handler, '/') + 1
	if i := strings.LastIndexByte(handler[slash:], '.'); i >= 0 {
		return handler[:slash+i], handler[slash+i+1:]
	}
	return handler, ""
}

// inlineCode writes the text of a program into a file, whose name is always "index".
func (t *template) inlineCode(r *resource, f *Function, n *node) (string, bool) {
	text, ok := n.scalar()
	if !ok {
		t.failf(n.at, r.logicalID, "ZipFile has to be the text of a program, but is %s", n.kind)
		return "", false
	}
	var name string
	switch {
	case strings.HasPrefix(f.Runtime, "nodejs"):
		name = "index.js"
	case strings.HasPrefix(f.Runtime, "python"):
		name = "index.py"
	default:
		t.failf(n.at, r.logicalID, "the text of a program is for Node.js and Python only, but Runtime is %q: put the code into a folder", f.Runtime)
		return "", false
	}
	if module, export := handlerModule(f.Handler); module != "index" {
		t.notef(Warning, r.props.lineOf("Handler"), r.logicalID, "Lambda calls the file of this code %s: write the handler as %q", name, "index."+export)
	}
	dir, err := writeCode(t.opts.WorkDir, r.logicalID, name, text)
	if err != nil {
		t.failf(n.at, r.logicalID, "the code cannot be written: %v", err)
		return "", false
	}
	t.unpacked = append(t.unpacked, filepath.Base(dir))
	return dir, true
}

// defaultWorkDir returns the folder for code that has to be unpacked: one for each file,
// in the user's own cache.
func defaultWorkDir(file string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("definition: no folder for unpacked code: %w: set Options.WorkDir", err)
	}
	return filepath.Join(cache, "gateway", "code", stableID(16, file)), nil
}
