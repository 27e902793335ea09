package gateway

import (
	"net/netip"
	"slices"

	"example.com/gateway/internal/proxy"
)

// WithTrustedProxies names the networks of your proxies. By default there are none, and
// [Identity].SourceIP is the address of the peer.
//
// Of a request whose peer is in one of the networks, the gateway believes what the proxies
// have written about the client:
//
//   - its address is the first one from the right of X-Forwarded-For that is in none of the
//     networks. If an entry is not an address, such as "unknown", the entries right of it
//     count; if there is none, the peer's own address counts. At most 64 entries are read.
//   - its host and its scheme are those in X-Forwarded-Host, X-Forwarded-Proto and
//     X-Forwarded-Port. If a header has several entries, that of the same proxy counts.
//   - without X-Forwarded-For, all this is taken from Forwarded (RFC 7239), if there is one.
//   - a request that has both headers, with different clients in them, gets 400: nobody
//     knows which of them the proxy has written, and which one the client. Let the proxy
//     remove the header that it does not write.
//
// So [Identity].SourceIP is the client's, with all that depends on it: quotas, identity
// sources, logs. The Host of the client counts for [Request].DomainName, for the check of
// the Origin and for signatures. The X-Forwarded-* headers of events and HTTP endpoints say
// how the client has reached the first proxy. [Request].Upgrade and [ManagementCall].Request
// have the client's address, with the port 0, in RemoteAddr, and the client's Host.
//
// Name only proxies that write X-Forwarded-For, or Forwarded, into each request: through any
// other proxy each client can choose its address. Let them also set, or remove,
// X-Forwarded-Host, X-Forwarded-Proto and X-Forwarded-Port, because a client can send these,
// too. The network of 127.0.0.1 is also that of peers on Unix sockets. New returns an
// [ErrInvalidOption] for a network that has all addresses. If the option is given again, it
// adds to the earlier networks.
func WithTrustedProxies(networks ...netip.Prefix) Option {
	copied := slices.Clone(networks)
	return optionFunc(func(c *config) error {
		all := slices.Concat(c.proxyNetworks, copied)
		trusted, err := proxy.Trust(all)
		if err != nil {
			return invalid("WithTrustedProxies", err)
		}
		if len(all) > 0 {
			c.proxyNetworks, c.proxies = all, trusted
		}
		return nil
	})
}
