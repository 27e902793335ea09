package jwtauthorizer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	fetchTimeout     = 10 * time.Second
	maxResponseBytes = 1 << 20
	maxRedirects     = 5
)

var (
	errNotIssuer = errors.New("an issuer's URL has neither a query nor a fragment")
	errScheme    = errors.New("want an https:// URL, or for tests http:// and a loopback address: over plain HTTP anyone on the way can replace the keys")
	errUserInfo  = errors.New("a user and a password in a URL end up in logs: set Client to one whose Transport adds them")
	errRedirects = errors.New("more than 5 redirects")
	errDowngrade = errors.New("a redirect to another scheme")
)

// checkURL returns why keys from u cannot be trusted.
func checkURL(u *url.URL) error {
	switch {
	case u.User != nil:
		return errUserInfo
	case u.Scheme == "https" && u.Host != "", u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return errScheme
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// fetcher fetches the keys of an issuer.
type fetcher struct {
	client     *http.Client
	issuer     string
	jwksURL    string // "": found through issuer
	algorithms []jose.SignatureAlgorithm
}

func newFetcher(cfg *Config, algorithms []jose.SignatureAlgorithm) *fetcher {
	client := *cfg.Client
	own := client.CheckRedirect
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if req.URL.Scheme != via[0].URL.Scheme {
			return errDowngrade
		}
		if err := checkURL(req.URL); err != nil {
			return err
		}
		if own != nil {
			return own(req, via)
		}
		if len(via) > maxRedirects {
			return errRedirects
		}
		return nil
	}
	return &fetcher{client: &client, issuer: cfg.Issuer, jwksURL: cfg.JWKSURL, algorithms: algorithms}
}

// fetch returns the keys of the issuer that can be used. It looks up the URL of the key
// set each time, because issuers move it.
func (f *fetcher) fetch(ctx context.Context) ([]key, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	where := f.jwksURL
	if where == "" {
		var err error
		if where, err = f.discover(ctx); err != nil {
			return nil, fmt.Errorf("finding the issuer's keys: %w", err)
		}
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := f.get(ctx, where, &set); err != nil {
		return nil, fmt.Errorf("fetching the issuer's keys: %w", err)
	}
	if set.Keys == nil {
		return nil, fmt.Errorf("fetching the issuer's keys: %s is no key set", where)
	}
	var keys []key
	for _, raw := range set.Keys {
		if k, ok := parseKey(raw); ok && slices.ContainsFunc(f.algorithms, k.fits) {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// discover fetches the URL of the key set. (OpenID Connect Discovery, section 4.)
func (f *fetcher) discover(ctx context.Context) (string, error) {
	where := strings.TrimSuffix(f.issuer, "/") + "/.well-known/openid-configuration"
	var document struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := f.get(ctx, where, &document); err != nil {
		return "", err
	}
	if document.Issuer != f.issuer {
		return "", fmt.Errorf("%s is of issuer %q, not of %q", where, document.Issuer, f.issuer)
	}
	u, err := url.Parse(document.JWKSURI)
	switch {
	case err != nil || checkURL(u) != nil:
		return "", fmt.Errorf("%s: jwks_uri %q: %w", where, document.JWKSURI, errScheme)
	case u.Scheme == "http" && strings.HasPrefix(f.issuer, "https:"):
		return "", fmt.Errorf("%s: jwks_uri %q: %w", where, document.JWKSURI, errDowngrade)
	}
	return document.JWKSURI, nil
}

// get decodes the JSON at a URL. It wraps no error of the client, because an error of its
// Transport must not decide how an upgrade is answered.
func (f *fetcher) get(ctx context.Context, where string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := f.client.Do(req)
	if err != nil {
		return fmt.Errorf("%v", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered with status %d", where, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponseBytes+1))
	switch {
	case err != nil:
		return fmt.Errorf("%s: %v", where, err)
	case len(body) > maxResponseBytes:
		return fmt.Errorf("%s has more than %d bytes", where, maxResponseBytes)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: %v", where, err)
	}
	return nil
}

// parseKey reads a key of a set. It reports false for a key that is not for signatures or
// is of an unknown kind: such keys are ignored. (RFC 7517, section 5.) A key that is not
// public fits no algorithm.
func parseKey(raw json.RawMessage) (key, bool) {
	var purpose struct {
		Use        string   `json:"use"`
		Operations []string `json:"key_ops"`
	}
	var k jose.JSONWebKey
	if json.Unmarshal(raw, &purpose) != nil || json.Unmarshal(raw, &k) != nil || !k.Valid() {
		return key{}, false
	}
	if purpose.Use != "" && purpose.Use != "sig" || purpose.Operations != nil && !slices.Contains(purpose.Operations, "verify") {
		return key{}, false
	}
	algorithm := jose.SignatureAlgorithm(k.Algorithm)
	if algorithm == algorithmEd25519 {
		algorithm = jose.EdDSA
	}
	return key{id: k.KeyID, algorithm: algorithm, public: k.Key}, true
}
