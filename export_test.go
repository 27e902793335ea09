package gateway

// KeysHeld returns how many API keys g has throttles for.
func (g *Gateway) KeysHeld() int {
	g.clients.mu.Lock()
	defer g.clients.mu.Unlock()
	return len(g.clients.byID)
}
