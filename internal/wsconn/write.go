package wsconn

import "time"

// TryWrite writes as much of b as goes without waiting and returns how much
// that was: nothing, where the socket cannot tell.
func (c *Conn) TryWrite(b []byte) (int, error) {
	if c.raw == nil {
		return 0, nil
	}
	if c.writeFD == nil {
		c.writeFD = c.writeReady
	}
	c.writeBuf, c.written, c.writeErr = b, 0, nil
	err := c.raw.Write(c.writeFD)
	c.writeBuf = nil
	if err == nil {
		err = c.writeErr
	}
	return c.written, err
}

// Write writes all of b, within timeout; zero means no limit. After an error
// the connection cannot be written to any more.
func (c *Conn) Write(b []byte, timeout time.Duration) error {
	n, err := c.TryWrite(b)
	if err != nil || n == len(b) {
		return err
	}
	if timeout > 0 {
		_ = c.nc.SetWriteDeadline(time.Now().Add(timeout))
		defer c.nc.SetWriteDeadline(time.Time{}) //nolint:errcheck // fails on a closed socket only
	}
	if _, err = c.nc.Write(b[n:]); err != nil {
		c.stuck.Store(true)
	}
	return err
}

// CloseWrite tells the peer that nothing more will be sent, where the transport
// can say so.
func (c *Conn) CloseWrite() {
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
