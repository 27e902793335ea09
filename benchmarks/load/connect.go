package load

import (
	"context"
	"fmt"
	"io"

	"example.com/gateway/benchmarks/server"
	"example.com/gateway/benchmarks/wire"
)

// Connect lets workers upgrade a connection and close it, again and again.
func Connect(ctx context.Context, p *server.Process, plan Plan) (Figures, error) {
	closing := wire.AppendClose(nil)
	return steady(ctx, p, plan, plan.Clients, func(n int, m *meter) error {
		scratch := make([]byte, 256)
		for ; !m.stopped.Load(); n++ {
			c, err := dial(ctx, p.Addresses[n%len(p.Addresses)], p.Dialect)
			if err != nil {
				return err
			}
			err = c.leave(closing, scratch)
			_ = c.Close()
			if err != nil {
				return err
			}
			m.count.Add(1)
		}
		return nil
	})
}

// leave sends a Close frame and waits until the server has answered and closed the
// connection.
func (c *conn) leave(closing, scratch []byte) error {
	if _, err := c.Write(closing); err != nil {
		return err
	}
	n, err := io.ReadFull(c, scratch)
	if n < 4 || scratch[0] != 0x88 || scratch[2] != 0x03 || scratch[3] != 0xe8 {
		return fmt.Errorf("a close was answered with %q: %w", scratch[:n], err)
	}
	return nil
}
