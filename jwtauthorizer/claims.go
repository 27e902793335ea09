package jwtauthorizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	josejson "github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"

	"example.com/gateway"
)

// claims are those that decide.
type claims struct {
	jwt.Claims
	ClientID any `json:"client_id"`
	Scope    any `json:"scope"`
	SCP      any `json:"scp"`
}

// decode reads a payload. The package's JSON, unlike the standard library's,
// tells names in upper case from those in lower case, and refuses a name that
// comes twice.
func decode(payload []byte) (*claims, error) {
	c := &claims{}
	if err := josejson.Unmarshal(payload, c); err != nil {
		return nil, refused("the token's claims are malformed")
	}
	return c, nil
}

// check returns why a token is not good, though the issuer has made it.
func (a *Authorizer) check(c *claims) error {
	now := time.Now()
	switch {
	case c.Issuer != a.cfg.Issuer:
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
	case !a.scope(c):
		return fmt.Errorf("%w: the token has none of the scopes %q", gateway.ErrForbidden, a.cfg.Scopes)
	}
	return nil
}

// audience says whether a token is for us. One without an aud claim says in
// client_id who got it.
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

// scope says whether a token has one of the scopes, if any are needed.
func (a *Authorizer) scope(c *claims) bool {
	if len(a.cfg.Scopes) == 0 {
		return true
	}
	return slices.ContainsFunc(append(words(c.Scope), words(c.SCP)...), func(scope string) bool {
		return slices.Contains(a.cfg.Scopes, scope)
	})
}

// words takes a claim apart that is text with blanks, or a list.
func words(claim any) (list []string) {
	switch claim := claim.(type) {
	case string:
		return strings.Fields(claim)
	case []any:
		for _, element := range claim {
			if word, ok := element.(string); ok {
				list = append(list, word)
			}
		}
	}
	return list
}

// authorization is what integrations learn of a token that is good.
func (a *Authorizer) authorization(c *claims, payload []byte) (*gateway.Authorization, error) {
	authorization := &gateway.Authorization{PrincipalID: c.Subject}
	if len(a.cfg.Claims) == 0 {
		return authorization, nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(payload, &all); err != nil {
		return nil, refused("the token's claims are malformed")
	}
	authorization.Context = make(map[string]any, len(a.cfg.Claims))
	for _, name := range a.cfg.Claims {
		if raw, ok := all[name]; ok {
			authorization.Context[name] = contextValue(raw)
		}
	}
	return authorization, nil
}

// contextValue returns a claim as a value that a context may have: nil for null.
func contextValue(raw json.RawMessage) any {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // an ID may be above 2⁵³
	var value any
	if err := d.Decode(&value); err != nil {
		return nil
	}
	switch value.(type) {
	case []any, map[string]any:
		var text bytes.Buffer
		_ = json.Compact(&text, raw) // it has been decoded: cannot fail
		return text.String()
	}
	return value
}
