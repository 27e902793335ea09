package presence

// Groups returns how many groups have a queue.
func (qs *Queues[E]) Groups() int {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	return len(qs.groups)
}
