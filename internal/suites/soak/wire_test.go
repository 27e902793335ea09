package soak_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"example.com/gateway/internal/suites/wiretest"
)

// wire is a client's connection. Several goroutines may write to it.
type wire struct {
	*wiretest.Conn

	tcp *net.TCPConn // the same connection
	mu  sync.Mutex   // held while writing
}

// patience bounds every wait of a client for something that must come.
const patience = time.Minute

// dialTCP connects client n. The client sets its own deadlines.
func dialTCP(addr string, n int) (*wire, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+n%200))}} // so that there are enough ports
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &wire{Conn: wiretest.NewConn(nc), tcp: nc.(*net.TCPConn)}, nil //nolint:forcetypeassert // the network is "tcp"
}

// dialWire connects client n and upgrades. If the status is not 101, the wire is nil.
func dialWire(addr string, n int, path string) (w *wire, status int, err error) {
	nc, err := dialTCP(addr, n)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if w == nil {
			_ = nc.Close()
		}
	}()
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, 0, err
	}
	answer, err := nc.Ask(wiretest.Upgrade(path))
	if err != nil || answer.Status != http.StatusSwitchingProtocols {
		return nil, answer.Status, err
	}
	return nc, answer.Status, nc.SetDeadline(time.Time{})
}

// closeFrame returns a Close frame. For 1005 it has no code.
func closeFrame(code int, reason string) []byte {
	if code == wiretest.NoStatus {
		return wiretest.Frame(wiretest.Close, "")
	}
	return wiretest.CloseFrame(code, reason)
}
