package limit

import (
	"errors"
	"net/netip"
	"sync"
)

// What [Sources.Add] refuses.
var (
	ErrAll    = errors.New("the limit of all connections is reached")
	ErrSource = errors.New("the limit of the source's connections is reached")
)

// Sources counts connections and upgrades under way, in all and for each source
// address: one client shall not take the node. An IPv6 source is its /64 network,
// since a host has all of that to choose from. It is safe for concurrent use.
type Sources struct {
	limit          int // of all; zero is no limit
	limitPerSource int

	mu       sync.Mutex // guards the fields below
	all      int
	bySource map[netip.Prefix]int
}

// NewSources returns counts with limits. A limit of zero is none.
func NewSources(all, perSource int) *Sources {
	return &Sources{limit: all, limitPerSource: perSource, bySource: map[netip.Prefix]int{}}
}

func (s *Sources) limited() bool { return s.limit > 0 || s.limitPerSource > 0 }

// Add counts one more, unless that is above a limit: then it returns [ErrAll] or
// [ErrSource].
func (s *Sources) Add(address string) error {
	if !s.limited() {
		return nil
	}
	source := sourceOf(address)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.limit > 0 && s.all >= s.limit:
		return ErrAll
	case s.limitPerSource > 0 && s.bySource[source] >= s.limitPerSource:
		return ErrSource
	}
	s.all++
	s.bySource[source]++
	return nil
}

// Remove undoes one Add of an address that returned nil.
func (s *Sources) Remove(address string) {
	if !s.limited() {
		return
	}
	source := sourceOf(address)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.bySource[source]--; s.bySource[source] == 0 {
		delete(s.bySource, source)
	}
}

// sourceOf returns the network that an address counts for. Text that is no IP
// address, which a server over another transport may have, counts together.
func sourceOf(address string) netip.Prefix {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	addr = addr.Unmap()
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.WithZone("").Prefix(bits) // fits
	return prefix
}
