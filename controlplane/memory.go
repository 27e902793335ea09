package controlplane

import (
	"slices"
	"strings"
	"sync"
)

// memory is the Store of a Server that is given none: its state ends with the process.
// An Update writes in place and keeps what it needs to undo it.
type memory struct {
	mu     sync.RWMutex
	keys   []string // in order
	values map[string][]byte
}

// NewMemory returns a Store in memory. Its state ends with the process.
func NewMemory() Store { return newMemory() }

func newMemory() *memory { return &memory{values: map[string][]byte{}} }

func (m *memory) View(f func(Reader) error) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return f(m)
}

func (m *memory) Update(f func(Writer) error) (err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := &memoryWriter{memory: m, before: map[string][]byte{}}
	committed := false
	defer func() { // f may panic, too
		if !committed {
			w.undo()
		}
	}()
	if err := f(w); err != nil {
		return err
	}
	committed = true
	return nil
}

func (m *memory) Close() error { return nil }

func (m *memory) Get(key string) ([]byte, error) { return m.values[key], nil }

func (m *memory) List(prefix, after string, limit int) (keys []string, values [][]byte, err error) {
	n, found := slices.BinarySearch(m.keys, max(prefix, after))
	if found && m.keys[n] == after {
		n++
	}
	for ; n < len(m.keys) && strings.HasPrefix(m.keys[n], prefix); n++ {
		if limit > 0 && len(keys) == limit {
			break
		}
		keys = append(keys, m.keys[n])
		values = append(values, m.values[m.keys[n]])
	}
	return keys, values, nil
}

// set changes the value of a key, or removes the key if the value is nil.
func (m *memory) set(key string, value []byte) {
	n, found := slices.BinarySearch(m.keys, key)
	switch {
	case value == nil && found:
		m.keys = slices.Delete(m.keys, n, n+1)
	case value != nil && !found:
		m.keys = slices.Insert(m.keys, n, key)
	}
	if value == nil {
		delete(m.values, key)
	} else {
		m.values[key] = value
	}
}

// memoryWriter is an Update under way.
type memoryWriter struct {
	*memory
	before map[string][]byte // what the changed keys had at first; nil: nothing
}

func (w *memoryWriter) change(key string, value []byte) {
	if _, again := w.before[key]; !again {
		w.before[key] = w.values[key]
	}
	w.set(key, value)
}

func (w *memoryWriter) undo() {
	for key, value := range w.before {
		w.set(key, value)
	}
}

func (w *memoryWriter) Put(key string, value []byte) error {
	w.change(key, append([]byte{}, value...))
	return nil
}

func (w *memoryWriter) Delete(prefix string) error {
	key := strings.TrimSuffix(prefix, "/")
	keys, _, _ := w.List(key+"/", "", 0)
	for _, below := range keys {
		w.change(below, nil)
	}
	if key == prefix {
		w.change(key, nil)
	}
	return nil
}
