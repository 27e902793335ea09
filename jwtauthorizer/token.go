package jwtauthorizer

import (
	"strings"

	"example.com/gateway"
	"example.com/gateway/internal/query"
)

// maxTokenBytes bounds a token. All headers of a request together may have so
// much in the service.
const maxTokenBytes = 10 << 10

// token returns the one token of an upgrade request.
func (a *Authorizer) token(req *gateway.Request) (string, error) {
	tokens := a.tokens(req)
	switch {
	case len(tokens) == 0:
		return "", refused("there is no token")
	case len(tokens) > 1:
		return "", refused("there is more than one token")
	case len(tokens[0]) > maxTokenBytes:
		return "", refused("the token has %d bytes, above %d", len(tokens[0]), maxTokenBytes)
	case strings.ContainsFunc(tokens[0], notInToken): // decoders of base64 skip line ends
		return "", refused("the token is malformed")
	}
	return tokens[0], nil
}

// notInToken reports what is neither base64url nor a dot. (RFC 7515, section 7.1.)
func notInToken(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_', r == '.':
		return false
	}
	return true
}

// tokens returns all tokens that a request has, without those that are empty.
func (a *Authorizer) tokens(req *gateway.Request) (tokens []string) {
	if req.Upgrade == nil {
		return nil
	}
	add := func(token string) {
		if token != "" {
			tokens = append(tokens, token)
		}
	}
	for _, value := range req.Upgrade.Header.Values("Authorization") {
		add(ofAuthorization(value))
	}
	if a.cfg.QueryParameter != "" {
		for _, token := range query.Of(req.Upgrade.URL)[a.cfg.QueryParameter] {
			add(token)
		}
	}
	if a.cfg.Subprotocol != "" {
		offered := strings.Split(strings.Join(req.Upgrade.Header.Values("Sec-WebSocket-Protocol"), ","), ",")
		for n, name := range offered[1:] {
			if strings.TrimSpace(offered[n]) == a.cfg.Subprotocol { // the one before
				add(strings.TrimSpace(name))
			}
		}
	}
	return tokens
}

// ofAuthorization returns the token of an Authorization header: with the scheme
// Bearer, or alone, when it looks like one. (API Gateway: "Control access to HTTP
// APIs with JWT authorizers in API Gateway".)
func ofAuthorization(value string) string {
	value = strings.Trim(value, " \t")
	end := strings.IndexAny(value, " \t")
	switch {
	case end >= 0 && strings.EqualFold(value[:end], "Bearer"):
		return strings.Trim(value[end:], " \t")
	case end < 0 && strings.Count(value, ".") == 2:
		return value
	}
	return ""
}
