// Package endpoint has the HTTP client that calls the backends of a gateway. All
// integrations of a gateway share one, whoever calls them, so that connections are
// used again and can be closed with the gateway.
package endpoint

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// idlePerHost is how many idle connections to a host are kept.
const idlePerHost = 64

// Client makes an HTTP client when it is first needed. The zero value is ready; it
// must not be copied after its first use.
type Client struct {
	once   sync.Once // guards making client
	client *http.Client
}

// HTTP returns the client. It follows no redirect, passes bodies on as they are, and
// keeps idle connections for 90 seconds, or until Close.
func (c *Client) HTTP() *http.Client {
	c.once.Do(func() {
		c.client = WithoutRedirects(&http.Client{Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second,
			MaxIdleConnsPerHost: idlePerHost,
			IdleConnTimeout:     90 * time.Second,
			ForceAttemptHTTP2:   true,
			DisableCompression:  true,
		}})
	})
	return c.client
}

// Close closes the connections that are idle, and those that become so before the
// next call.
func (c *Client) Close() { c.HTTP().CloseIdleConnections() }

// clientKey is the key of a Client in a context.
type clientKey struct{}

// NewContext returns a context for the integrations that c serves.
func NewContext(ctx context.Context, c *Client) context.Context {
	return context.WithValue(ctx, clientKey{}, c)
}

// For returns the client that serves the integration that ctx comes from, and that
// of otherwise for any other context.
func For(ctx context.Context, otherwise *Client) *http.Client {
	if c, ok := ctx.Value(clientKey{}).(*Client); ok {
		return c.HTTP()
	}
	return otherwise.HTTP()
}

// WithoutRedirects returns a copy of client that follows no redirect.
func WithoutRedirects(client *http.Client) *http.Client {
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}
