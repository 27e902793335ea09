package jwtauthorizer

import (
	"net/http"
	"strings"

	"example.com/gateway"
	"example.com/gateway/internal/query"
)

// Bounds in bytes. In the service all headers of a request together may have so much.
const (
	maxTokenBytes   = 10 << 10
	maxCookiesBytes = 10 << 10 // of all cookies of a request
)

// token returns the one token of an upgrade request.
func (a *Authorizer) token(req *gateway.Request) (string, error) {
	tokens, err := a.tokens(req)
	switch {
	case err != nil:
		return "", err
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

// notInToken reports whether r is neither of base64url nor a dot. (RFC 7515, section
// 7.1.)
func notInToken(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_', r == '.':
		return false
	}
	return true
}

// tokens returns all tokens of a request that are not empty.
func (a *Authorizer) tokens(req *gateway.Request) (tokens []string, err error) {
	if req.Upgrade == nil {
		return nil, nil
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
	if a.cfg.Cookie != "" {
		values, err := cookies(req.Upgrade.Header, a.cfg.Cookie)
		if err != nil {
			return nil, err
		}
		for _, value := range values {
			add(value)
		}
	}
	return tokens, nil
}

// ofAuthorization returns the token of an Authorization header. It stands after the
// scheme Bearer, or alone, if it looks like a token. (API Gateway: "Control access to
// HTTP APIs with JWT authorizers in API Gateway".)
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

// cookies returns the values of all cookies of a name, without the double quotes around
// them. (RFC 6265, sections 4.1.1 and 5.4.)
//
// [http.Request.CookiesNamed] is not used, because it leaves out cookies that it
// cannot read: of two cookies it could see one.
func cookies(header http.Header, name string) (values []string, err error) {
	size := 0
	for _, line := range header.Values("Cookie") {
		if size += len(line); size > maxCookiesBytes {
			return nil, refused("the cookies have more than %d bytes", maxCookiesBytes)
		}
		for pair := range strings.SplitSeq(line, ";") {
			if found, value, _ := strings.Cut(strings.Trim(pair, " \t"), "="); strings.Trim(found, " \t") == name {
				value = strings.Trim(value, " ") // no tab: net/http reads no such cookie
				if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
					value = value[1 : len(value)-1]
				}
				values = append(values, value)
			}
		}
	}
	return values, nil
}
