package dev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"example.com/gateway/controlplane"
	"example.com/gateway/controlplane/boltstore"
	"example.com/gateway/definition"
)

// read reads the definition, and notes which files it consists of. The end of ctx does not wait
// for a file that cannot be read to its end, such as a pipe.
func (s *server) read(ctx context.Context) error {
	if s.o.File == "" {
		return nil
	}
	type result struct {
		d     *definition.Definition
		files watched
		err   error
	}
	loaded := make(chan result, 1)
	go func() {
		r := result{files: watched{}}
		options := s.o.definition(filepath.Join(s.dir, "code"))
		options.OnFile = func(path string) { r.files[path] = stampOf(path) }
		r.d, r.err = s.load(options)
		loaded <- r
	}()
	select {
	case r := <-loaded:
		before := s.files
		s.files = r.files
		if r.err != nil {
			s.files.add(before) // what was not reached, as while a file is being replaced
			return fileError(r.err)
		}
		s.wanted = r.d
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// load loads the definition. A panic is an error, because it must not end the connections that
// there are when a file is read again.
func (s *server) load(options definition.Options) (_ *definition.Definition, err error) {
	defer func() {
		if v := recover(); v != nil {
			s.log.Debug("a panic while a definition was read", "panic", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("%s: reading it has failed by a mistake of this program, please report it: %v", s.o.File, v)
		}
	}()
	return definition.Load(s.o.File, options)
}

// definition says how to read the definition.
func (o *Options) definition(workDir string) definition.Options {
	d := o.Definition
	d.Region, d.AccountID, d.WorkDir = o.Region, o.AccountID, workDir
	return d
}

// fileError is an error of Load, with paths as a person writes them.
func fileError(err error) error {
	var problems *definition.Error
	if !errors.As(err, &problems) {
		return &FileError{strings.TrimPrefix(err.Error(), "definition: ")}
	}
	lines := make([]string, len(problems.Problems))
	for n, p := range problems.Problems {
		p.File = shortPath(p.File)
		lines[n] = withFlag(p).String()
	}
	return &FileError{strings.Join(lines, "\n")}
}

// withFlag says with which flag, or variable, a value is given that the file does not have.
func withFlag(p definition.Note) definition.Note {
	if text, found := strings.CutSuffix(p.Text, ": give it a value"); found {
		p.Text = text + ": give it a value with --parameter " + p.LogicalID + "=…"
	}
	variable, rest, found := strings.Cut(strings.TrimPrefix(p.Text, "the variable ${"), "} has no value: give one")
	source, name, _ := strings.Cut(variable, ":")
	if !found {
		return p
	}
	switch source {
	case "env":
		p.Text = fmt.Sprintf("the variable ${%s} has no value: start with %s=… gateway dev%s", variable, name, rest)
	case "opt":
		p.Text = fmt.Sprintf("the variable ${%s} has no value: give one with --option %s=…%s", variable, name, rest)
	}
	return p
}

// prepare makes the functions of what was read known. It returns nil without a definition.
func (s *server) prepare() *plan {
	if s.wanted == nil {
		return nil
	}
	p := s.functions.prepare(s.wanted)
	p.merged()
	return p
}

// apply brings APIs and functions up to date with what was read and prepared. After an error
// all is as it was.
func (s *server) apply(ctx context.Context, p *plan) error {
	d := s.wanted
	if d == nil {
		return nil
	}
	before, _ := s.plane.Stages("") // what the store cannot read, Apply cannot either
	if err := s.plane.Apply(ctx, callsOf(d)); err != nil {
		p.discard()
		return notApplied(d, s.o.File, err)
	}
	p.commit()
	former := s.now
	s.now = d
	s.removeCode(former)
	s.removedAPIs(before)
	return nil
}

// removeCode removes unpacked code that no function needs any more. That of the former
// definition stays, because its last events may still run.
func (s *server) removeCode(former *definition.Definition) {
	var needed []*definition.Definition
	if former != nil {
		needed = append(needed, former)
	}
	if err := s.now.RemoveUnused(needed...); err != nil {
		s.log.Warn("code that is not needed any more was not removed", "error", err)
	}
}

// removedAPIs says which APIs of a former definition are gone: that may have been another
// file, with the same --state.
func (s *server) removedAPIs(before []controlplane.Stage) {
	now, _ := s.plane.Stages("")
	gone := map[string]bool{}
	for _, st := range before {
		if !gone[st.APIID] && !slices.ContainsFunc(now, func(n controlplane.Stage) bool { return n.APIID == st.APIID }) {
			gone[st.APIID] = true
			s.print.warning("the API %s (%s) is removed: a definition had made it, and %s does not have it", visible(st.APIName), st.APIID, shortPath(s.o.File))
		}
	}
}

func callsOf(d *definition.Definition) []controlplane.Call {
	calls := d.Calls()
	converted := make([]controlplane.Call, len(calls))
	for n, c := range calls {
		converted[n] = controlplane.Call(c)
	}
	return converted
}

// notApplied is the error of a definition that Apply does not take. What is wrong with this machine,
// such as a full disk, is no mistake of the file.
func notApplied(d *definition.Definition, file string, err error) error {
	for _, other := range []error{context.Canceled, context.DeadlineExceeded, boltstore.ErrClosed, boltstore.ErrCorrupt} {
		if errors.Is(err, other) {
			return err
		}
	}
	if errors.As(err, new(*fs.PathError)) || errors.As(err, new(syscall.Errno)) {
		return err
	}
	return &FileError{located(d, file, err)}
}

// located is the text of an error of Apply, with the place of the resource.
func located(d *definition.Definition, file string, err error) string {
	text := userWords(strings.TrimPrefix(err.Error(), "controlplane: "))
	logicalID, _, _ := strings.Cut(text, ":")
	for doc := range documents(d) {
		if doc.LogicalID == logicalID {
			return fmt.Sprintf("%s:%d: %s", shortPath(doc.File), doc.Line, text)
		}
	}
	return shortPath(file) + ": " + text
}

// documents are all resources of a definition.
func documents(d *definition.Definition) func(yield func(definition.Document) bool) {
	var all []definition.Document
	for _, api := range d.APIs {
		all = append(all, api.Document)
		for _, r := range api.Routes {
			all = append(append(all, r.Document), r.Responses...)
		}
		for _, i := range api.Integrations {
			all = append(append(all, i.Document), i.Responses...)
		}
		for _, list := range [][]definition.Document{api.Authorizers, api.Models, api.Deployments, api.Stages} {
			all = append(all, list...)
		}
	}
	for _, domain := range d.Domains {
		all = append(append(all, domain.Document), domain.Mappings...)
	}
	return func(yield func(definition.Document) bool) {
		for _, doc := range all {
			if !yield(doc) {
				return
			}
		}
	}
}

// shortPath is a path as a person writes it: relative, if it is below the working directory.
func shortPath(path string) string {
	wd, err := filepath.Abs(".")
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(wd, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}
