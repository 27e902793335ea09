package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/tools/tree"
)

// small returns the files of a repository that can be released: the root module,
// a/part, which requires it, and bench, which is not released.
func small() map[string]string {
	return map[string]string{
		"LICENSE":        "free\n",
		"go.mod":         "module old.example/thing\n\ngo 1.25\n",
		"thing.go":       "package thing\n\nfunc Answer() int { return 42 }\n",
		"a/part/go.mod":  "module old.example/thing/a/part\n\ngo 1.25\n\nrequire old.example/thing v0.0.0\n\nreplace old.example/thing => ../../\n",
		"a/part/part.go": "package part\n\nimport \"old.example/thing\"\n\nfunc Half() int { return thing.Answer() / 2 }\n",
		"bench/go.mod":   "module old.example/thing/bench\n\ngo 1.25\n\nrequire old.example/thing/a/part v0.0.0 // as it is here\n",
		listFile:         "# comment\nreleased a/part\nreleased .\n\nunreleased bench\n",
		outsideDir + "/root/use_test.go": "package use\n\nimport (\n\t\"testing\"\n\n\t\"old.example/thing\"\n)\n\n" +
			"func TestAnswer(t *testing.T) {\n\tif thing.Answer() != 42 {\n\t\tt.Error(\"wrong answer\")\n\t}\n}\n",
		outsideDir + "/a/part/use_test.go": "package use\n\nimport (\n\t\"testing\"\n\n\t\"old.example/thing/a/part\"\n)\n\n" +
			"func TestHalf(t *testing.T) {\n\tif part.Half() != 21 {\n\t\tt.Error(\"wrong half\")\n\t}\n}\n",
	}
}

func write(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	return dir
}

func read(t *testing.T, dir string) map[string]string {
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

func TestRun_Prepare(t *testing.T) {
	t.Parallel()
	dir := write(t, small())
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), dir, []string{"-version", "v0.1.0"}, &out, io.Discard))

	want := small()
	want["a/part/go.mod"] = strings.Replace(want["a/part/go.mod"], "v0.0.0", "v0.1.0", 1)
	want["bench/go.mod"] = strings.Replace(want["bench/go.mod"], "v0.0.0", "v0.1.0", 1)
	require.Equal(t, want, read(t, dir), "replace stays, for the repository itself")
	require.Equal(t, `a/part/go.mod now requires old.example/thing v0.1.0
bench/go.mod now requires old.example/thing/a/part v0.1.0

Commit this, let CI pass, then set and push the tags:

  git tag -a v0.1.0 -m 'thing v0.1.0'
  git tag -a a/part/v0.1.0 -m 'part v0.1.0'
  git push --atomic origin v0.1.0 a/part/v0.1.0
`, out.String())
}

func TestRun_BadVersion(t *testing.T) {
	t.Parallel()
	for version, mend := range map[string]string{
		"":                                   "write -version v0.1.0",
		"0.1.0":                              "write -version v0.1.0",
		"v0.1":                               "write -version v0.1.0",
		"latest":                             "write one as v0.1.0",
		"v0.1.0+build":                       "write -version v0.1.0",
		"v0.0.0-20260102150405-abcdefabcdef": "no name of a release: write one as v0.1.0",
		"v2.0.0":                             "another module path first",
	} {
		dir := write(t, small())
		require.ErrorContains(t, run(t.Context(), dir, []string{"-version", version}, io.Discard, io.Discard), mend)
		require.Equal(t, small(), read(t, dir), "an error changes nothing")
	}
	require.ErrorContains(t, run(t.Context(), ".", []string{"v0.1.0"}, io.Discard, io.Discard), "write -version v0.1.0")
}

func TestLoad_Errors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ file, text, want string }{
		"module in neither list": {
			"new/go.mod", "module old.example/thing/new\n",
			`new/go.mod is a module that ` + listFile + ` does not have: add the line "released new" or "unreleased new"`,
		},
		"module that is gone":   {listFile, "released .\nreleased a/part\nunreleased bench\nreleased gone\n", "has gone, which has no go.mod: remove the line"},
		"no list":               {listFile, "", "run the command in the root of the repository"},
		"line not understood":   {listFile, "private bench\n", `modules.txt:1: "private bench": write`},
		"line twice":            {listFile, "released .\nunreleased .\n", "modules.txt:2: . is there twice"},
		"root is not released":  {listFile, "unreleased .\nreleased a/part\nunreleased bench\n", "the root module is always released"},
		"no license":            {"LICENSE", "", "no file LICENSE"},
		"path of another place": {"a/part/go.mod", "module old.example/thing/part\n", "must be old.example/thing/a/part"},
		"no module line":        {"bench/go.mod", "go 1.25\n", "bench/go.mod has no module line"},
		"unreleased requirement": {
			"a/part/go.mod", "module old.example/thing/a/part\n\nrequire old.example/thing/bench v0.0.0\n",
			"a released module requires old.example/thing/bench",
		},
		"circle": {"go.mod", "module old.example/thing\n\nrequire old.example/thing/a/part v0.0.0\n", "in a circle"},
		"foreign replacement": {
			"a/part/go.mod", "module old.example/thing/a/part\n\nreplace other.example/x => other.example/fork v1.0.0\n",
			"it replaces other.example/x",
		},
		"no program from outside": {outsideDir + "/a/part/use_test.go", "", outsideDir + "/a/part has no test: write a small program"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := small()
			files[tc.file] = tc.text
			if tc.text == "" {
				delete(files, tc.file)
			}
			_, err := load(write(t, files))
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// The modules that the repository itself releases, in the order of their tags.
func TestLoad_Repository(t *testing.T) {
	t.Parallel()
	r, err := load("../../..")
	require.NoError(t, err)
	var tags []string
	for _, m := range r.released() {
		tags = append(tags, m.tag("v1.2.3"))
	}
	require.Equal(t, "v1.2.3", tags[0], "the root is the first")
	require.Contains(t, tags, "jwtauthorizer/v1.2.3")
}

// The users in these tests have no network: they get everything from the proxy made
// of files.
func TestTry(t *testing.T) {
	t.Parallel()
	env := append(os.Environ(), "GOPROXY=off", "GOFLAGS=")
	for name, tc := range map[string]struct{ file, text, want string }{
		"works":           {"LICENSE", "free\n", ""},
		"fails a test":    {"thing.go", "package thing\n\nfunc Answer() int { return 1 }\n", "old.example/thing v0.0.7 does not work outside of the repository: go test ./..."},
		"is not compiled": {"a/part/more/more.go", "package more\n\nvar x int = y\n", "old.example/thing/a/part v0.0.7 does not work outside of the repository: go build"},
		"misses a requirement": {
			"a/part/go.mod", "module old.example/thing/a/part\n\ngo 1.25\n", "old.example/thing/a/part v0.0.7 does not work outside of the repository: go ",
		},
		"is in no list": {"new/go.mod", "module old.example/thing/new\n", "does not have: add the line"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := small()
			files[tc.file] = tc.text
			dir := write(t, files)
			var out bytes.Buffer
			err := try(t.Context(), dir, "v0.0.7", env, &out)
			if tc.want == "" {
				require.NoError(t, err)
				require.Contains(t, out.String(), "ok  old.example/thing v0.0.7")
				require.Contains(t, out.String(), "ok  old.example/thing/a/part v0.0.7")
			} else {
				require.ErrorContains(t, err, tc.want)
			}
			require.Equal(t, files, read(t, dir), "the repository stays as it is")
		})
	}
}
