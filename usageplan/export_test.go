package usageplan

// Counts returns for how many keys s holds a count.
func (s *Store) Counts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.used)
}
