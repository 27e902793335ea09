//go:build !unix

package wsconn

import (
	"net"
	"syscall"
)

// rawConn returns nil: there is no descriptor to try without waiting, so the caller
// uses plain reads and writes.
func rawConn(net.Conn) syscall.RawConn { return nil }

// failed returns false: on this system nobody can tell.
func failed(net.Conn) bool { return false }

func (c *Conn) readReady(uintptr) bool { return true }

func (a *attempt) writeReady(uintptr) bool { return true }
