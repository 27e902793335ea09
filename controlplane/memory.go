package controlplane

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// memory is the Store of a Server that is given none: its state ends with the process.
// An Update writes in place and keeps what it needs to undo it.
type memory struct {
	mu     sync.RWMutex
	keys   keySet
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
	m.keys.from(max(prefix, after), func(key string) bool {
		switch {
		case key == after:
			return true
		case !strings.HasPrefix(key, prefix) || limit > 0 && len(keys) == limit:
			return false
		}
		keys = append(keys, key)
		values = append(values, m.values[key])
		return true
	})
	return keys, values, nil
}

// set changes the value of a key, or removes the key if the value is nil.
func (m *memory) set(key string, value []byte) {
	_, found := m.values[key]
	switch {
	case value == nil && found:
		m.keys.remove(key)
	case value != nil && !found:
		m.keys.add(key)
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
	if key == "" || len(value) == 0 {
		return fmt.Errorf("controlplane: the key %q or its value is empty: delete the key instead", key)
	}
	w.change(key, slices.Clone(value))
	return nil
}

func (w *memoryWriter) Delete(prefix string) error {
	if prefix == "" {
		return errors.New("controlplane: delete without a key would delete everything: name a key")
	}
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

// keySet is a set of keys in their order. It has them in short pieces, so that a key is
// added or removed in about the same time however many there are.
type keySet struct {
	pieces [][]string // none is empty
}

const longestPiece = 512

// piece returns the piece that has a key, or would have it. There is at least one piece.
func (k *keySet) piece(key string) int {
	n, found := slices.BinarySearchFunc(k.pieces, key, func(piece []string, key string) int { return strings.Compare(piece[0], key) })
	if !found {
		n--
	}
	return max(0, n)
}

func (k *keySet) add(key string) {
	if len(k.pieces) == 0 {
		k.pieces = [][]string{{key}}
		return
	}
	at := k.piece(key)
	n, _ := slices.BinarySearch(k.pieces[at], key)
	piece := slices.Insert(k.pieces[at], n, key)
	if len(piece) > longestPiece {
		half := len(piece) / 2
		k.pieces = slices.Insert(k.pieces, at+1, slices.Clone(piece[half:]))
		clear(piece[half:])
		piece = piece[:half]
	}
	k.pieces[at] = piece
}

// remove removes a key that is in the set.
func (k *keySet) remove(key string) {
	at := k.piece(key)
	n, _ := slices.BinarySearch(k.pieces[at], key)
	if k.pieces[at] = slices.Delete(k.pieces[at], n, n+1); len(k.pieces[at]) == 0 {
		k.pieces = slices.Delete(k.pieces, at, at+1)
	}
}

// from calls f with each key from start on, until f returns false.
func (k *keySet) from(start string, f func(key string) bool) {
	if len(k.pieces) == 0 {
		return
	}
	at := k.piece(start)
	n, _ := slices.BinarySearch(k.pieces[at], start)
	for ; at < len(k.pieces); at++ {
		for _, key := range k.pieces[at][n:] {
			if !f(key) {
				return
			}
		}
		n = 0
	}
}
