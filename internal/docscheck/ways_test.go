package docscheck

import (
	"bufio"
	"bytes"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The files of the root package are in layers: no file calls one that calls it, however
// far around. A func that only becomes a new goroutine, as in Go(c.read), is not called.
func TestWays_goDown(t *testing.T) {
	t.Parallel()
	r := rootCalls(t)
	uses := map[string]map[string]string{} // by file, and the file it calls: an example
	for caller, called := range r.calls {
		for fn := range called {
			if from, to := r.file(caller), r.file(fn); from != to {
				if uses[from] == nil {
					uses[from] = map[string]string{}
				}
				uses[from][to] = caller.Name() + " calls " + fn.Name()
			}
		}
	}
	const under, done = 1, 2
	seen := map[string]int{}
	var path []string
	var visit func(file string)
	visit = func(file string) {
		seen[file] = under
		path = append(path, file)
		for _, next := range slices.Sorted(maps.Keys(uses[file])) {
			switch seen[next] {
			case under:
				t.Errorf("these files call one another in a circle: %v, then %s again (%s): move one func, so that all calls go down",
					path[slices.Index(path, next):], next, uses[file][next])
			case 0:
				visit(next)
			}
		}
		path = path[:len(path)-1]
		seen[file] = done
	}
	for _, file := range rootFiles(t) {
		if seen[file] == 0 {
			visit(file)
		}
	}
}

// The architecture lists the files that each way goes through: all of them, and at most
// eight.
func TestWays_files(t *testing.T) {
	t.Parallel()
	const file, most = "docs/architecture.md", 8
	_, section, found := strings.Cut(read(t, file), "\n## The ways\n")
	require.True(t, found, "%s has no section \"The ways\"", file)
	section, _, _ = strings.Cut(section, "\n## ")
	r := rootCalls(t)
	asked := []string{"state.go", "timers.go", "errors.go", "observer.go", "log.go", "guard.go", "membership.go", "presence.go"}
	closes := []string{"connection.cut", "connection.readerEnded", "connection.close"}                           // where a close begins
	commands := []string{"Gateway.postAnswer", "Gateway.sendAnswer", "Gateway.tellAnswer", "connection.closeAs"} // where the commands of an answer are done
	for _, way := range []struct {
		name  string
		first []string
		ends  []string
	}{
		{"A message", []string{"connection.serveInput"}, slices.Concat(closes, commands)},
		{"A post", []string{"Gateway.serveManagement"}, closes},
		{"Commands of an answer", slices.Concat(commands, []string{"commanded.answer"}), closes},
		{"An upgrade", []string{"Gateway.Handler"}, slices.Concat(commands, []string{"connection.ready", "connection.hungUp", "connection.cut", "clientWriter.patience"})},
		{"A close", []string{"connection.begin", "connection.teardown"}, nil},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			_, text, found := strings.Cut(section, "\n**"+way.name+"**")
			require.True(t, found, "%s has no way %q", file, way.name)
			text, _, _ = strings.Cut(text, "\n**")
			var named []string
			for _, m := range regexp.MustCompile("(?m)^\\d\\. `(\\w+\\.go)`").FindAllStringSubmatch(text, -1) {
				named = append(named, m[1])
			}
			files := r.way(t, way.first, way.ends, asked)
			require.ElementsMatch(t, files, named, "%s has to list the files of this way, and no others", file)
			require.LessOrEqual(t, len(files), most, "a way goes through at most %d files", most)
		})
	}
}

// calls are the calls within the root package.
type calls struct {
	files *token.FileSet
	named map[string]*types.Func // "Gateway.Handler"
	calls map[*types.Func]map[*types.Func]bool
}

func (r *calls) file(fn *types.Func) string {
	return filepath.Base(r.files.Position(fn.Pos()).Filename)
}

// way returns the files of the funcs that the first ones call, directly or not. It leaves
// out the files that are asked on the way, and what the ends of the way call.
func (r *calls) way(t *testing.T, first, ends, asked []string) []string {
	t.Helper()
	files, seen := map[string]bool{}, map[*types.Func]bool{}
	for _, end := range ends {
		require.Contains(t, r.named, end)
		seen[r.named[end]] = true
	}
	var visit func(fn *types.Func)
	visit = func(fn *types.Func) {
		if seen[fn] || slices.Contains(asked, r.file(fn)) {
			return
		}
		seen[fn], files[r.file(fn)] = true, true
		for called := range r.calls[fn] {
			visit(called)
		}
	}
	for _, name := range first {
		require.Contains(t, r.named, name)
		visit(r.named[name])
	}
	return slices.Collect(maps.Keys(files))
}

// rootCalls reads the root package. Methods of interfaces, which can be anybody's, are not
// among the calls.
func rootCalls(t *testing.T) *calls {
	t.Helper()
	r := &calls{files: token.NewFileSet(), named: map[string]*types.Func{}, calls: map[*types.Func]map[*types.Func]bool{}}
	var files []*ast.File
	for _, name := range rootFiles(t) {
		file, err := parser.ParseFile(r.files, filepath.Join(root, name), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		files = append(files, file)
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: importer.ForCompiler(r.files, "gc", compiled(t))}
	pkg, err := config.Check("gateway", r.files, files, info)
	require.NoError(t, err)
	for _, file := range files {
		for _, d := range file.Decls {
			decl, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			fn := info.Defs[decl.Name].(*types.Func)
			r.named[nameOf(fn)] = fn
			called := map[*types.Func]bool{}
			r.calls[fn] = called
			ast.Inspect(decl, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					return !startsGoroutine(n)
				case *ast.Ident:
					if used, ok := info.Uses[n].(*types.Func); ok && used.Pkg() == pkg && !ofInterface(used) {
						called[used.Origin()] = true
					}
				}
				return true
			})
		}
	}
	return r
}

// startsGoroutine reports whether a call is like running.Go(c.read).
func startsGoroutine(call *ast.CallExpr) bool {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || method.Sel.Name != "Go" || len(call.Args) != 1 {
		return false
	}
	_, ok = call.Args[0].(*ast.SelectorExpr)
	return ok
}

func ofInterface(fn *types.Func) bool {
	recv := fn.Signature().Recv()
	return recv != nil && types.IsInterface(recv.Type())
}

// nameOf returns the name of a func, with that of its type: Gateway.Handler.
func nameOf(fn *types.Func) string {
	recv := fn.Signature().Recv()
	if recv == nil {
		return fn.Name()
	}
	of := types.TypeString(recv.Type(), func(*types.Package) string { return "" })
	return strings.TrimPrefix(of, "*") + "." + fn.Name()
}

// compiled returns the compiled packages that the root package imports.
func compiled(t *testing.T) importer.Lookup {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", ".")
	cmd.Dir = root
	out, err := cmd.Output()
	require.NoError(t, err)
	exports := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		path, export, _ := strings.Cut(lines.Text(), " ")
		exports[path] = export
	}
	return func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
}
