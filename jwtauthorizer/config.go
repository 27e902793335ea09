package jwtauthorizer

import (
	"bytes"
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"example.com/gateway"
)

// Config says which tokens an [Authorizer] takes. Required are Issuer or Secrets, and
// Audience or AnyAudience. [New] copies it.
type Config struct {
	// Issuer is the text that a token's iss claim must have, compared exactly. It is
	// required unless there are Secrets. With Secrets, "" means that iss is not checked:
	// nobody without a secret can have made the token.
	Issuer string
	// Audience lists the names of this API: a token's aud claim must contain one of
	// them. For a token without aud, its client_id must be one of them.
	Audience []string
	// AnyAudience takes tokens that were made for any audience. Then every other
	// application that a user signs in to can connect as that user.
	AnyAudience bool
	// Scopes lists scopes of which a token needs at least one, as in the service. A
	// token without any gets 403. Empty: not checked.
	//
	// A token's scopes are in its claim scope or scp: a text with blanks between the
	// scopes, or a list. (RFC 8693, section 4.2.)
	Scopes []string
	// RequiredScopes lists scopes of which a token needs every one. A token that lacks
	// one gets 403. Empty: not checked.
	RequiredScopes []string
	// RequiredClaims has the claims that a token must have, by name, and for each the
	// values that are good. The claim must be one of them. If the claim is a list, one
	// element must be. Texts are compared exactly. A number or a boolean is compared as
	// the token writes it, such as "7" or "true". An object never fits. A token without
	// the claim, or with another value, gets 401; the log has the name of the claim, never
	// its value. Empty: not checked.
	//
	//	RequiredClaims: map[string][]string{
	//		"email_verified": {"true"},
	//		"roles":          {"agent", "admin"}, // one of them
	//	}
	RequiredClaims map[string][]string
	// Claims names the claims to pass on in Request.Authorizer. Texts, numbers and
	// booleans are passed on as they are, lists and objects as JSON text. Claims that a
	// token lacks, and those that are null, are left out. The sub claim is always passed
	// on, as principalId.
	Claims []string

	// Cookie is the name of the cookie that may have the token. "": none. A browser sends
	// a cookie from any page: read about the origin check in the package's documentation.
	// Two cookies of this name are two tokens, and refused: one of them may have been
	// set by another host of the domain. Above 10,240 bytes of cookies a client is
	// refused, too.
	Cookie string
	// QueryParameter is the name of the query parameter that may have the token. "":
	// none.
	QueryParameter string
	// Subprotocol is the subprotocol after which a client may offer the token, as if the
	// token were a subprotocol. "": none. The package's documentation says what the
	// $connect integration has to answer.
	Subprotocol string

	// Skew is how far the issuer's clock and ours may be apart, for exp, nbf and iat. 0
	// means a minute, a negative value none.
	Skew time.Duration

	// Secrets are the keys of tokens that are signed with HS256, which your own program
	// makes. Each is used as it is, byte by byte, and not decoded from base64 or
	// hexadecimal text. It needs at least 32 bytes, from a random source: whoever has one
	// token can try to guess the secret. (RFC 7518, section 3.2.)
	//
	// A token is good if it is signed with any of them. There may be up to eight, and key
	// IDs of tokens are ignored. To change the secret, add the new one here, let the
	// program sign with it, and remove the old one when its last token has expired.
	//
	// nil means that tokens are signed by the Issuer. The fields below are for that
	// alone, except Algorithms and Logger, and must not be set together with Secrets.
	Secrets [][]byte

	// Algorithms lists the signature algorithms to accept: RS256, RS384, RS512, PS256,
	// PS384, PS512, ES256, ES384, ES512, and EdDSA, which tokens and keys may also call
	// Ed25519 (RFC 9864). Empty means all of these. With Secrets it is HS256 alone.
	Algorithms []string
	// JWKSURL is the URL of the issuer's key set. "" means that the document at
	// Issuer/.well-known/openid-configuration has it; that document must name this
	// Issuer. URLs are https, or http on a loopback address.
	JWKSURL string
	// Client fetches the key set. nil means a client with defaults. A fetch ends after 10
	// seconds, and follows no redirect to another scheme.
	Client *http.Client
	// RefreshInterval is the age at which the key set is fetched again. A key that the
	// issuer has withdrawn is still good for so long. 0 means 15 minutes.
	RefreshInterval time.Duration
	// If no key fits a token, the key set is fetched again, but at most once in
	// UnknownKeyInterval. No key fits if the token has an unknown key ID, or a wrong
	// signature: an issuer may make a new key under an old ID. So a new key is found after
	// this time at the latest, and invented tokens cost the issuer at most one request in
	// this time. A failed refresh is tried again after the same time. 0 means 30 seconds.
	UnknownKeyInterval time.Duration
	// MaxStale is how long beyond RefreshInterval the key set stays good when it cannot
	// be fetched again. 0 means two hours, for which the service may keep keys; a
	// negative value means not at all.
	MaxStale time.Duration
	// Logger gets failures to refresh the key set while MaxStale covers them. All other
	// errors are returned. nil means that nothing is logged.
	Logger *slog.Logger
}

// clone returns a copy that shares nothing which the caller could change.
func (c Config) clone() Config {
	c.Audience, c.Scopes, c.Claims = slices.Clone(c.Audience), slices.Clone(c.Scopes), slices.Clone(c.Claims)
	c.RequiredScopes, c.Algorithms = slices.Clone(c.RequiredScopes), slices.Clone(c.Algorithms)
	c.Secrets = slices.Clone(c.Secrets)
	for n, secret := range c.Secrets {
		c.Secrets[n] = bytes.Clone(secret)
	}
	c.RequiredClaims = maps.Clone(c.RequiredClaims)
	for name, values := range c.RequiredClaims {
		c.RequiredClaims[name] = slices.Clone(values)
	}
	return c
}

// publicAlgorithms are the algorithms whose keys are public. "none" is not one of
// them: it is no signature.
func publicAlgorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
}

func (c *Config) check() error {
	for _, check := range []func() error{c.checkKeys, c.checkAlgorithms, c.checkSources, c.checkClaims} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// checkKeys checks the fields that say where keys come from.
func (c *Config) checkKeys() error {
	switch {
	case c.Secrets != nil:
		return c.checkSecrets()
	case c.RefreshInterval < 0, c.UnknownKeyInterval < 0:
		return invalid("RefreshInterval %v or UnknownKeyInterval %v is negative: leave it 0 for the default", c.RefreshInterval, c.UnknownKeyInterval)
	}
	return c.checkURLs()
}

func (c *Config) checkAlgorithms() error {
	accepted, instead := publicAlgorithms(), "for HS256 set Secrets"
	if c.Secrets != nil {
		accepted, instead = secretAlgorithms(), "leave Secrets out to use an issuer's public keys"
	}
	for _, name := range c.Algorithms {
		if !slices.Contains(accepted, jose.SignatureAlgorithm(name)) {
			return invalid("algorithm %q is not one of %v: %s", name, accepted, instead)
		}
	}
	return nil
}

// checkSources checks where tokens come from.
func (c *Config) checkSources() error {
	switch {
	case strings.Trim(c.Subprotocol, tokenChars) != "":
		return invalid("Subprotocol %q is no subprotocol: want letters, digits and !#$%%&'*+-.^_`|~", c.Subprotocol)
	case strings.Trim(c.Cookie, tokenChars) != "":
		return invalid("Cookie %q is no name of a cookie: want letters, digits and !#$%%&'*+-.^_`|~", c.Cookie)
	}
	return nil
}

// tokenChars are those of a token. (RFC 9110, section 5.6.2.)
const tokenChars = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// checkClaims checks what tokens have to say.
func (c *Config) checkClaims() error {
	switch {
	case len(c.Audience) == 0 && !c.AnyAudience:
		return invalid("Audience is empty: name this API, or set AnyAudience")
	case len(c.Audience) > 0 && c.AnyAudience:
		return invalid("both Audience and AnyAudience are set: remove one")
	}
	for _, list := range [][]string{c.Audience, c.Scopes, c.RequiredScopes, c.Claims} {
		if slices.Contains(list, "") {
			return invalid("Audience, Scopes, RequiredScopes or Claims has an empty entry: remove it")
		}
	}
	for _, scope := range slices.Concat(c.Scopes, c.RequiredScopes) {
		if strings.ContainsAny(scope, " \t\r\n") {
			return invalid("scope %q has a blank in it, which no scope has: write each scope as an entry of its own", scope)
		}
	}
	for name, values := range c.RequiredClaims {
		if name == "" || len(values) == 0 || slices.Contains(values, "") {
			return invalid("RequiredClaims: claim %q: want a name and at least one value that is not empty", name)
		}
	}
	for _, name := range c.Claims {
		if name == "principalId" || name == "integrationLatency" {
			return invalid("claim %q cannot be passed on: Request.Authorizer has that name for something else", name)
		}
	}
	return nil
}

// checkURLs checks JWKSURL and Issuer. Issuer has to be a URL only when the key set
// is found by it.
func (c *Config) checkURLs() error {
	name, text := "JWKSURL", c.JWKSURL
	switch {
	case c.Issuer == "":
		return invalid("Issuer is empty: name the issuer of the tokens, or set Secrets")
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

// invalid returns the error for a mistake in a Config.
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
