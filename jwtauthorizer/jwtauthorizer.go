// Package jwtauthorizer admits clients that send a JSON Web Token (RFC 7519).
//
// The token is one of an OpenID Connect or OAuth 2.0 issuer, such as Cognito,
// Auth0, Entra ID, Keycloak or Okta, whose public keys the authorizer fetches:
//
//	a, err := jwtauthorizer.New(jwtauthorizer.Config{
//		Issuer:   "https://issuer.example",
//		Audience: []string{"chat"},
//	})
//	…
//	gw.Handle(gateway.RouteKeyConnect, integration, gateway.WithAuthorizer(a))
//
// Or your own program makes the tokens, and signs them with a secret (HS256):
//
//	a, err := jwtauthorizer.New(jwtauthorizer.Config{
//		Secrets:  [][]byte{secret}, // at least 32 random bytes
//		Audience: []string{"chat"},
//	})
//
// An authorizer has either secrets or an issuer's public keys, never both. With
// public keys it refuses every HS256 token, and with secrets every other token, so
// that nobody can use a public key as the secret. (RFC 8725, section 2.1.)
//
// The checks are those of the JWT authorizers of API Gateway's HTTP APIs, which its
// WebSocket APIs do not have. (API Gateway: "Control access to HTTP APIs with JWT
// authorizers in API Gateway".) The authorizer differs from them in three points: a
// token must have exp; tokens may also be signed with ECDSA, RSA-PSS, Ed25519 or a
// secret; and RequiredClaims and RequiredScopes ask for more than the service can.
//
// # Where the token is
//
// Programs send the token in the Authorization header. A browser cannot set headers
// on a WebSocket. It can send the token in a cookie, as a subprotocol or in the URL:
//
//	document.cookie                                     // Config.Cookie: "token"
//	new WebSocket("wss://…/prod", ["bearer", token])    // Config.Subprotocol: "bearer"
//	new WebSocket("wss://…/prod?access_token=" + token) // Config.QueryParameter: "access_token"
//
// Prefer the cookie or the subprotocol: proxies and load balancers write URLs into
// their access logs. A browser closes the connection unless the answer selects one of
// the subprotocols that it offered. The $connect integration selects it. It must not
// select the token, but "bearer", or another subprotocol that the client offered:
//
//	return &gateway.Response{Header: http.Header{"Sec-WebSocket-Protocol": {"bearer"}}}, nil
//
// The $connect integration sees the token, because it sees the whole upgrade request.
//
// # Cookies need an origin check
//
// A browser sends the cookies of your site with every upgrade, whichever page opens
// the WebSocket. Without an origin check, a page of a stranger could connect as the
// user who visits it, and read and send messages: cross-site WebSocket hijacking.
//
// A Gateway checks the origin before it asks the authorizer. By default it refuses
// every page of another host with 403. [gateway.WithOriginPatterns] allows further
// pages: name only sites that you trust as much as your own, and never "*" or "null"
// together with Config.Cookie. Set the cookie with the attributes HttpOnly, Secure
// and SameSite=Strict, and give it a name that begins with "__Host-", so that no
// other host of your domain can set it. (RFC 6455, section 10.2; RFC 6265bis,
// section 4.1.3.)
//
// The token of a header, subprotocol or query parameter needs no such care, because a
// page has to know the token to send it.
//
// # How long a decision holds
//
// The authorizer decides about the upgrade only. A connection stays open when its
// token expires or its key is withdrawn. Where that matters, pass exp on with
// Config.Claims, and let the integrations check it.
package jwtauthorizer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"example.com/gateway"
)

// Authorizer is a [gateway.Authorizer] that takes JSON Web Tokens. [New] makes it.
// It runs no goroutines and need not be closed. It is safe for concurrent use.
type Authorizer struct {
	cfg        Config // with its defaults, and without the secrets
	algorithms []jose.SignatureAlgorithm
	keys       verifier
}

var _ gateway.Authorizer = (*Authorizer)(nil)

// verifier checks signatures: with the public keys of an issuer or with secrets.
type verifier interface {
	// verify returns the payload of a token whose signature is good.
	verify(ctx context.Context, jws *jose.JSONWebSignature) ([]byte, error)
}

// New returns an Authorizer. It fetches nothing; the first token makes it fetch the
// issuer's keys. The error is a [gateway.ErrInvalidOption] that says what is wrong
// with cfg.
func New(cfg Config) (*Authorizer, error) {
	cfg = cfg.clone()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	secrets := cfg.Secrets
	cfg.Secrets = nil
	a := &Authorizer{cfg: cfg.withDefaults()}
	if secrets != nil {
		a.algorithms, a.keys = secretAlgorithms(), &hmacKeys{secrets}
		return a, nil
	}
	a.algorithms = publicAlgorithms()
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

var errNotMade = errors.New("jwtauthorizer: the Authorizer was not made by New, and knows no keys")

// Validate returns an error for an Authorizer that [New] did not make.
// [gateway.Gateway.Handle] calls it.
func (a *Authorizer) Validate() error {
	if a.keys == nil {
		return errNotMade
	}
	return nil
}

// Authorize admits a client whose token is good.
//
// It returns [gateway.ErrUnauthorized], which is 401, for a client that sends no
// token, more than one, or one that is not good; and [gateway.ErrForbidden], which is
// 403, for a token that lacks scopes. Any other error means that there are no keys to
// check tokens with. No error contains a token.
//
// The token is taken from the Authorization header, where it stands after the scheme
// Bearer or alone, and from Config.Cookie, Config.Subprotocol and
// Config.QueryParameter. A client that sends more than one token, even the same
// twice, is refused. (RFC 6750, section 2.) An Authorization header with another
// scheme is ignored.
//
// A call fetches the issuer's keys when there are none, or when they are older than
// Config.RefreshInterval. Other calls wait for it only when there are no keys, or none
// that their token is signed with. A token without a key ID is good when the key set
// has just one key. When keys share an ID, the first eight that fit the token's
// algorithm are tried.
func (a *Authorizer) Authorize(ctx context.Context, req *gateway.Request) (*gateway.Authorization, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
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
	return a.authorization(claims), nil
}

// verify returns the payload of a token whose signature is good. Nothing has read the
// payload before.
func (a *Authorizer) verify(ctx context.Context, token string) ([]byte, error) {
	// This refuses every algorithm that is not in the list, and so always "none". The
	// errors of go-jose quote the token: they are not passed on.
	jws, err := jose.ParseSignedCompact(token, a.algorithms)
	if err != nil {
		return nil, refused("the token is malformed, or its algorithm is not accepted")
	}
	return a.keys.verify(ctx, jws)
}

// refused returns the error for a client that is not admitted.
func refused(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{gateway.ErrUnauthorized}, args...)...)
}
