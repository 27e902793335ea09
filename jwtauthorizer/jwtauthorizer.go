// Package jwtauthorizer lets clients connect that bring a JSON Web Token of an
// OpenID Connect or OAuth 2.0 issuer, such as Cognito, Auth0, Entra ID, Keycloak
// or Okta:
//
//	a, err := jwtauthorizer.New(jwtauthorizer.Config{
//		Issuer:   "https://issuer.example",
//		Audience: []string{"chat"},
//	})
//	…
//	gw.Handle(gateway.RouteKeyConnect, integration, gateway.WithAuthorizer(a))
//
// It checks what the JWT authorizers of API Gateway's HTTP APIs check, which its
// WebSocket APIs do not have. (API Gateway: "Control access to HTTP APIs with JWT
// authorizers in API Gateway".) It differs where that is safer or takes more
// tokens: exp is required; ECDSA, RSA-PSS and Ed25519 signatures are known
// besides RSA's.
//
// # Where the token is
//
// Programs send it in the Authorization header. A browser cannot set that header
// on a WebSocket, so that it sends the token in the URL or as a subprotocol:
//
//	new WebSocket("wss://…/prod?access_token=" + token) // Config.QueryParameter: "access_token"
//	new WebSocket("wss://…/prod", ["bearer", token])    // Config.Subprotocol: "bearer"
//
// Prefer the subprotocol: URLs end up in the access logs of proxies and load
// balancers. A browser closes the connection unless the answer selects one of
// the subprotocols that it offered, which the $connect integration does. It must
// not select the token, but "bearer", or another that the client offered besides:
//
//	return &gateway.Response{Header: http.Header{"Sec-WebSocket-Protocol": {"bearer"}}}, nil
//
// The $connect integration sees the token, as it sees all of the upgrade request.
//
// # How long it holds
//
// The authorizer decides about the upgrade only. A connection lives on when its
// token expires or its key is withdrawn; where that matters, pass exp on with
// Config.Claims, and have the integrations look at it.
package jwtauthorizer

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"example.com/gateway"
)

// Config is what [New] makes an [Authorizer] of. Issuer is required, and one of
// Audience and AnyAudience.
type Config struct {
	// Issuer is what a token's iss claim must be, to the letter.
	Issuer string
	// Audience lists those that a token may be for: its aud claim has to name one
	// of them, or its client_id, if it has no aud.
	Audience []string
	// AnyAudience takes tokens that the issuer made for anyone. Every other
	// application that a user signs in to can then connect as that user.
	AnyAudience bool
	// Scopes lists scopes of which a token needs one, in its scope or scp claim: a
	// list, or text with blanks. A token with none of them gets 403. Empty: not
	// checked.
	Scopes []string
	// Claims names the claims to pass on in Request.Authorizer. Strings, numbers and
	// booleans are passed on as they are, lists and objects as JSON text; those that
	// a token lacks, or that are null, are left out. The sub claim is passed on in
	// any case, as principalId.
	Claims []string

	// QueryParameter is the query parameter that may have the token. "": none.
	QueryParameter string
	// Subprotocol is the subprotocol after which a client may offer the token, as
	// if it were a subprotocol, too. "": none. See the package's documentation for
	// what the $connect integration has to answer.
	Subprotocol string

	// Algorithms lists the signature algorithms to accept, of RS256, RS384, RS512,
	// PS256, PS384, PS512, ES256, ES384, ES512 and EdDSA, which tokens and keys may
	// call Ed25519, too (RFC 9864). Empty: all of these.
	Algorithms []string
	// Skew is how far the issuer's clock and ours may be apart, for exp, nbf and
	// iat. 0: a minute; negative: not at all.
	Skew time.Duration

	// JWKSURL is where the issuer's key set is. "": the document at
	// Issuer/.well-known/openid-configuration says where, which must name this
	// Issuer. URLs are https, or http on a loopback address.
	JWKSURL string
	// Client fetches the key set. nil: one with defaults. No fetch takes more than
	// 10 s, or follows a redirect to another scheme.
	Client *http.Client
	// RefreshInterval is how old the key set may get before it is fetched again: a
	// key that the issuer withdrew is good for so long. 0: 15 minutes.
	RefreshInterval time.Duration
	// UnknownKeyInterval is how often a token that no key fits may have the key set
	// fetched before its time: one with an unknown key ID or, as an issuer may make a
	// new key under an old ID, with a wrong signature. A new key is found so late, and
	// made-up tokens cost the issuer a request so often. It also is how often a failed
	// refresh is tried again. 0: 30 s.
	UnknownKeyInterval time.Duration
	// MaxStale is how long beyond RefreshInterval the key set is good when it cannot
	// be fetched again. 0: two hours, for which the service may keep keys; negative:
	// not at all.
	MaxStale time.Duration
	// Logger gets failures to refresh the key set that MaxStale covers. Other errors
	// are returned. nil: nothing is logged.
	Logger *slog.Logger
}

// Authorizer is a [gateway.Authorizer] that takes JSON Web Tokens. It runs no
// goroutines, so that it needs no closing. It is safe for concurrent use.
type Authorizer struct {
	cfg        Config // with defaults in place
	algorithms []jose.SignatureAlgorithm
	keys       *keySource
}

var _ gateway.Authorizer = (*Authorizer)(nil)

// New returns an Authorizer. It fetches nothing: the first token does. The error
// is a [gateway.ErrInvalidOption] that says what is wrong with cfg.
func New(cfg Config) (*Authorizer, error) {
	cfg.Audience, cfg.Scopes, cfg.Claims = slices.Clone(cfg.Audience), slices.Clone(cfg.Scopes), slices.Clone(cfg.Claims)
	if err := cfg.check(); err != nil {
		return nil, err
	}
	a := &Authorizer{cfg: cfg.withDefaults(), algorithms: known()}
	if len(cfg.Algorithms) > 0 {
		a.algorithms = nil
		for _, name := range cfg.Algorithms {
			a.algorithms = append(a.algorithms, jose.SignatureAlgorithm(name))
		}
	}
	a.keys = newKeySource(&a.cfg, a.algorithms)
	if slices.Contains(a.algorithms, jose.EdDSA) {
		a.algorithms = append(a.algorithms, algorithmEd25519) // the same by its newer name
	}
	return a, nil
}

// known are the algorithms that can be accepted: none is no signature, and the
// key of HS256 and its like is a secret, which no key set has.
func known() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
}

func (c *Config) check() error {
	if err := c.checkURLs(); err != nil {
		return err
	}
	switch {
	case len(c.Audience) == 0 && !c.AnyAudience:
		return invalid("Audience is empty: name this API, or set AnyAudience")
	case len(c.Audience) > 0 && c.AnyAudience:
		return invalid("both Audience and AnyAudience are set")
	case slices.Contains(c.Audience, ""), slices.Contains(c.Scopes, ""), slices.Contains(c.Claims, ""):
		return invalid("Audience, Scopes or Claims has an empty entry")
	case strings.Trim(c.Subprotocol, tokenChars) != "":
		return invalid("Subprotocol %q is no subprotocol: want letters, digits and !#$%%&'*+-.^_`|~", c.Subprotocol)
	case c.RefreshInterval < 0, c.UnknownKeyInterval < 0:
		return invalid("RefreshInterval %v or UnknownKeyInterval %v is negative", c.RefreshInterval, c.UnknownKeyInterval)
	}
	for _, name := range c.Claims {
		if name == "principalId" || name == "integrationLatency" {
			return invalid("claim %q cannot be passed on: Request.Authorizer has that name for something else", name)
		}
	}
	for _, name := range c.Algorithms {
		if !slices.Contains(known(), jose.SignatureAlgorithm(name)) {
			return invalid("algorithm %q is not one of %v", name, known())
		}
	}
	return nil
}

// tokenChars are those of a token. (RFC 9110, section 5.6.2.)
const tokenChars = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// checkURLs checks Issuer, which is a URL only where the key set is found by it,
// and JWKSURL.
func (c *Config) checkURLs() error {
	name, text := "JWKSURL", c.JWKSURL
	switch {
	case c.Issuer == "":
		return invalid("Issuer is empty")
	case text == "":
		name, text = "Issuer", c.Issuer
	}
	u, err := url.Parse(text)
	if err == nil {
		err = checkURL(u)
	}
	if err == nil && name == "Issuer" && (u.RawQuery != "" || u.Fragment != "") {
		err = errNotIssuer
	}
	if err != nil {
		return invalid("%s: %w", name, err)
	}
	return nil
}

// invalid is the error for a Config that makes no sense.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: jwtauthorizer: "+format, append([]any{gateway.ErrInvalidOption}, args...)...)
}

func (c Config) withDefaults() Config {
	c.Skew = max(0, cmp.Or(c.Skew, time.Minute))
	c.RefreshInterval = cmp.Or(c.RefreshInterval, 15*time.Minute)
	c.UnknownKeyInterval = cmp.Or(c.UnknownKeyInterval, 30*time.Second)
	c.MaxStale = max(0, cmp.Or(c.MaxStale, 2*time.Hour))
	if c.Client == nil {
		c.Client = &http.Client{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Authorize lets a client in whose token is good. It returns
// [gateway.ErrUnauthorized] for one with no token, with more than one, or with
// one that is not good, and [gateway.ErrForbidden] for one that lacks the scopes.
// Any other error means that there are no keys to check tokens with. No error has
// a token in its text.
//
// The token is that of the Authorization header, with the scheme Bearer or alone; of
// Config.QueryParameter; or of Config.Subprotocol. A client that sends more than
// one, even the same, is refused. (RFC 6750, section 2.) Authorization of another
// scheme is not looked at.
//
// The first call fetches the key set, and so does each that finds it too old:
// others wait for it only when there are no keys yet, or none that their token is
// signed with. A token without a key ID is good when the set has just one key. Of
// keys with the same ID the first eight that fit the token's algorithm are tried.
func (a *Authorizer) Authorize(ctx context.Context, req *gateway.Request) (*gateway.Authorization, error) {
	token, err := a.token(req)
	if err != nil {
		return nil, err
	}
	payload, err := a.verify(ctx, token)
	if err != nil {
		return nil, err
	}
	claims, err := decode(payload)
	if err != nil {
		return nil, err
	}
	if err := a.check(claims); err != nil {
		return nil, err
	}
	return a.authorization(claims, payload)
}

// verify returns the payload of a token whose signature is good. Nothing of the
// payload has been looked at before.
func (a *Authorizer) verify(ctx context.Context, token string) ([]byte, error) {
	// This refuses an algorithm that is not in the list, hence none and HS256. The
	// package's errors quote the token, so they go no further.
	jws, err := jose.ParseSignedCompact(token, a.algorithms)
	if err != nil {
		return nil, refused("the token is malformed, or its algorithm is not accepted")
	}
	set, err := a.keys.current(ctx)
	if err != nil {
		return nil, fmt.Errorf("jwtauthorizer: %w", err)
	}
	payload, err := set.verify(jws)
	if err == nil || !set.mayLack(jws) {
		return payload, err
	}
	newer, failed := a.keys.newer(ctx, set)
	switch {
	case failed != nil:
		return nil, fmt.Errorf("jwtauthorizer: %w", failed)
	case newer == set:
		return nil, err
	}
	return newer.verify(jws)
}

// refused is the error for a client that is not let in.
func refused(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{gateway.ErrUnauthorized}, args...)...)
}
