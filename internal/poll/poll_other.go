//go:build !linux

package poll

import "net"

// Socket is never adopted on this system.
type Socket struct{}

type loop struct{}

func newLoop() (*loop, error) { return nil, ErrUnsupported }

func (*loop) close() {}

// Unsent returns -1: this system does not tell what the peer has taken.
func Unsent(uintptr) int { return -1 }

// Adopt returns [ErrUnsupported].
func (p *Pool) Adopt(*Socket, net.Conn, func(*Keep)) error { return ErrUnsupported }

// Adopted returns false.
func (*Socket) Adopted() bool { return false }

// OnHangUp does nothing.
func (*Socket) OnHangUp(func()) {}

// The methods below are never called.

func (*Socket) HungUp() bool                    { return false }
func (*Socket) Read([]byte) (int, error)        { return 0, ErrUnsupported }
func (*Socket) Unsent() int                     { return -1 }
func (*Socket) Empty() bool                     { return true }
func (*Socket) Park() bool                      { return false }
func (*Socket) Await()                          {}
func (*Socket) Write([]byte) (int, error)       { return 0, ErrUnsupported }
func (*Socket) WriteAll([]byte, Patience) error { return ErrUnsupported }
func (*Socket) WakeWriter()                     {}
func (*Socket) Expire(bool)                     {}
func (*Socket) Reset()                          {}
func (*Socket) CloseWrite()                     {}
func (*Socket) Close()                          {}
