package dev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"example.com/gateway/controlplane"
	"example.com/gateway/definition"
	"example.com/gateway/lambda"
	"example.com/gateway/lambda/api"
	"example.com/gateway/lambda/process"
)

// resolvers are several places of functions. The first that knows a function counts.
type resolvers []controlplane.FunctionResolver

// ResolveFunction implements [controlplane.FunctionResolver]. The error for an unknown function
// is no ErrUnknownFunction: the control plane would add what a Go program can do.
func (all resolvers) ResolveFunction(uri string) (lambda.Invoker, error) {
	for _, r := range all {
		if i, err := r.ResolveFunction(uri); !errors.Is(err, controlplane.ErrUnknownFunction) {
			return i, err
		}
	}
	name, err := controlplane.ParseFunctionName(uri)
	if err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("there is no function %q: create it, or start \"gateway dev\" with a definition that has it", name.Name)
}

// functions are the functions of the definition, as processes. They are found by name, ARN
// and logical ID. The zero value has none.
type functions struct {
	log       *slog.Logger
	env, more []string // before and after the variables of each function
	pass      []string
	address   string // of the port with TLS: localhost:4568
	unwatched []fs.FileInfo

	mu      sync.RWMutex // guards the fields below
	byName  map[string]*function
	all     map[*function]bool // also those that are gone, and still run events
	retired sync.WaitGroup     // of those
}

// function is one function. Events that run when it goes end as usual.
type function struct {
	cfg     process.Config // without its Logger and Unwatched
	fn      *process.Function
	err     error          // why it cannot run
	running sync.WaitGroup // events; added to under the lock of functions, while the function is in byName
}

// ResolveFunction implements [controlplane.FunctionResolver].
func (fs *functions) ResolveFunction(uri string) (lambda.Invoker, error) {
	name, err := controlplane.ParseFunctionName(uri)
	if err != nil {
		return nil, err
	}
	fs.mu.RLock()
	defer fs.mu.RUnlock()
	f := fs.byName[name.Name]
	switch {
	case f == nil:
		return nil, fmt.Errorf("%w: %q", controlplane.ErrUnknownFunction, name.Name)
	case f.err != nil:
		return nil, f.err
	}
	return &invoker{fs, name.Name}, nil
}

// invoker calls the function that has a name at the time of the call.
type invoker struct {
	functions *functions
	name      string
}

// FunctionName returns the name of the function.
func (i *invoker) FunctionName() string { return i.name }

// InvokeFunction implements [lambda.Invoker].
func (i *invoker) InvokeFunction(ctx context.Context, payload []byte) ([]byte, error) {
	f, err := i.functions.begin(i.name)
	if err != nil {
		return nil, err
	}
	defer f.running.Done()
	return f.fn.InvokeFunction(ctx, payload)
}

func (fs *functions) begin(name string) (*function, error) {
	fs.mu.RLock()
	defer fs.mu.RUnlock()
	f := fs.byName[name]
	switch {
	case f != nil && f.err != nil:
		return nil, &lambda.FunctionError{Function: name, Type: "Runtime.InvalidEntrypoint", Message: f.err.Error()}
	case f == nil:
		return nil, &lambda.InvokeError{Function: name, StatusCode: 404, Type: "ResourceNotFoundException", Message: "the function is gone"}
	}
	f.running.Add(1)
	return f, nil
}

// Find implements [api.Others]: handlers call the functions of the definition by their names.
func (fs *functions) Find(name string) (o api.Other, found bool) {
	fs.mu.RLock()
	defer fs.mu.RUnlock()
	f := fs.byName[name]
	if f == nil || f.cfg.Name != name { // that is a logical ID
		return o, false
	}
	return fs.other(f), true
}

// All implements [api.Others].
func (fs *functions) All() (all []api.Other) {
	fs.mu.RLock()
	defer fs.mu.RUnlock()
	for name, f := range fs.byName {
		if f.cfg.Name == name {
			all = append(all, fs.other(f))
		}
	}
	return all
}

func (fs *functions) other(f *function) api.Other {
	return api.Other{
		Name: f.cfg.Name, ARN: f.cfg.ARN, Runtime: f.cfg.Runtime, Handler: f.cfg.Handler, Timeout: f.cfg.Timeout, MemoryMB: f.cfg.MemoryMB,
		Invoker: &invoker{fs, f.cfg.Name},
	}
}

// plan is a set of functions that takes the place of another one.
type plan struct {
	functions *functions
	next      map[string]*function
	made      []*function
}

// prepare makes what is new or changed in a definition. The others stay as they are, with
// their processes. Nothing is replaced before commit.
func (fs *functions) prepare(d *definition.Definition) *plan {
	p := &plan{functions: fs, next: map[string]*function{}}
	for n := range d.Functions {
		c := fs.configuration(&d.Functions[n], d)
		fs.mu.RLock()
		f := fs.byName[c.Name]
		fs.mu.RUnlock()
		if f == nil || f.err != nil || !reflect.DeepEqual(f.cfg, c) {
			f = fs.start(c)
			p.made = append(p.made, f)
		}
		p.next[d.Functions[n].LogicalID] = f
		p.next[c.Name] = f
	}
	return p
}

func (fs *functions) start(c process.Config) *function {
	f := &function{cfg: c}
	c.Logger, c.Unwatched = fs.log, fs.unwatched
	if f.fn, f.err = process.New(c); f.err != nil {
		fs.log.Error("a function cannot run", "function", c.Name, "error", f.err)
		return f
	}
	f.fn.Prepare() // the service gives $connect 29 seconds, and a build may take longer
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.all == nil {
		fs.all = map[*function]bool{}
	}
	fs.all[f] = true
	return f
}

// merged makes the functions of the plan known, besides those that may still be called until
// commit.
func (p *plan) merged() {
	p.functions.swap(func(old map[string]*function) map[string]*function {
		all := maps.Clone(old)
		if all == nil {
			all = map[string]*function{}
		}
		for name, f := range p.next {
			if all[name] == nil {
				all[name] = f
			}
		}
		return all
	})
}

// commit replaces the functions. Those that are gone or changed end with their last event.
func (p *plan) commit() {
	p.functions.swap(func(map[string]*function) map[string]*function { return p.next })
}

// discard forgets the plan.
func (p *plan) discard() {
	p.functions.swap(func(now map[string]*function) map[string]*function {
		kept := maps.Clone(now)
		maps.DeleteFunc(kept, func(_ string, f *function) bool { return slices.Contains(p.made, f) })
		return kept
	})
	for _, f := range p.made {
		p.functions.retire(f)
	}
}

// swap replaces the functions, and retires those that are no longer there.
func (fs *functions) swap(change func(map[string]*function) map[string]*function) {
	fs.mu.Lock()
	old := fs.byName
	fs.byName = change(old)
	kept := map[*function]bool{}
	for _, f := range fs.byName {
		kept[f] = true
	}
	fs.mu.Unlock()
	for _, f := range old {
		if !kept[f] {
			kept[f] = true // it may have two names
			fs.retire(f)
		}
	}
}

// retire ends a function after its last event.
func (fs *functions) retire(f *function) {
	if f.fn == nil {
		return
	}
	f.fn.Retire() // it does not see changed files any more
	fs.retired.Go(func() {
		f.running.Wait()
		_ = f.fn.Close()
		fs.mu.Lock()
		defer fs.mu.Unlock()
		delete(fs.all, f)
	})
}

// close ends all functions at once, with their children.
func (fs *functions) close() {
	fs.mu.Lock()
	all := maps.Clone(fs.all)
	fs.byName = nil
	fs.mu.Unlock()
	var group sync.WaitGroup
	for f := range all {
		group.Go(func() { _ = f.fn.Close() })
	}
	group.Wait()
	fs.retired.Wait()
}

// configuration says how to run a function of a definition.
func (fs *functions) configuration(f *definition.Function, d *definition.Definition) process.Config {
	env := slices.Clone(fs.env)
	for _, name := range slices.Sorted(maps.Keys(f.Env)) {
		env = append(env, name+"="+localHosts(f.Env[name], d, fs.address))
	}
	return process.Config{
		Name: f.Name, ARN: f.ARN, Dir: f.Dir, Handler: f.Handler, Runtime: f.Runtime, Command: f.Command,
		Env: append(env, fs.more...), PassEnv: fs.pass, Timeout: f.Timeout, MemoryMB: f.MemoryMB,
	}
}

// localHosts puts addresses of this machine in the place of those that the APIs of a
// definition would have on AWS: https://{API ID}.execute-api.{region}.amazonaws.com/{stage}
// becomes https://localhost:4568/{API ID}/{stage}.
func localHosts(text string, d *definition.Definition, address string) string {
	if !strings.Contains(text, ".execute-api.") {
		return text
	}
	for _, api := range d.APIs {
		host := regexp.MustCompile(`\b` + regexp.QuoteMeta(api.ID) + `\.execute-api\.[a-z0-9-]+\.amazonaws\.com(\.cn)?\b`)
		text = host.ReplaceAllLiteralString(text, address+"/"+api.ID)
	}
	return text
}
