// Package tree finds and copies the files of a repository.
package tree

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Files returns the regular files below a folder, as sorted paths with slashes,
// relative to the folder. It leaves out .git and node_modules, which are not the
// project's own. It does not use git, because a copy of the tree has no .git.
func Files(dir string) ([]string, error) {
	var files []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.Name() == ".git" || d.Name() == "node_modules":
			if d.IsDir() {
				return fs.SkipDir
			}
		case d.Type().IsRegular():
			files = append(files, name)
		}
		return nil
	})
	return files, err
}

// GoMods returns the go.mod files among files, one for each module. It leaves out
// those in a testdata folder, which are not modules of the repository.
func GoMods(files []string) (mods []string) {
	for _, name := range files {
		if path.Base(name) == "go.mod" && !strings.Contains("/"+name, "/testdata/") {
			mods = append(mods, name)
		}
	}
	return mods
}

// Copy copies the files below the folder src to the folder dst.
func Copy(dst, src string) error {
	files, err := Files(src)
	if err != nil {
		return err
	}
	for _, name := range files {
		if err := copyFile(filepath.Join(dst, name), filepath.Join(src, name)); err != nil {
			return fmt.Errorf("copy %s: %w", name, err)
		}
	}
	return nil
}

func copyFile(dst, src string) error {
	info, err := os.Stat(src)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(src)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
		return err
	}
	return os.WriteFile(dst, data, info.Mode().Perm())
}
