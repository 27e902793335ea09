package apicall

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
)

// ETag returns the entity tag of a state. Two states have the same tag only if they are the
// same.
func ETag(state []byte) string {
	sum := sha256.Sum256(state)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:]) + `"`
}

// tags is the value of If-Match or If-None-Match.
type tags struct {
	present, any bool
	strong, weak []string
}

// Conditions are the conditions of a call: If-Match and If-None-Match. (RFC 9110 section
// 13.)
type Conditions struct{ match, noneMatch tags }

// Any reports whether there is a condition.
func (c *Conditions) Any() bool { return c.match.present || c.noneMatch.present }

// ParseConditions reads the conditions of a call.
func ParseConditions(h http.Header) (c Conditions, bad *FieldError) {
	if c.match, bad = parseTags(h, "If-Match"); bad != nil {
		return c, bad
	}
	c.noneMatch, bad = parseTags(h, "If-None-Match")
	return c, bad
}

// Verdict is what conditions say about a state.
type Verdict int

// The verdicts.
const (
	Holds  Verdict = iota
	Failed         // 412
	Same           // 304 for a GET, 412 for any other method
)

// Check compares the conditions with a state, which is empty if there is none. If-Match goes
// first, and compares strong tags only. (RFC 9110 sections 13.1 and 13.2.2.)
func (c *Conditions) Check(state []byte) Verdict {
	exists := len(state) > 0
	tag := ""
	if exists && c.Any() {
		tag = ETag(state)
	}
	m, n := &c.match, &c.noneMatch
	if m.present && (!exists || !m.any && !slices.Contains(m.strong, tag)) {
		return Failed
	}
	if n.present && exists && (n.any || slices.Contains(n.strong, tag) || slices.Contains(n.weak, tag)) {
		return Same
	}
	return Holds
}

// parseTags reads "*" or a list of entity tags. Empty elements of the list are skipped.
// (RFC 9110 sections 5.6.1 and 8.8.3.)
func parseTags(h http.Header, field string) (t tags, bad *FieldError) {
	values := h.Values(field)
	if len(values) == 0 {
		return t, nil
	}
	t.present = true
	rest := strings.Trim(strings.Join(values, ","), " \t")
	if rest == "*" {
		t.any = true
		return t, nil
	}
	for rest != "" {
		weak := strings.HasPrefix(rest, "W/")
		tag, after, ok := cutTag(strings.TrimPrefix(rest, "W/"))
		switch {
		case ok && weak:
			t.weak = append(t.weak, tag)
		case ok:
			t.strong = append(t.strong, tag)
		case weak || rest[0] != ',':
			return t, invalid(field, "it is neither * nor a list of entity tags in quotes").having(rest)
		default:
			after = rest
		}
		rest = strings.TrimLeft(after, " \t")
		if rest != "" && rest[0] != ',' {
			return t, invalid(field, "there is no comma before").having(rest)
		}
		rest = strings.TrimLeft(rest, ", \t")
	}
	if t.strong == nil && t.weak == nil {
		return t, invalid(field, "it is empty: write *, or entity tags in quotes")
	}
	return t, nil
}

// cutTag cuts an entity tag off the front of s. The tag has its quotes.
func cutTag(s string) (tag, after string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		return "", "", false
	}
	end := strings.IndexByte(s[1:], '"')
	if end < 0 {
		return "", "", false
	}
	tag = s[:end+2]
	if strings.ContainsFunc(tag, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "", "", false
	}
	return tag, s[end+2:], true
}
