package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"

	"example.com/gateway/internal/tools/tree"
)

// These paths are not the repository's own, so that renaming the repository does not
// change the tests.
const (
	from = "old.example/thing"
	to   = "zoo.example/Team/thing"
)

func TestReplace(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ in, out string }{
		"import":              {`import "old.example/thing"`, `import "zoo.example/Team/thing"`},
		"package of a module": {`"old.example/thing/inner/part"`, `"zoo.example/Team/thing/inner/part"`},
		"version":             {"go get old.example/thing@v0.1.0", "go get zoo.example/Team/thing@v0.1.0"},
		"twice in a line":     {"replace old.example/thing=>old.example/thing/b", "replace zoo.example/Team/thing=>zoo.example/Team/thing/b"},
		"end of a sentence":   {"It is old.example/thing.", "It is zoo.example/Team/thing."},
		"function":            {"old.example/thing.(*T).Run", "zoo.example/Team/thing.(*T).Run"},
		"exact package":       {"{pkg: old.example/thing$}", "{pkg: zoo.example/Team/thing$}"},
		"Markdown":            {"[`old.example/thing`](x)", "[`zoo.example/Team/thing`](x)"},
		"path of a URL":       {"https://pkg.example/old.example/thing", "https://pkg.example/zoo.example/Team/thing"},
		"escaped line":        {`"\told.example/thing v0"`, `"\tzoo.example/Team/thing v0"`},
		"whole text":          {"old.example/thing", "zoo.example/Team/thing"},

		"host of a URL":      {"https://old.example/thing", ""},
		"other path":         {"old.example/other", ""},
		"host":               {"old.example", ""},
		"longer name":        {"old.example/things", ""},
		"longer name, dash":  {"old.example/thing-js", ""},
		"longer host":        {"very.old.example/thing", ""},
		"longer host, word":  {"veryold.example/thing", ""},
		"user of a host":     {"alice@old.example/thing", ""},
		"escaped backslash":  {`\\told.example/thing`, ""},
		"other letter after": {"old.example/thing_test", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stays := tc.out == ""
			if stays {
				tc.out = tc.in
			}
			out, places, left := replace([]byte(tc.in), from, to)
			require.Equal(t, tc.out, string(out))
			require.Equal(t, stays, places == 0)
			require.Equal(t, stays && strings.Contains(tc.in, from), len(left) == 1, "what looks like the path is told")
		})
	}
}

func TestCheckTo(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"host.example/owner/gateway", "gateway.example", "github.example/Owner/Gate_way-2", "localhost.example/a/b/c/d"} {
		require.NoError(t, checkTo(good), good)
	}
	for bad, mend := range map[string]string{
		"":                                       "write -to host/owner/gateway",
		"owner/gateway":                          "write -to host.example/owner/gateway",
		"gateway":                                "write -to host.example/gateway",
		"https://host.example/o/g/":              "write -to host.example/o/g",
		"https://host.example/o/g/tree/main":     "write -to host.example/o/g",
		"https://host.example/o/g/-/blob/main/x": "write -to host.example/o/g",
		"https://host.example/o/g?tab=readme#use": "write -to host.example/o/g",
		"https://host.example/o/issues":           "write -to host.example/o/issues",
		"host.example/internal/g":                 `has the part "internal", which keeps other modules from importing it`,
		"host.example/o/vendor/g":                 `has the part "vendor"`,
		"ssh://git@host.example/o/g":              "write -to host.example/o/g",
		"git@host.example:o/g.git":                "write -to host.example/o/g",
		"https://Host.example/o/g.git/":           "write -to host.example/o/g",
		"host.example/o/g/":                       "write -to host.example/o/g",
		"/host.example/o/g":                       "write -to host.example/o/g",
		"host.example/o/g.git":                    "write -to host.example/o/g",
		"host.example/o/g@v1.0.0":                 "write -to host.example/o/g",
		"Host.Example/Owner/g":                    "write -to host.example/Owner/g",
		"host.example/o/g/v2":                     "write -to host.example/o/g",
		"host.example/o//g":                       "double slash): write it as host/owner/gateway",
		"host.example/o g":                        "write it as host/owner/gateway",
		"host.example/ö/g":                        "write it as host/owner/gateway",
		"host.example:8080/o/g":                   "write it as host/owner/gateway",
		"host.example/o/g\nmodule x":              "write it as host/owner/gateway",
		"-host.example/owner/gateway":             "write it as host/owner/gateway",
	} {
		require.ErrorContains(t, checkTo(bad), mend, bad)
	}
}

// small makes a repository of two modules.
func small(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range map[string]string{
		"go.mod":             "module old.example/thing\n\ngo 1.25\n",
		"b/go.mod":           "module old.example/thing/b\n\ngo 1.25\n\nrequire (\n\told.example/thing v0.0.0\n\tpart.example/x v1.0.0\n)\n\nreplace old.example/thing => ../\n",
		"b/b.go":             "package b\n\nimport (\n\t\"old.example/thing\"\n\t\"part.example/x\"\n)\n\nvar _, _ = thing.A, x.B\n",
		"b/align_test.go":    "package b\n\nvar table = []string{\n\t\"old.example/thing\",                  // a\n\t\"and a longer text, by some letters\", // b\n}\n",
		"b/testdata/odd.go":  "package  odd // old.example/thing\n",
		"b/testdata/data":    "old.example/thing\x00old.example/thing",
		"README.md":          "Get `old.example/thing`, see https://old.example/thing/docs.\n",
		"run":                "grep 'old\\.example/thing/b$'; go test old.example/thing/...\n",
		"go.work":            "go 1.25\n\nuse (\n\t.\n\t./b\n)\n",
		"other.md":           "old.example is a host.\n",
		".git/config":        "old.example/thing",
		"node_modules/x/y.j": "old.example/thing",
	} {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	require.NoError(t, os.Chmod(filepath.Join(dir, "run"), 0o755))
	return dir
}

func TestRun_SmallTree(t *testing.T) {
	t.Parallel()
	dir := small(t)
	before := contents(t, dir)
	var out bytes.Buffer
	require.NoError(t, run(dir, []string{"-n", "-to", to}, &out, io.Discard))
	require.Equal(t, before, contents(t, dir), "-n changes nothing")
	require.Contains(t, out.String(), "would move old.example/thing to zoo.example/Team/thing: 10 places in 7 files\n")

	out.Reset()
	require.NoError(t, run(dir, []string{"-to", to}, &out, io.Discard))
	require.Contains(t, out.String(), "\nmoved old.example/thing to zoo.example/Team/thing: 10 places in 7 files\n")
	require.Contains(t, out.String(), "    3  b/go.mod\n")
	require.Contains(t, out.String(), "README.md:1: Get `old.example/thing`, see https://old.example/thing/docs.\n", "the URL is left to a person")
	after := contents(t, dir)
	require.Equal(t, "module zoo.example/Team/thing\n\ngo 1.25\n", after["go.mod"])
	require.Equal(t, "module zoo.example/Team/thing/b\n\ngo 1.25\n\n"+
		"require (\n\tpart.example/x v1.0.0\n\tzoo.example/Team/thing v0.0.0\n)\n\nreplace zoo.example/Team/thing => ../\n", after["b/go.mod"])
	require.Equal(t, "package b\n\nimport (\n\t\"part.example/x\"\n\t\"zoo.example/Team/thing\"\n)\n\nvar _, _ = thing.A, x.B\n", after["b/b.go"])
	require.Equal(t, "package b\n\nvar table = []string{\n\t\"zoo.example/Team/thing\",             // a\n"+
		"\t\"and a longer text, by some letters\", // b\n}\n", after["b/align_test.go"])
	require.Equal(t, "package  odd // zoo.example/Team/thing\n", after["b/testdata/odd.go"])
	require.Equal(t, "Get `zoo.example/Team/thing`, see https://old.example/thing/docs.\n", after["README.md"])
	require.Equal(t, "grep 'zoo\\.example/Team/thing/b$'; go test zoo.example/Team/thing/...\n", after["run"])
	for _, name := range []string{"b/testdata/data", "go.work", "other.md"} {
		require.Equal(t, before[name], after[name], name)
	}
	untouched, err := os.ReadFile(filepath.Join(dir, ".git/config"))
	require.NoError(t, err)
	require.Equal(t, from, string(untouched))
	info, err := os.Stat(filepath.Join(dir, "run"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o755), info.Mode().Perm())

	// Once more: now the old path is read from go.mod.
	require.NoError(t, run(dir, []string{"-to", from}, io.Discard, io.Discard))
	require.Equal(t, before, contents(t, dir), "and back again")
}

func TestRun_Errors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args  []string
		spoil string // a file that gets a wrong text
		want  string
	}{
		"no -to":             {nil, "", "write -to host/owner/gateway"},
		"bad -to":            {[]string{"-to", "thing"}, "", "write -to host.example/thing"},
		"argument":           {[]string{to}, "", "write -to " + to},
		"unknown flag":       {[]string{"-too", to}, "", "flag provided but not defined"},
		"same path":          {[]string{"-to", from}, "", "nothing to change"},
		"unused -from":       {[]string{"-from", "none.example/x", "-to", to}, "", `no file names the module path "none.example/x"`},
		"bad -from":          {[]string{"-from", "thing", "-to", to}, "", `-from "thing" is not a module path`},
		"no module line":     {[]string{"-to", to}, "go.mod", "name the present path with -from"},
		"broken nested file": {[]string{"-to", to}, "b/go.mod", "b/go.mod:1: unknown directive"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := small(t)
			if tc.spoil != "" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, tc.spoil), []byte("nonsense old.example/thing\n"), 0o644))
			}
			before := contents(t, dir)
			var out bytes.Buffer
			require.ErrorContains(t, run(dir, tc.args, &out, io.Discard), tc.want)
			require.Empty(t, out.String())
			require.Equal(t, before, contents(t, dir), "an error changes nothing")
		})
	}
	require.ErrorContains(t, run(t.TempDir(), []string{"-to", to}, io.Discard, io.Discard), "in the root of the repository")
}

// The root package has the name that its files say, not the end of the path; a line is told
// once; and line ends stay as they are.
func TestRun_Report(t *testing.T) {
	t.Parallel()
	dir := small(t)
	const windows = "module old.example/thing\r\n\r\ngo 1.25\r\n\r\nrequire part.example/x v1.0.0 // why\r\n"
	for name, text := range map[string]string{
		"go.mod": windows, "root.go": "package gateway\n", "a_test.go": "package other_test\n",
		"links.md": "https://old.example/thing https://old.example/thing https://old.example/thing\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	var out bytes.Buffer
	require.NoError(t, run(dir, []string{"-to", to}, &out, io.Discard))
	require.Contains(t, out.String(), "\nthe root package keeps its name, gateway: users write it although the path ends in thing\n")
	require.Equal(t, 1, strings.Count(out.String(), "links.md:1: "))
	require.Equal(t, strings.Replace(windows, from, to, 1), contents(t, dir)["go.mod"])

	out.Reset()
	require.NoError(t, run(dir, []string{"-to", "zoo.example/gateway"}, &out, io.Discard))
	require.NotContains(t, out.String(), "keeps its name")
}

// If one file cannot be written, all others stay as they were.
func TestPlan_FailedWrite(t *testing.T) {
	t.Parallel()
	dir := small(t)
	before := contents(t, dir)
	p, err := newPlan(dir, "", to)
	require.NoError(t, err)
	full := errors.New("disk full")
	err = p.apply(func(file string, data []byte, perm fs.FileMode) error {
		if bytes.Contains(data, []byte(to)) && filepath.Base(file) == "run" {
			_ = os.WriteFile(file, data[:3], perm)
			return full
		}
		return os.WriteFile(file, data, perm)
	})
	require.ErrorIs(t, err, full)
	require.ErrorContains(t, err, "write run: disk full: nothing was renamed")
	require.Equal(t, before, contents(t, dir))
}

// Renames the repository itself, and back.
func TestRun_Repository(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, tree.Copy(dir, "../../.."))
	before := contents(t, dir)
	home := modfile.ModulePath([]byte(before["go.mod"]))
	away := "zz.example/" + "Some/where" // in two parts, so that renaming back does not change this line

	require.NoError(t, run(dir, []string{"-to", away}, io.Discard, io.Discard))
	after := contents(t, dir)
	modules := 0
	for name, text := range after {
		paths := strings.Count(before[name], home) - strings.Count(before[name], "://"+home)
		require.Equal(t, paths, strings.Count(text, away), "%s: nothing is left behind", name)
		if filepath.Base(name) == "go.mod" {
			modules++
			require.Equal(t, strings.TrimSuffix(away+"/"+filepath.Dir(name), "/."), modfile.ModulePath([]byte(text)))
		}
	}
	require.GreaterOrEqual(t, modules, 7)
	host, _, _ := strings.Cut(home, "/")
	others := func(files map[string]string) (n int) {
		for _, text := range files {
			n += strings.Count(text, host) - strings.Count(text, home)
		}
		return n
	}
	require.Equal(t, others(before), others(after), "hosts stay")

	require.NoError(t, run(dir, []string{"-to", home}, io.Discard, io.Discard))
	require.Equal(t, before, contents(t, dir))
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	names, err := tree.Files(dir)
	require.NoError(t, err)
	files := map[string]string{}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		files[name] = string(text)
	}
	return files
}
