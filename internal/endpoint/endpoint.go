// Package endpoint has the HTTP client that calls the backends of a gateway. All
// integrations of a gateway share one client, so that connections are reused, and are
// closed with the gateway.
package endpoint

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// What is wrong with the base of an endpoint's URLs. No text quotes the URL, which may
// hold a password.
var (
	ErrURL    = errors.New("is not a URL")
	ErrScheme = errors.New("begins with neither http:// nor https://")
	ErrHost   = errors.New("has no host")
	ErrQuery  = errors.New("has a query or a fragment")
)

// ParseBase parses the base of an endpoint's URLs, which a path is added to: http or https,
// with a host, and without a query or a fragment.
func ParseBase(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	scheme, _, _ := strings.Cut(strings.ToLower(text), "://")
	switch {
	case scheme != "http" && scheme != "https":
		return nil, ErrScheme
	case strings.ContainsAny(text, "?#"):
		return nil, ErrQuery
	case err != nil:
		return nil, ErrURL
	case u.Hostname() == "":
		return nil, ErrHost
	}
	return u, nil
}

const (
	// idlePerHost is the number of idle connections that are kept for each host.
	idlePerHost = 64
	// headerBytes bounds the headers of an answer. An error may quote them, and the log
	// then contains them.
	headerBytes = 64 << 10
)

// Client makes an HTTP client when it is first needed. The zero value is ready to use. A
// Client must not be copied after its first use.
type Client struct {
	once   sync.Once // guards making client
	client *http.Client
}

// HTTP returns the client. It follows no redirect, does not decompress bodies, and keeps
// idle connections for 90 seconds or until Close.
func (c *Client) HTTP() *http.Client {
	c.once.Do(func() {
		c.client = WithoutRedirects(&http.Client{Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:    10 * time.Second,
			MaxIdleConnsPerHost:    idlePerHost,
			MaxResponseHeaderBytes: headerBytes,
			IdleConnTimeout:        90 * time.Second,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
		}})
	})
	return c.client
}

// Close closes the connections that are idle, and those that become idle before the next
// call.
func (c *Client) Close() { c.HTTP().CloseIdleConnections() }

// clientKey is the key of a Client in a context.
type clientKey struct{}

// NewContext returns a context for the integrations that c serves.
func NewContext(ctx context.Context, c *Client) context.Context {
	return context.WithValue(ctx, clientKey{}, c)
}

// For returns the client in ctx, which is the context of an integration. For any other
// context it returns the client of otherwise.
func For(ctx context.Context, otherwise *Client) *http.Client {
	if c, ok := ctx.Value(clientKey{}).(*Client); ok {
		return c.HTTP()
	}
	return otherwise.HTTP()
}

// errProxyHost refuses a request whose Host header would choose the server.
var errProxyHost = errors.New("the Host header is not the host of the URL, and the request goes through a proxy, which would send it to the host of the header: do not map Host, or exempt the host of the URL from the proxy")

// CheckHost refuses a request that client sends through a proxy, if its Host header is
// not the host of its URL. net/http tells the proxy only the host of the header, which a
// client of the gateway may have chosen.
func CheckHost(client *http.Client, r *http.Request) error {
	if r.URL.Scheme != "http" || r.Host == "" || r.Host == r.URL.Host { // a proxy of https connects to the URL's host
		return nil
	}
	transport := client.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	t, ok := transport.(*http.Transport)
	if !ok || t.Proxy == nil {
		return nil
	}
	proxy, err := t.Proxy(r)
	if err == nil && proxy != nil && (proxy.Scheme == "http" || proxy.Scheme == "https") { // a SOCKS proxy gets the URL's host
		return errProxyHost
	}
	return err
}

// WithoutRedirects returns a copy of client that follows no redirect.
func WithoutRedirects(client *http.Client) *http.Client {
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}
