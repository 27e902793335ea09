package jwtauthorizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	josejson "github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"

	"example.com/gateway"
)

// claims are the claims of a token. Those that the package reads itself have fields.
type claims struct {
	jwt.Claims
	ClientID any `json:"client_id"`
	Scope    any `json:"scope"`
	SCP      any `json:"scp"`

	all map[string]json.RawMessage
}

// decode reads a payload. The JSON of go-jose, unlike the standard library's, tells
// names in upper case from those in lower case, and refuses a name that comes twice.
func decode(payload []byte) (*claims, error) {
	c := &claims{}
	if josejson.Unmarshal(payload, c) != nil || json.Unmarshal(payload, &c.all) != nil {
		return nil, refused("the token's claims are malformed")
	}
	return c, nil
}

// check returns why a token is not good. Its signature is.
func (a *Authorizer) check(c *claims) error {
	now := time.Now()
	switch {
	case a.cfg.Issuer != "" && c.Issuer != a.cfg.Issuer:
		return refused("the token is by %q", c.Issuer)
	case !a.audience(c):
		return refused("the token is for %q", []string(c.Audience))
	case c.Expiry == nil:
		return refused("the token never expires: it has no exp claim")
	case !now.Before(c.Expiry.Time().Add(a.cfg.Skew)): // RFC 7519, section 4.1.4: on or after
		return refused("the token has expired")
	case c.NotBefore != nil && now.Add(a.cfg.Skew).Before(c.NotBefore.Time()):
		return refused("the token is not valid yet")
	case c.IssuedAt != nil && now.Add(a.cfg.Skew).Before(c.IssuedAt.Time()):
		return refused("the token was issued in the future")
	}
	for _, name := range slices.Sorted(maps.Keys(a.cfg.RequiredClaims)) {
		if !c.has(name, a.cfg.RequiredClaims[name]) {
			return refused("the token lacks the claim %q, or its value is not one of RequiredClaims", name)
		}
	}
	return a.checkScopes(c)
}

// audience reports whether a token is for us. A token without aud says in client_id
// who got it.
func (a *Authorizer) audience(c *claims) bool {
	if a.cfg.AnyAudience {
		return true
	}
	if c.Audience == nil {
		id, ok := c.ClientID.(string)
		return ok && slices.Contains(a.cfg.Audience, id)
	}
	return slices.ContainsFunc(c.Audience, func(name string) bool { return slices.Contains(a.cfg.Audience, name) })
}

// has reports whether a claim has one of the values, or is a list with one of them.
func (c *claims) has(name string, values []string) bool {
	raw, ok := c.all[name]
	if !ok {
		return false
	}
	fits := func(value any) bool {
		switch value := value.(type) {
		case string:
			return slices.Contains(values, value)
		case json.Number:
			return slices.Contains(values, value.String())
		case bool:
			return slices.Contains(values, fmt.Sprint(value))
		}
		return false
	}
	value := decodeClaim(raw)
	if list, ok := value.([]any); ok {
		return slices.ContainsFunc(list, fits)
	}
	return fits(value)
}

// checkScopes returns which scopes a token lacks.
func (a *Authorizer) checkScopes(c *claims) error {
	scopes := append(words(c.Scope), words(c.SCP)...)
	had := func(scope string) bool { return slices.Contains(scopes, scope) }
	if len(a.cfg.Scopes) > 0 && !slices.ContainsFunc(a.cfg.Scopes, had) {
		return fmt.Errorf("%w: the token has none of the scopes %q", gateway.ErrForbidden, a.cfg.Scopes)
	}
	for _, scope := range a.cfg.RequiredScopes {
		if !had(scope) {
			return fmt.Errorf("%w: the token lacks the scope %q", gateway.ErrForbidden, scope)
		}
	}
	return nil
}

// words returns the words of a claim that is a text with blanks, or a list. (RFC 6749,
// section 3.3: no other white space separates scopes.)
func words(claim any) (list []string) {
	switch claim := claim.(type) {
	case string:
		return strings.FieldsFunc(claim, func(r rune) bool { return r == ' ' })
	case []any:
		for _, element := range claim {
			if word, ok := element.(string); ok {
				list = append(list, word)
			}
		}
	}
	return list
}

// authorization returns what integrations learn about a token that is good.
func (a *Authorizer) authorization(c *claims) *gateway.Authorization {
	authorization := &gateway.Authorization{PrincipalID: c.Subject}
	if len(a.cfg.Claims) == 0 {
		return authorization
	}
	authorization.Context = make(map[string]any, len(a.cfg.Claims))
	for _, name := range a.cfg.Claims {
		if raw, ok := c.all[name]; ok {
			authorization.Context[name] = contextValue(raw)
		}
	}
	return authorization
}

// contextValue returns a claim as a value that a context may have: nil for null.
func contextValue(raw json.RawMessage) any {
	value := decodeClaim(raw)
	switch value.(type) {
	case []any, map[string]any:
		var text bytes.Buffer
		_ = json.Compact(&text, raw) // it has been decoded: cannot fail
		return text.String()
	}
	return value
}

// decodeClaim returns the value of a claim, with numbers as they are written.
func decodeClaim(raw json.RawMessage) any {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // an ID may be above 2⁵³
	var value any
	if err := d.Decode(&value); err != nil {
		return nil
	}
	return value
}
