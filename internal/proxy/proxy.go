// Package proxy finds out who has sent a request that trusted proxies have passed on: the
// address of the client, and the host and the scheme that the client used.
//
// A proxy adds one entry at the right of X-Forwarded-For, or of Forwarded (RFC 7239): the
// address of whoever called it. So the entries are read from the right, for as long as a
// trusted proxy has written them. What is further left, anybody can have written.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// most is how many entries of a header are read. It is far above the number of proxies that
// a request goes through.
const most = 64

// Trusted are the networks of the proxies whose headers are believed. A nil *Trusted trusts
// nobody. It is safe for concurrent use.
type Trusted struct {
	networks []netip.Prefix
	sockets  bool // Unix sockets, too, because a network has 127.0.0.1
}

// Trust returns a Trusted. The error says what is wrong with a network.
func Trust(networks []netip.Prefix) (*Trusted, error) {
	t := &Trusted{}
	for n, network := range networks {
		switch {
		case !network.IsValid():
			return nil, fmt.Errorf("network %d is not valid: make it with netip.ParsePrefix or netip.PrefixFrom", n)
		case network.Addr().Is4In6() && network.Bits() >= 96:
			network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-96)
		case network.Addr().Is4In6():
			return nil, fmt.Errorf("network %s is only a part of how IPv6 writes IPv4: write an IPv4 network, such as 10.0.0.0/8", network)
		}
		if network.Bits() == 0 {
			return nil, fmt.Errorf("network %s is everybody, so that every client could choose its address: write the networks of the proxies only", network)
		}
		t.networks = append(t.networks, network.Masked())
	}
	t.sockets = t.trusts(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	return t, nil
}

func (t *Trusted) trusts(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	return slices.ContainsFunc(t.networks, func(n netip.Prefix) bool { return n.Contains(address) })
}

// Client is who has sent a request that trusted proxies have passed on.
type Client struct {
	// Peer is the RemoteAddr of the request: that of the nearest proxy.
	Peer string
	// Address is the address of the client, without a port. If no proxy has told it, it is
	// that of the nearest proxy.
	Address string
	// Before is what stands left of the client's address in X-Forwarded-For. Nobody who is
	// trusted has written it.
	Before string
	// Host is the host that the client used; "" if no proxy has told it.
	Host string
	// Proto is "http" or "https", and Port a port; "" if no proxy has told it.
	Proto, Port string
}

// ErrTwoChains is the error of a request whose two headers name different clients. A proxy
// that writes one of them passes the other one on as the client has sent it, and nothing
// tells which one that is.
var ErrTwoChains = errors.New("X-Forwarded-For and Forwarded name different clients: let the proxy remove the header that it does not write")

// Client returns who has sent a request, or nil if its peer is not trusted.
func (t *Trusted) Client(r *http.Request) (*Client, error) {
	if t == nil || !t.trustsPeer(r) {
		return nil, nil //nolint:nilnil // documented
	}
	c := &Client{Peer: r.RemoteAddr, Address: hostOf(r.RemoteAddr)}
	listed, standard := r.Header["X-Forwarded-For"], r.Header["Forwarded"]
	byList, byStandard := t.walkList(listed), t.walkForwarded(standard)
	c.Before = byList.before
	switch {
	case len(standard) == 0:
		c.found(&byList)
		c.readHeaders(r.Header, byList.hops)
	case len(listed) == 0: // X-Forwarded-Host and the like are the client's own then
		c.found(&byStandard)
	case byList.address != byStandard.address:
		return nil, ErrTwoChains
	default:
		c.found(&byList)
		c.readHeaders(r.Header, byList.hops)
	}
	return c, nil
}

// found takes over what a walk has found.
func (c *Client) found(w *walk) {
	if w.address.IsValid() {
		c.Address = w.address.String()
	}
	c.Host, c.Proto = w.host, w.proto
}

// readHeaders reads what goes with X-Forwarded-For. hops is how many proxies are behind the
// one that the client has called.
func (c *Client) readHeaders(header http.Header, hops int) {
	c.Host = hostText(entry(header["X-Forwarded-Host"], hops))
	c.Proto = protoText(entry(header["X-Forwarded-Proto"], hops))
	c.Port = portText(entry(header["X-Forwarded-Port"], hops))
}

// trustsPeer reports whether the peer of a request is trusted. A process at the other end of
// a Unix socket is on this machine, as one at 127.0.0.1 is.
func (t *Trusted) trustsPeer(r *http.Request) bool {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && strings.HasPrefix(local.Network(), "unix") {
		return t.sockets
	}
	peer, err := netip.ParseAddr(hostOf(r.RemoteAddr))
	return err == nil && t.trusts(peer)
}

// hostOf returns an address without its port.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

type key struct{}

// Request returns r as the client has sent it: its RemoteAddr has the client's address, and
// the port 0, and its Host is the one that the client used. If nobody who is trusted has
// passed r on, it returns r itself.
func (t *Trusted) Request(r *http.Request) (*http.Request, error) {
	c, err := t.Client(r)
	if c == nil {
		return r, err
	}
	r = r.WithContext(context.WithValue(r.Context(), key{}, c)) // a copy, because the request belongs to the server
	if c.Address != hostOf(c.Peer) {
		r.RemoteAddr = net.JoinHostPort(c.Address, "0")
	}
	if c.Host != "" {
		r.Host = c.Host
	}
	return r, nil
}

// Of returns the client of a request that [Trusted.Request] has returned. It is nil if the
// client has sent the request itself.
func Of(r *http.Request) *Client {
	c, _ := r.Context().Value(key{}).(*Client)
	return c
}
