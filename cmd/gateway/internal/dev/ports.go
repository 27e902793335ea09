package dev

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// The ports that are taken if nothing else is wanted.
const (
	DefaultPort    = 4567
	DefaultTLSPort = 4568
)

// ports are the two ports of a server. Each may have several listeners: "localhost" is the
// address of IPv4 for some programs, and that of IPv6 for others.
type ports struct {
	plain, tls    []net.Listener
	port, tlsPort int
	remarks       []string // what is not as it was asked for
	addresses     []string // at which others than this machine come
}

// IsLoopback reports whether only this machine reaches an address to listen on.
func IsLoopback(address string) bool {
	a, err := netip.ParseAddr(address)
	return address == "localhost" || err == nil && a.Unmap().IsLoopback()
}

func listen(ctx context.Context, o Options) (p ports, err error) {
	addresses, err := listenAddresses(o.Listen)
	if err != nil {
		return p, err
	}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.plain, p.port, err = p.open(ctx, addresses, o.Port, "--port", o.FixedPort); err != nil {
		return p, err
	}
	if p.tls, p.tlsPort, err = p.open(ctx, addresses, o.TLSPort, "--tls-port", o.FixedTLSPort); err != nil {
		return p, err
	}
	if !IsLoopback(o.Listen) {
		p.addresses, err = ownAddresses(o.Listen)
	}
	return p, err
}

// listenAddresses returns the addresses to listen on. Functions come by loopback, so it is
// always among them.
func listenAddresses(address string) ([]string, error) {
	local := []string{"127.0.0.1", "::1"}
	if address == "localhost" {
		return local, nil
	}
	a, err := netip.ParseAddr(address)
	switch {
	case err != nil:
		return nil, usage("--listen is %q: write an IP address of this machine, such as 127.0.0.1 or 0.0.0.0", address)
	case a.IsUnspecified(): // for Go this is IPv4 and IPv6
		return []string{address}, nil
	}
	if given := a.Unmap().String(); !slices.Contains(local, given) {
		local = append(local, given)
	}
	return local, nil
}

// open opens a port at all addresses, or another one if it is taken and not fixed.
func (p *ports) open(ctx context.Context, addresses []string, port int, flag string, fixed bool) ([]net.Listener, int, error) {
	listeners, got, err := listenAt(ctx, addresses, port)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return listeners, got, err
	}
	if fixed {
		return nil, 0, fmt.Errorf("port %d is in use: end the program that uses it, or choose another one with %s", port, flag)
	}
	for range 10 { // the same port has to be free at all addresses
		if listeners, got, err = listenAt(ctx, addresses, 0); err == nil {
			p.remarks = append(p.remarks, fmt.Sprintf("port %d is in use, so this is %d: choose one with %s", port, got, flag))
			return listeners, got, nil
		}
	}
	return nil, 0, err
}

func listenAt(ctx context.Context, addresses []string, port int) (all []net.Listener, _ int, err error) {
	for n, address := range addresses {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(port)))
		switch {
		case err == nil:
			all = append(all, l)
			port = l.Addr().(*net.TCPAddr).Port
		case address == "::1" && n > 0 && !errors.Is(err, syscall.EADDRINUSE): // a machine without IPv6
		default:
			for _, l := range all {
				_ = l.Close()
			}
			return nil, 0, fmt.Errorf("cannot listen on %s: %w", address, err)
		}
	}
	return all, port, nil
}

// ownAddresses returns the addresses by which other machines reach this one. A page cannot
// make an address its own, as it can a name, so they may stand in a Host header.
func ownAddresses(address string) ([]string, error) {
	a, err := netip.ParseAddr(address)
	if err != nil || !a.IsUnspecified() {
		return []string{address}, err
	}
	all, err := net.InterfaceAddrs()
	var own []string
	for _, n := range all {
		if prefix, err := netip.ParsePrefix(n.String()); err == nil && !prefix.Addr().IsLoopback() && !prefix.Addr().IsLinkLocalUnicast() {
			own = append(own, prefix.Addr().String())
		}
	}
	return own, err
}

// names returns the names that a Host header may have, besides those of loopback.
func (p *ports) names(more []string) []string { return slices.Concat(p.addresses, more) }

func (p *ports) close() {
	for _, l := range slices.Concat(p.plain, p.tls) {
		_ = l.Close()
	}
}

// door is one listener with its server.
type door struct {
	listener net.Listener
	server   *http.Server
}

// newDoor serves h on l, with TLS if there are certificates.
func newDoor(l net.Listener, h http.Handler, c *certificates, log *slog.Logger) *door {
	d := &door{listener: l, server: &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // what clients do wrong
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}}
	if c != nil {
		d.server.TLSConfig = &tls.Config{
			MinVersion:     tls.VersionTLS12,
			NextProtos:     []string{"http/1.1"}, // upgrades need it
			GetCertificate: c.get,
		}
	}
	return d
}

func (d *door) serve() error {
	if d.server.TLSConfig == nil {
		return d.server.Serve(d.listener)
	}
	return d.server.ServeTLS(d.listener, "", "")
}

// shutdown waits for the requests that run, and cuts them when ctx ends.
func (d *door) shutdown(ctx context.Context) error {
	err := d.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, d.server.Close())
	}
	return err
}
