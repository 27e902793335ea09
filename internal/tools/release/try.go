package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"

	"example.com/gateway/internal/tools/tree"
)

// try prepares a release of the repository in dir, in a copy, and uses each released
// module from outside. For each, a new module gets it from a proxy, builds and tests
// a small program with it, and builds all its packages. Dependencies come from where
// env says, or from the module cache.
func try(ctx context.Context, dir, version string, env []string, out io.Writer) error {
	work, err := os.MkdirTemp("", "gateway-release-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	for _, name := range []string{"copy", "proxy", "cache", "outside"} {
		if err := os.Mkdir(filepath.Join(work, name), 0o755); err != nil {
			return err
		}
	}
	if err := tree.Copy(filepath.Join(work, "copy"), dir); err != nil {
		return err
	}
	r, err := load(filepath.Join(work, "copy"))
	if err != nil {
		return err
	}
	if err := r.prepare(version, out); err != nil {
		return err
	}
	for _, m := range r.released() {
		if err := r.publish(m, version, filepath.Join(work, "proxy")); err != nil {
			return fmt.Errorf("publish %s: %w", m.path(), err)
		}
	}
	env, err = outsideEnv(ctx, work, r.released()[0].path(), env)
	if err != nil {
		return err
	}
	for _, m := range r.released() {
		start := time.Now()
		if err := r.use(ctx, m, version, filepath.Join(work, "outside"), env); err != nil {
			return fmt.Errorf("%s %s does not work outside of the repository: %w", m.path(), version, err)
		}
		_, _ = fmt.Fprintf(out, "ok  %s %s, in %.1f s\n", m.path(), version, time.Since(start).Seconds())
	}
	return nil
}

// publish writes a version of a module into a proxy, in the layout that the go
// command expects (https://go.dev/ref/mod#goproxy-protocol).
func (r *repository) publish(m *mod, version, proxy string) error {
	escaped, err := module.EscapePath(m.path())
	if err != nil {
		return err
	}
	folder := filepath.Join(proxy, escaped, "@v")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	dir := filepath.Join(r.dir, m.dir)
	if err := addLicense(dir, r.dir); err != nil {
		return err
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return err
	}
	info, err := json.Marshal(map[string]any{"Version": version, "Time": time.Now().UTC()})
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	if err := zip.CreateFromDir(&archive, module.Version{Path: m.path(), Version: version}, dir); err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		"list": []byte(version + "\n"), version + ".info": info, version + ".mod": mod, version + ".zip": archive.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// addLicense copies the license of the root into a nested module, as the go command
// does when it reads a module from a repository.
func addLicense(dir, root string) error {
	license, err := os.ReadFile(filepath.Join(root, "LICENSE"))
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "LICENSE")); err == nil {
		return nil
	}
	return os.WriteFile(filepath.Join(dir, "LICENSE"), license, 0o644)
}

// outsideEnv returns the environment for the go command of a user who gets our
// modules from the proxy. It has a new module cache, because a version in the present
// user's cache would stay there forever. It uses the present user's cache as a second
// proxy, so that nothing in it is asked for over the network.
func outsideEnv(ctx context.Context, work, root string, env []string) ([]string, error) {
	text, err := goCommand(ctx, work, env, "env", "-json", "GOPROXY", "GOMODCACHE", "GOSUMDB", "GONOSUMDB", "GOTOOLCHAIN")
	if err != nil {
		return nil, err
	}
	var now struct{ GOPROXY, GOMODCACHE, GOSUMDB, GONOSUMDB, GOTOOLCHAIN string }
	if err := json.Unmarshal([]byte(text), &now); err != nil {
		return nil, err
	}
	proxies := []string{fileURL(filepath.Join(work, "proxy")), fileURL(filepath.Join(now.GOMODCACHE, "cache", "download")), now.GOPROXY}
	return append(slices.Clip(env),
		"GOPROXY="+strings.Join(proxies, ","),
		"GOMODCACHE="+filepath.Join(work, "cache"),
		"GOSUMDB="+now.GOSUMDB, "GOTOOLCHAIN="+now.GOTOOLCHAIN,
		"GONOSUMDB="+strings.TrimSuffix(root+","+now.GONOSUMDB, ","), // the checksum database does not have our versions
		"GOENV=off", "GOPRIVATE=", "GONOPROXY=", // not even "none": then the go command would look into its cache first
		"GOWORK=off",
		"GOFLAGS=-modcacherw -trimpath", // so that the next run, in another folder, can use the build cache
	), nil
}

func fileURL(path string) string {
	return (&url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(filepath.ToSlash(path), "/")}).String()
}

// use does what a user of a released module does, in a new module.
func (r *repository) use(ctx context.Context, m *mod, version, outside string, env []string) error {
	dir := filepath.Join(outside, strings.ReplaceAll(m.dir, "/", "-"), "program")
	if err := tree.Copy(dir, filepath.Join(r.dir, m.outside())); err != nil {
		return err
	}
	if err := r.writeSums(filepath.Join(dir, "go.sum")); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"mod", "init", "outside.example/program"},
		{"get", m.path() + "@" + version},
		{"mod", "tidy"},
		{"build", "-o", os.DevNull, "./..."},
		{"vet", "./..."},
		{"test", "./..."},
		// All packages of the module, not only those that the program imports.
		{"get", m.path() + "/...@" + version},
		{"build", m.path() + "/..."},
	} {
		if _, err := goCommand(ctx, dir, env, args...); err != nil {
			return err
		}
	}
	return nil
}

// writeSums writes the checksums that the released modules have, so that dependencies
// are checked even if the checksum database cannot be reached.
func (r *repository) writeSums(file string) error {
	var sums []byte
	for _, m := range r.released() {
		text, err := os.ReadFile(filepath.Join(r.dir, m.dir, "go.sum"))
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		sums = append(sums, text...)
	}
	return os.WriteFile(file, sums, fs.FileMode(0o644))
}

// goCommand runs the go command and returns its output.
func goCommand(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = dir, env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s%s", strings.Join(args, " "), err, &stdout, &stderr)
	}
	return stdout.String(), nil
}
