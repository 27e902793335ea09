//go:build !unix

package wsconn

import (
	"net"
	"syscall"
)

// rawConn returns nil: without a descriptor that can be tried, plain reads and
// writes serve.
func rawConn(net.Conn) syscall.RawConn { return nil }

// failed returns false: nobody can tell.
func failed(net.Conn) bool { return false }

func (c *Conn) readReady(uintptr) bool { return true }

func (a *attempt) writeReady(uintptr) bool { return true }
