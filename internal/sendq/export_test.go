package sendq

// PushOnly is Push that leaves the drainer's role to others.
func (q *Queue) PushOnly(message []byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pushLocked(message)
}
