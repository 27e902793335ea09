// Package registry has a map from connection IDs to values that many goroutines use at
// once. The map is divided into shards, so that a connect or a disconnect locks only a
// small part of it for a short time.
package registry

import (
	"iter"
	"sync"

	"example.com/gateway/internal/connid"
)

// Map is a sharded map. The zero value is not usable, see [New].
type Map[V any] struct {
	shards [connid.Buckets]shard[V] // in the order of connid.Compare
}

type shard[V any] struct {
	mu     sync.RWMutex // guards values
	values map[string]V
	_      [32]byte // keeps neighbouring locks out of one cache line
}

// New returns an empty map.
func New[V any]() *Map[V] {
	m := &Map[V]{}
	for i := range m.shards {
		m.shards[i].values = map[string]V{}
	}
	return m
}

// Add stores v under id. If id is taken, it stores nothing and reports false.
func (m *Map[V]) Add(id string, v V) bool {
	s := m.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.values[id]; taken {
		return false
	}
	s.values[id] = v
	return true
}

// Get returns the value under id.
func (m *Map[V]) Get(id string) (v V, ok bool) {
	s := m.shard(id)
	s.mu.RLock()
	v, ok = s.values[id]
	s.mu.RUnlock()
	return v, ok
}

// Remove removes id and its value.
func (m *Map[V]) Remove(id string) {
	s := m.shard(id)
	s.mu.Lock()
	delete(s.values, id)
	s.mu.Unlock()
}

// Len returns the number of values.
func (m *Map[V]) Len() int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.RLock()
		n += len(s.values)
		s.mu.RUnlock()
	}
	return n
}

// All yields the values in no particular order. It copies the values of one shard at a
// time and holds no lock while it yields, so that the body of the loop may call methods of
// the map. A value that is added or removed meanwhile may be yielded or not.
func (m *Map[V]) All() iter.Seq[V] {
	return func(yield func(V) bool) {
		for batch := range m.From("") {
			for _, v := range batch {
				if !yield(v) {
					return
				}
			}
		}
	}
}

// From is All in parts: all IDs of a part come before those of the next one, in the order
// of [connid.Compare]. Within a part there is no order. It begins with the part of the
// given ID, "" for the first. A part must not be used after the body of the loop.
func (m *Map[V]) From(id string) iter.Seq[[]V] {
	return func(yield func([]V) bool) {
		var batch []V
		for n := connid.Bucket(id); n < len(m.shards); n++ {
			s := &m.shards[n]
			batch = batch[:0]
			s.mu.RLock()
			for _, v := range s.values {
				batch = append(batch, v)
			}
			s.mu.RUnlock()
			if !yield(batch) {
				return
			}
		}
	}
}

func (m *Map[V]) shard(id string) *shard[V] { return &m.shards[connid.Bucket(id)] }
