package presence

// Sizes returns how many groups have events, how many JOINs and how many members, and how many
// events wait.
func (qs *Queues[M]) Sizes() (sizes [4]int) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	for _, q := range qs.groups {
		sizes[3] += q.Len()
	}
	sizes[0], sizes[1], sizes[2] = len(qs.groups), len(qs.joins)+len(qs.leaves), len(qs.members)
	return sizes
}
