package gateway

import "unsafe"

// ConnectionBytes is the size of the gateway's struct for one connection.
const ConnectionBytes = unsafe.Sizeof(connection{})

// KeysHeld returns how many API keys g has throttles for.
func (g *Gateway) KeysHeld() int {
	g.keyUses.mu.Lock()
	defer g.keyUses.mu.Unlock()
	return len(g.keyUses.byID)
}

// Watched returns how many workers g watches.
func (g *Gateway) Watched() int { return g.watch.Len() }
