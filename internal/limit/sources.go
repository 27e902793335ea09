package limit

import (
	"errors"
	"net/netip"
	"sync"
)

// Errors of [Sources.Add].
var (
	ErrAll    = errors.New("the limit of all connections is reached")
	ErrSource = errors.New("the limit of the source's connections is reached")
)

// Sources counts connections and upgrades in progress, in total and for each source
// address, so that one client cannot use up the node. An IPv6 source is its /64
// network, because one host can use all addresses of its /64. Sources is safe for
// concurrent use.
type Sources struct {
	limit          int // of all sources together; zero: no limit
	limitPerSource int

	mu       sync.Mutex // guards the fields below
	all      int
	bySource map[netip.Prefix]int
}

// NewSources returns a Sources with limits. Zero means no limit.
func NewSources(all, perSource int) *Sources {
	return &Sources{limit: all, limitPerSource: perSource, bySource: map[netip.Prefix]int{}}
}

func (s *Sources) limited() bool { return s.limit > 0 || s.limitPerSource > 0 }

// Add counts one more connection. If that would exceed a limit, it counts nothing and
// returns [ErrAll] or [ErrSource].
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

// Remove undoes one Add of the same address that returned nil.
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

// sourceOf returns the network for which an address is counted. All texts that are
// not an IP address are counted as one source; a server over another transport may
// have such addresses.
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
	prefix, _ := addr.WithZone("").Prefix(bits) // cannot fail: the address has at least that many bits
	return prefix
}
