package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// checkVersion reports what is wrong with a version for a release of a module.
func checkVersion(modulePath, version string) error {
	switch {
	case version == "":
		return errors.New("the version is missing: write -version v0.1.0, say")
	case !semver.IsValid(version) && semver.IsValid("v"+version):
		return fmt.Errorf("-version %q has no v: write -version %s", version, semver.Canonical("v"+version))
	case !semver.IsValid(version):
		return fmt.Errorf("-version %q is not a version: write one as v0.1.0", version)
	case semver.Canonical(version) != version:
		return fmt.Errorf("-version %q is not in its full form: write -version %s", version, semver.Canonical(version))
	case module.IsPseudoVersion(version):
		return fmt.Errorf("-version %q is what go get makes of a commit without a tag, and no name of a release: write one as v0.1.0", version)
	}
	if err := module.Check(modulePath, version); err != nil {
		return fmt.Errorf("-version %q: %w: versions from v2 on need another module path first", version, err)
	}
	return nil
}

// prepare writes the version of the release into every go.mod that requires a
// released module. If there is an error in the version or in a go.mod, it writes
// nothing.
func (r *repository) prepare(version string, out io.Writer) error {
	if err := checkVersion(r.released()[0].path(), version); err != nil {
		return err
	}
	texts := map[*mod][]byte{}
	for _, m := range r.modules {
		for _, req := range m.file.Require {
			required := r.module(req.Mod.Path)
			if required == nil || !required.released || req.Mod.Version == version {
				continue
			}
			if err := m.file.AddRequire(req.Mod.Path, version); err != nil {
				return fmt.Errorf("%s/go.mod: %w", m.dir, err)
			}
			text, err := m.file.Format()
			if err != nil {
				return fmt.Errorf("%s/go.mod: %w", m.dir, err)
			}
			texts[m] = text
			_, _ = fmt.Fprintf(out, "%s/go.mod now requires %s %s\n", m.dir, req.Mod.Path, version)
		}
	}
	for m, text := range texts {
		if err := os.WriteFile(filepath.Join(r.dir, m.dir, "go.mod"), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// printTags prints how to publish the commit that was prepared.
func (r *repository) printTags(version string, out io.Writer) {
	var tags []string
	_, _ = fmt.Fprintf(out, "\nCommit this, let CI pass, then set and push the tags:\n\n")
	for _, m := range r.released() {
		tag := m.tag(version)
		tags = append(tags, tag)
		_, _ = fmt.Fprintf(out, "  git tag -a %s -m '%s %s'\n", tag, path.Base(m.path()), version)
	}
	_, _ = fmt.Fprintf(out, "  git push --atomic origin %s\n", strings.Join(tags, " "))
}
