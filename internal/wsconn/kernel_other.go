//go:build !linux

package wsconn

import "net"

// unsent returns -1: what the peer has taken is not known on this system.
func unsent(net.Conn) int { return -1 }

// hungUp returns false: it shows only when somebody reads.
func hungUp(net.Conn) bool { return false }
