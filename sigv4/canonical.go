package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/textproto"
	"path"
	"slices"
	"strconv"
	"strings"
)

const (
	contentSHA256   = "x-amz-content-sha256"
	unsignedPayload = "UNSIGNED-PAYLOAD"
	streaming       = "STREAMING-" // the prefix for bodies in signed chunks, which only S3 takes
)

// reading is one way to read a request: clients differ in what they sign.
type reading struct {
	path        string
	omitToken   bool // the token of a presigned request was added to the query after signing
	plusIsBlank bool // each "+" of the query was signed as a blank: the signer wrote the query as a form
}

// readings appends the ways to read m, the usual one first.
func (m *message) readings(a *authorization, into []reading) []reading {
	into = append(into, reading{path: normalise(m.path)})
	if m.path != into[0].path {
		into = append(into, reading{path: m.path})
	}
	if a.presigned && a.token != "" {
		for _, r := range into {
			into = append(into, reading{path: r.path, omitToken: true})
		}
	}
	if strings.Contains(m.query, "+") {
		for _, r := range into {
			r.plusIsBlank = true
			into = append(into, r)
		}
	}
	return into
}

// normalise removes "//", "." and ".." from an escaped path. It leaves the escapes as
// they are, and keeps a slash at the end.
func normalise(escaped string) string {
	clean := path.Clean(escaped)
	if strings.HasSuffix(escaped, "/") && clean != "/" {
		if len(clean) == len(escaped)-1 && escaped[:len(clean)] == clean {
			return escaped
		}
		return clean + "/"
	}
	return clean
}

// match finds the reading of m that was signed, and returns its path.
func (v *Verifier) match(m *message, a *authorization, secret string, body []byte) (string, error) {
	payload, ok := m.payload(a, body, v.AllowUnsignedPayload)
	ok = ok && !strings.Contains(m.query, ";") // to signers it is part of a value, to API Gateway it ends a parameter
	key := signingKey(secret, &a.scope)
	var (
		first       error
		readings    [8]reading
		query       canonicalQuery
		canonical   [1 << 10]byte
		toSign      [256]byte
		expected    [sha256.Size * 2]byte
		expectedMAC [sha256.Size]byte
	)
	for _, r := range m.readings(a, readings[:0]) {
		query.read(m, a, r)
		request, complete := m.appendCanonical(canonical[:0], a, r, &query, payload)
		text := a.appendToSign(toSign[:0], request)
		hex.Encode(expected[:], appendHMAC(expectedMAC[:0], key, text))
		if subtle.ConstantTimeCompare(expected[:], []byte(a.signature)) == 1 && complete && ok {
			return r.path, nil
		}
		if first == nil {
			first = errMismatch(request, text)
		}
	}
	return "", first
}

// payload returns the hash of body for the canonical request. It reports false when
// x-amz-content-sha256 has another hash, or asks for a form of body that API Gateway
// does not know. If that header is not signed, it is ignored, and the hash of the body
// is used.
func (m *message) payload(a *authorization, body []byte, allowUnsigned bool) (string, bool) {
	claims := m.header[textproto.CanonicalMIMEHeaderKey(contentSHA256)]
	claim := strings.Join(claims, ",")
	signed := a.signs(contentSHA256)
	if allowUnsigned && signed && claim == unsignedPayload {
		return unsignedPayload, true
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if len(claims) == 0 || strings.HasPrefix(claim, streaming) {
		return hash, len(claims) == 0
	}
	return hash, !signed || claim == hash
}

// canonicalQuery is the query of a reading. Readings that differ only in their path
// share it, because a long query takes time.
type canonicalQuery struct {
	of   reading // without its path
	text []byte  // begins with a line break; nil before the first reading
	ok   bool    // every % begins a valid escape
}

func (q *canonicalQuery) read(m *message, a *authorization, r reading) {
	r.path = ""
	if q.text == nil || q.of != r {
		if q.of = r; q.text == nil {
			q.text = make([]byte, 0, len("\n")+len(m.query))
		}
		q.text, q.ok = m.appendQuery(append(q.text[:0], '\n'), a.presigned, r)
	}
}

// appendCanonical appends the canonical request. It reports false when a signed
// header is missing, or when the query has an invalid escape.
func (m *message) appendCanonical(b []byte, a *authorization, r reading, query *canonicalQuery, payload string) (_ []byte, ok bool) {
	b = append(b, m.method...)
	b = append(b, '\n')
	b = appendPath(b, r.path)
	b, ok = append(b, query.text...), query.ok
	b = append(b, '\n')
	for name := range strings.SplitSeq(a.signedHeaders, ";") {
		var sent bool
		b = append(b, name...)
		b = append(b, ':')
		b, sent = m.appendHeader(b, name)
		b = append(b, '\n')
		ok = ok && sent
	}
	b = append(b, '\n')
	b = append(b, a.signedHeaders...)
	b = append(b, '\n')
	return append(b, payload...), ok
}

// appendHeader appends the values of a header, and reports whether it was sent.
func (m *message) appendHeader(b []byte, name string) ([]byte, bool) {
	if name == "host" { // net/http keeps it apart from the headers
		return appendCollapsed(b, m.host), m.host != ""
	}
	values := m.header[textproto.CanonicalMIMEHeaderKey(name)]
	if len(values) == 0 {
		if name == "content-length" && m.contentLength >= 0 { // a request that has not been sent has no such header yet
			return strconv.AppendInt(b, m.contentLength, 10), true
		}
		return b, false
	}
	for i, value := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendCollapsed(b, value)
	}
	return b, true
}

// appendCollapsed appends a header's value. It drops the blanks at both ends, and
// writes one blank for several.
func appendCollapsed(b []byte, value string) []byte {
	value = strings.Trim(value, " \t")
	for i := range len(value) {
		switch c := value[i]; {
		case c != ' ' && c != '\t':
			b = append(b, c)
		case value[i-1] != ' ' && value[i-1] != '\t': // value[0] is no blank
			b = append(b, ' ')
		}
	}
	return b
}

const upperHex = "0123456789ABCDEF"

// appendPath escapes an escaped path once more: "%3D" becomes "%253D". All services
// but S3 want this.
func appendPath(b []byte, escaped string) []byte {
	for i := range len(escaped) {
		if c := escaped[i]; c == '/' || isUnreserved(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return b
}

// isUnreserved reports whether c is never escaped. (RFC 3986, "Unreserved Characters".)
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '_' || c == '.' || c == '~'
}

// parameter is a parameter of the query. Both parts are escaped in the canonical way.
type parameter struct{ name, value string }

// appendQuery appends the parameters, sorted by name and then by value. It reports
// false when an escape is invalid, because other readers of the query would read it
// differently, or not at all.
func (m *message) appendQuery(b []byte, presigned bool, r reading) (_ []byte, ok bool) {
	var few [16]parameter
	parameters, ok := few[:0], true
	query := m.query
	if r.plusIsBlank {
		query = strings.ReplaceAll(query, "+", "%20")
	}
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, nameOK := canonicalPart(rawName)
		value, valueOK := canonicalPart(rawValue)
		ok = ok && nameOK && valueOK
		if presigned && name == paramSignature || r.omitToken && name == paramToken {
			continue
		}
		parameters = append(parameters, parameter{name, value})
	}
	slices.SortFunc(parameters, func(x, y parameter) int {
		if c := strings.Compare(x.name, y.name); c != 0 {
			return c
		}
		return strings.Compare(x.value, y.value)
	})
	for i, p := range parameters {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, p.name...)
		b = append(b, '=')
		b = append(b, p.value...)
	}
	return b, ok
}

// canonicalPart escapes a name or value of a query in the canonical way, however it
// was escaped before. A "+" is a plus sign. It reports false when an escape is invalid.
func canonicalPart(s string) (string, bool) {
	i := 0
	for i < len(s) && isUnreserved(s[i]) {
		i++
	}
	if i == len(s) {
		return s, true
	}
	b, ok := append(make([]byte, 0, len(s)+8), s[:i]...), true
	for ; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
				c = unhex(s[i+1])<<4 | unhex(s[i+2])
				i += 2
			} else {
				ok = false
			}
		}
		if isUnreserved(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(b), ok
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&7 + 9
}

// appendToSign appends the string to sign.
func (a *authorization) appendToSign(b, canonical []byte) []byte {
	sum := sha256.Sum256(canonical)
	b = append(b, algorithm...)
	b = append(b, '\n')
	b = append(b, a.timestamp...)
	b = append(b, '\n')
	b = append(b, a.scope.text...)
	b = append(b, '\n')
	return hex.AppendEncode(b, sum[:])
}

// signingKey derives the key for a day, a region and a service from a secret.
func signingKey(secret string, s *scope) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range [...]string{s.date, s.region, s.service, terminator} {
		key = appendHMAC(nil, key, []byte(part))
	}
	return key
}

func appendHMAC(b, key, data []byte) []byte {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write(data) // never fails
	return mac.Sum(b)
}
