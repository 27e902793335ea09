package poll

// Places returns how many places the tables of the pool have.
func (p *Pool) Places() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.loops {
		l.mu.Lock()
		n += len(l.places)
		l.mu.Unlock()
	}
	return n
}

// Idle returns how many runners wait for work.
func (p *Pool) Idle() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.loops {
		l.mu.Lock()
		n += len(l.idle)
		l.mu.Unlock()
	}
	return n
}
