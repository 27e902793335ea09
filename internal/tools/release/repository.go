package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"example.com/gateway/internal/tools/tree"
)

const (
	listFile   = "internal/tools/release/modules.txt"
	outsideDir = "internal/tools/release/testdata/outside" // has a folder for each released module
)

// repository holds what is needed to release a repository.
type repository struct {
	dir     string
	modules []*mod // a module comes after those that it requires
}

// mod is a module of the repository.
type mod struct {
	dir      string // from the root, "." for the root module
	file     *modfile.File
	released bool
}

func (m *mod) path() string { return m.file.Module.Mod.Path }

// tag returns the name of the tag that publishes a version of the module.
func (m *mod) tag(version string) string { return path.Join(m.dir, version) }

// outside returns the folder with the program that uses the module from outside.
func (m *mod) outside() string {
	if m.dir == "." {
		return path.Join(outsideDir, "root")
	}
	return path.Join(outsideDir, m.dir)
}

// load finds the modules of the repository in dir, and checks that each module that
// is to be released can be released.
func load(dir string) (*repository, error) {
	list, err := readList(dir)
	if err != nil {
		return nil, err
	}
	files, err := tree.Files(dir)
	if err != nil {
		return nil, err
	}
	r := &repository{dir: dir}
	for _, name := range tree.GoMods(files) {
		released, ok := list[path.Dir(name)]
		if !ok {
			return nil, fmt.Errorf("%s is a module that %s does not have: add the line \"released %[3]s\" or \"unreleased %[3]s\"",
				name, listFile, path.Dir(name))
		}
		delete(list, path.Dir(name))
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		file, err := modfile.Parse(name, text, nil)
		if err != nil {
			return nil, err
		}
		if file.Module == nil {
			return nil, fmt.Errorf("%s has no module line", name)
		}
		r.modules = append(r.modules, &mod{path.Dir(name), file, released})
	}
	for gone := range list {
		return nil, fmt.Errorf("%s has %s, which has no go.mod: remove the line", listFile, gone)
	}
	if err := r.check(files); err != nil {
		return nil, err
	}
	return r, r.sort()
}

// readList returns the folders of the modules, and whether each module is released.
func readList(dir string) (map[string]bool, error) {
	text, err := os.ReadFile(filepath.Join(dir, listFile))
	if err != nil {
		return nil, fmt.Errorf("read the list of modules: %w: run the command in the root of the repository", err)
	}
	list := map[string]bool{}
	for i, line := range strings.Split(string(text), "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) != 2 || words[0] != "released" && words[0] != "unreleased" {
			return nil, fmt.Errorf("%s:%d: %q: write \"released FOLDER\" or \"unreleased FOLDER\"", listFile, i+1, line)
		}
		if _, ok := list[words[1]]; ok {
			return nil, fmt.Errorf("%s:%d: %s is there twice: remove a line", listFile, i+1, words[1])
		}
		list[words[1]] = words[0] == "released"
	}
	return list, nil
}

// sort puts each module after those that it requires.
func (r *repository) sort() error {
	var sorted []*mod
	for len(sorted) < len(r.modules) {
		before := len(sorted)
		for _, m := range r.modules {
			ready := !slices.ContainsFunc(m.file.Require, func(req *modfile.Require) bool {
				required := r.module(req.Mod.Path)
				return required != nil && !slices.Contains(sorted, required)
			})
			if ready && !slices.Contains(sorted, m) {
				sorted = append(sorted, m)
			}
		}
		if len(sorted) == before {
			return errors.New("the modules require each other in a circle: no order of their tags would work")
		}
	}
	r.modules = sorted
	return nil
}

// module returns the module with this path, or nil.
func (r *repository) module(modulePath string) *mod {
	for _, m := range r.modules {
		if m.path() == modulePath {
			return m
		}
	}
	return nil
}

func (r *repository) released() (list []*mod) {
	for _, m := range r.modules {
		if m.released {
			list = append(list, m)
		}
	}
	return list
}

// check reports what would keep a released module from working outside the
// repository.
func (r *repository) check(files []string) error {
	i := slices.IndexFunc(r.modules, func(m *mod) bool { return m.dir == "." })
	if i < 0 || !r.modules[i].released {
		return fmt.Errorf("%s must have the line \"released .\": the root module is always released", listFile)
	}
	root := r.modules[i].path()
	if !slices.Contains(files, "LICENSE") {
		return errors.New("there is no file LICENSE: nobody may use a release without one")
	}
	for _, m := range r.modules {
		if want := path.Join(root, m.dir); m.path() != want {
			return fmt.Errorf("%s/go.mod says module %s: for its folder it must be %s", m.dir, m.path(), want)
		}
		if err := r.checkReleased(m, files); m.released && err != nil {
			return fmt.Errorf("%s/go.mod: %w", m.dir, err)
		}
	}
	return nil
}

func (r *repository) checkReleased(m *mod, files []string) error {
	for _, req := range m.file.Require {
		if required := r.module(req.Mod.Path); required != nil && !required.released {
			return fmt.Errorf("a released module requires %s, which %s does not release", req.Mod.Path, listFile)
		}
	}
	for _, rep := range m.file.Replace {
		if r.module(rep.Old.Path) == nil {
			return fmt.Errorf("it replaces %s, but a replace directive does nothing for those who import the module: require a version that works",
				rep.Old.Path)
		}
	}
	if !slices.ContainsFunc(files, func(name string) bool { return path.Dir(name) == m.outside() && strings.HasSuffix(name, "_test.go") }) {
		return fmt.Errorf("%s has no test: write a small program there that uses the module, and its test", m.outside())
	}
	return nil
}
