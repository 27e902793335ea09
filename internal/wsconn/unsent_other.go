//go:build !linux

package wsconn

import "net"

// unsent returns -1: what the peer has taken is not known on this system.
func unsent(net.Conn) int { return -1 }
