package api

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"

	"example.com/gateway/controlplane"
)

// runner has the functions that run. A version of a function is an instance. When its code
// or its configuration changes, the next event goes to a new instance, and the old one ends
// after its last event.
//
// It knows all functions without the store: a control plane that keeps its documents in the
// same store looks for functions while it changes it.
type runner struct {
	running sync.WaitGroup // goroutines

	mu        sync.Mutex // guards the fields below, and those of instances that say so
	closed    bool
	functions map[string]*function
	instances map[target]*instance // by name and version: those for new events
	all       map[*instance]struct{}
	async     int // events that nobody waits for
	documents int // of all functions, see size
}

// target is a function as an event names it, or an instance.
type target struct{ name, qualifier string }

// function is what the store has of a function. It is not changed.
type function struct {
	record   document
	versions map[string]document // $LATEST, too
	aliases  map[string]document
}

func (r *runner) init() {
	r.functions, r.instances, r.all = map[string]*function{}, map[target]*instance{}, map[*instance]struct{}{}
}

func (r *runner) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// close ends all instances, and what runs on them.
func (r *runner) close() {
	r.mu.Lock()
	r.closed = true
	all := slices.Collect(maps.Keys(r.all))
	clear(r.instances)
	r.mu.Unlock()
	for _, i := range all {
		i.close()
	}
}

// readFunction reads a function, or nil if there is none of this name.
func readFunction(r controlplane.Reader, name string) (*function, error) {
	record, err := read(r, functionKey(name))
	if err != nil || record == nil {
		return nil, err
	}
	newest, _ := record["Configuration"].(document)
	f := &function{record: record, versions: map[string]document{latest: newest}, aliases: map[string]document{}}
	_, versions, err := children(r, versionsKey(name), "", 0)
	if err != nil {
		return nil, err
	}
	for _, d := range versions {
		f.versions[textOf(d, "Version")] = d
	}
	names, aliases, err := children(r, aliasKey(name, ""), "", 0)
	for n, d := range aliases {
		f.aliases[names[n]] = d
	}
	return f, err
}

// version returns the version that a qualifier means, or "". An alias with weights means
// one or the other.
func (f *function) version(qualifier string) string {
	if qualifier == "" {
		return latest
	}
	if f.versions[qualifier] != nil {
		return qualifier
	}
	alias := f.aliases[qualifier]
	version := textOf(alias, "FunctionVersion")
	for other, value := range weightsOf(alias) {
		weight, _ := value.(json.Number)
		if share, _ := weight.Float64(); rand.Float64() < share {
			version = other
		}
	}
	if f.versions[version] == nil {
		return ""
	}
	return version
}

// load reads all functions of the store.
func (s *Server) load() error {
	return s.store.View(func(r controlplane.Reader) error {
		names, _, err := children(r, allFunctions, "", 0)
		for _, name := range names {
			f, err := readFunction(r, name)
			if err != nil {
				return err
			}
			s.runner.functions[name] = f
			s.runner.documents += f.size()
		}
		return err
	})
}

// settle brings the runner up to date after a change of a function, which is nil if it is
// gone. It returns the code that was taken away, for remove. The caller holds the lock of
// changes.
func (s *Server) settle(name string, f *function) (aside []string) {
	old := s.runner.replace(s, name, f)
	hashes := old.hashes()
	maps.DeleteFunc(hashes, func(hash string, _ bool) bool { return f.hashes()[hash] })
	return s.dropUnused(hashes)
}

// replace makes a function known in the place of the one with its name, and ends instances
// that it does not have any more. f is nil if the function is gone.
func (r *runner) replace(s *Server, name string, f *function) (old *function) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old = r.functions[name]
	r.documents += f.size() - old.size()
	if f == nil {
		delete(r.functions, name)
	} else {
		r.functions[name] = f
	}
	for t, i := range r.instances {
		if t.name != name || f != nil && f.versions[t.qualifier] != nil && s.newInstance(t, f).fingerprint == i.fingerprint {
			continue
		}
		delete(r.instances, t)
		i.retired = true
		if i.refs == 0 {
			r.end(i)
		}
	}
	return old
}

// acquire returns the instance for an event. The caller releases it.
func (s *Server) acquire(t target) (*instance, error) {
	r := &s.runner
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errClosed
	}
	version := ""
	f := r.functions[t.name]
	if f != nil {
		version = f.version(t.qualifier)
	}
	if version == "" {
		return nil, notFound("Function not found: %s", s.arnOf(t.name, t.qualifier))
	}
	key := target{t.name, version}
	i := r.instances[key]
	if i == nil {
		i = s.newInstance(key, f)
		r.instances[key] = i
		r.all[i] = struct{}{}
		s.code.pin(i.hash)
	}
	i.refs++
	return i, nil
}

// release gives an instance back.
func (s *Server) release(i *instance) {
	r := &s.runner
	r.mu.Lock()
	defer r.mu.Unlock()
	if i.refs--; i.refs == 0 && i.retired {
		r.end(i)
	}
}

// end lets an instance end that has no events. The caller holds the lock.
func (r *runner) end(i *instance) {
	if r.closed {
		return // close ends it
	}
	r.running.Go(func() {
		i.shutdown()
		r.mu.Lock()
		delete(r.all, i)
		r.mu.Unlock()
		i.server.unpin(i.hash)
	})
}

// size is how many documents a function has: itself, with $LATEST, its versions and its
// aliases. f may be nil.
func (f *function) size() int {
	if f == nil {
		return 0
	}
	return len(f.versions) + len(f.aliases)
}

// checkRoom refuses one more function, version or alias if there are too many. The caller
// holds the lock of changes.
func (s *Server) checkRoom() error {
	s.runner.mu.Lock()
	defer s.runner.mu.Unlock()
	if s.runner.documents >= s.most {
		return invalid("There are %d functions, versions and aliases, which is the most: delete those that you do not need", s.most)
	}
	return nil
}

// usedCode returns the hashes of the code of all functions.
func (r *runner) usedCode() map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	used := map[string]bool{}
	for _, f := range r.functions {
		for hash := range f.hashes() {
			used[hash] = true
		}
	}
	return used
}

// hashes returns the hashes of the code of a function. f may be nil.
func (f *function) hashes() map[string]bool {
	all := map[string]bool{}
	if f != nil {
		for _, d := range f.versions {
			all[hashOf(d)] = true
		}
	}
	return all
}

// unpin gives code back, and removes it if no function needs it.
func (s *Server) unpin(hash string) {
	s.code.unpin(hash)
	s.changes.Lock()
	aside := s.dropUnused(map[string]bool{hash: true})
	s.changes.Unlock()
	s.remove(aside)
}

// dropUnused takes code away that nothing needs, and returns what remove then removes. The
// caller holds the lock of changes: else another one could name the code just now.
func (s *Server) dropUnused(hashes map[string]bool) (aside []string) {
	if len(hashes) == 0 {
		return nil
	}
	used := s.runner.usedCode()
	for hash := range hashes {
		if used[hash] || hash == "" {
			continue
		}
		paths, err := s.code.drop(hash)
		if err != nil {
			s.log.Warn("old code of functions could not be removed", "error", err)
		}
		aside = append(aside, paths...)
	}
	return aside
}

// remove removes what dropUnused has taken away.
func (s *Server) remove(paths []string) {
	for _, path := range paths {
		if err := os.RemoveAll(path); err != nil {
			s.log.Warn("old code of functions could not be removed", "error", err)
		}
	}
}
