package sigv4_test

import (
	"bytes"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mutation is a request that was changed on its way.
type mutation struct {
	name string
	r    *http.Request
	body []byte
}

// mutations collects changed copies of a request.
type mutations struct {
	r    *http.Request
	body []byte
	all  []mutation
}

func (m *mutations) add(name string, change func(r *http.Request)) {
	r := m.r.Clone(m.r.Context())
	change(r)
	m.all = append(m.all, mutation{name, r, m.body})
}

func (m *mutations) addBody(name string, body []byte) {
	m.all = append(m.all, mutation{name, m.r.Clone(m.r.Context()), body})
}

// replace adds a request in which text replaces old in the string that field points to.
func (m *mutations) replace(name string, field func(*http.Request) *string, old, text string) {
	if strings.Contains(*field(m.r), old) {
		m.add(name+" "+old+" to "+text, func(r *http.Request) {
			value := field(r)
			*value = strings.Replace(*value, old, text, 1)
		})
	}
}

func target(r *http.Request) *string { return &r.RequestURI }

func host(r *http.Request) *string { return &r.Host }

func method(r *http.Request) *string { return &r.Method }

func authorization(r *http.Request) *string {
	if values := r.Header["Authorization"]; values != nil {
		return &values[0]
	}
	return &r.RequestURI // presigned: the same fields, in the query
}

// A change of anything that was signed is refused, for every client.
func TestVerify_RefusesChanges(t *testing.T) {
	t.Parallel()
	for _, c := range captures(t) {
		t.Run(c.File, func(t *testing.T) {
			t.Parallel()
			v := c.verifier(t)
			r, body := c.request(t)
			m := &mutations{r: r, body: body}
			m.changeTarget()
			m.changeHeaders(signedHeadersOf(r))
			m.changeSignature()
			m.changeBody()
			for _, x := range m.all {
				_, err := v.Verify(x.r, x.body)
				require.Error(t, err, x.name)
				requireRefused(t, err, errorCode(err))
			}
			require.Less(t, 150, len(m.all))
			_, err := v.Verify(r, body)
			require.NoError(t, err, "the original was changed")

			other := exampleVerifier(at(t, c.Timestamp), v.Service, c.SessionToken)
			other.Keys = staticKey("another secret", c.SessionToken)
			_, err = other.Verify(r, body)
			requireRefused(t, err, invalid)
		})
	}
}

func (m *mutations) changeTarget() {
	for _, other := range []string{"GET", "POST", "DELETE", "PUT", "HEAD", strings.ToLower(m.r.Method)} {
		if other != m.r.Method {
			m.replace("method", method, m.r.Method, other)
		}
	}
	m.replace("host", host, m.r.Host, "example.org")
	m.replace("host", host, m.r.Host, m.r.Host+":80")
	m.replace("host", host, m.r.Host, strings.ToUpper("x"+m.r.Host))
	for _, spelling := range [][2]string{
		{"@", "%40"},
		{"%3D", "%3d"},
		{"%3D", "="},
		{"%3D", "%253D"},
		{"%2F", "/"},
		{"%2B", "+"},
		{"R0o", "R%30o"},
		{"/prod", "/dev"},
		{"/prod", "/prod/x"},
		{"/prod", "/PROD"},
	} {
		if p, _, _ := strings.Cut(m.r.RequestURI, "?"); strings.Contains(p, spelling[0]) {
			m.replace("path", target, spelling[0], spelling[1])
		}
	}
	p, query, _ := strings.Cut(m.r.RequestURI, "?")
	for suffix, name := range map[string]string{"/": "trailing slash", "//": "trailing slashes", "x": "longer", "/..": "cut off", "%20": "blank"} {
		m.add("path "+name, func(r *http.Request) { r.RequestURI = p + suffix + "?" + query })
	}
	for i := 1; i < len(p); i++ {
		m.add("path byte replaced", func(r *http.Request) { r.RequestURI = p[:i] + string(p[i]^1) + p[i+1:] + "?" + query })
		if shorter := p[:i] + p[i+1:]; normalised(shorter) != normalised(p) {
			m.add("path byte removed", func(r *http.Request) { r.RequestURI = shorter + "?" + query })
		}
	}
	m.changeQuery(p, query)
}

func (m *mutations) changeQuery(p, query string) {
	set := func(name string, pairs ...string) {
		m.add("query "+name, func(r *http.Request) { r.RequestURI = p + "?" + strings.Join(pairs, "&") })
	}
	pairs := strings.FieldsFunc(query, func(c rune) bool { return c == '&' })
	for _, added := range []string{"a", "a=b", "=", "X-Amz-Date=20261121T002735Z", "X-Amz-Foo=1", "maxResults=3", "X-Amz-Signature="} {
		set("added "+added, slices.Concat(pairs, []string{added})...)
		set("added first "+added, slices.Concat([]string{added}, pairs)...)
	}
	for i, pair := range pairs {
		change := func(what, text string) { set(pair+" "+what, slices.Replace(slices.Clone(pairs), i, i+1, text)...) }
		set(pair+" removed", slices.Delete(slices.Clone(pairs), i, i+1)...)
		set(pair+" repeated", slices.Insert(slices.Clone(pairs), i, pair)...)
		change("longer", pair+"x")
		change("shorter", pair[:len(pair)-1])
		change("renamed", "x"+pair)
		change("in another case", strings.Map(swapCase, pair))
		change("emptied", pair[:strings.Index(pair, "=")+1])
	}
}

func swapCase(c rune) rune {
	if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
		return c ^ ' '
	}
	return c
}

func (m *mutations) changeHeaders(signed []string) {
	for _, name := range signed {
		key := http.CanonicalHeaderKey(name)
		if name == "host" {
			continue
		}
		value := m.r.Header.Get(key)
		for _, other := range []string{value + "x", "x" + value, value[:len(value)-1], value + " x", value + ",", strings.Map(swapCase, value) + "y", ""} {
			m.add(name+" is "+other, func(r *http.Request) { r.Header.Set(key, other) })
		}
		m.add(name+" removed", func(r *http.Request) { r.ContentLength = -1; delete(r.Header, key) })
		m.add(name+" twice", func(r *http.Request) { r.Header.Add(key, value) })
		m.add(name+" and an empty one", func(r *http.Request) { r.Header.Add(key, "") })
	}
	for _, other := range []string{"20261121T002734Z", "20261120T002736Z", "20261122T002736Z", "20261121T002836Z", "Sat, 21 Nov 2026 00:27:36 GMT"} {
		if slices.Contains(signed, "x-amz-date") {
			m.add("date moved", func(r *http.Request) { r.Header.Set("X-Amz-Date", other) })
			m.add("date in Date", func(r *http.Request) { r.Header.Del("X-Amz-Date"); r.Header.Set("Date", other) })
		}
	}
	m.changeSignedHeaders(signed)
}

// changeSignedHeaders removes headers from the list of signed headers, and adds others.
func (m *mutations) changeSignedHeaders(signed []string) {
	list := func(names []string) string {
		if m.r.Header["Authorization"] == nil {
			return "X-Amz-SignedHeaders=" + strings.Join(names, "%3B") + "&"
		}
		return "SignedHeaders=" + strings.Join(names, ";") + ","
	}
	for i := range signed {
		m.replace("no longer signed", authorization, list(signed), list(slices.Delete(slices.Clone(signed), i, i+1)))
	}
	for name := range m.r.Header {
		if name = strings.ToLower(name); !slices.Contains(signed, name) {
			more := append(slices.Clone(signed), name)
			m.replace("signed, out of order", authorization, list(signed), list(append([]string{"~"}, more...)))
			slices.Sort(more)
			m.replace("signed", authorization, list(signed), list(more))
		}
	}
	for _, name := range []string{"a", "zz", "Host", "host", ""} {
		m.replace("signed", authorization, list(signed), list(append(slices.Clone(signed), name)))
	}
}

func (m *mutations) changeSignature() {
	parts := scopeOf(m.r)
	for i, part := range parts {
		for _, other := range []string{part + "x", part[1:], strings.ToUpper(part) + "X", "", part + "/"} {
			changed := slices.Replace(slices.Clone(parts), i, i+1, other)
			m.replace("scope", authorization, strings.Join(parts, scopeSeparator(m.r)), strings.Join(changed, scopeSeparator(m.r)))
		}
	}
	signature := signatureOf(m.r)
	for i := range signature {
		m.replace("signature", authorization, signature, signature[:i]+string("0123456789abcdef"[(strings.IndexByte("0123456789abcdef", signature[i])+1)%16])+signature[i+1:])
	}
	for _, other := range []string{"", signature[1:], signature[:63], signature + "0", "0" + signature, strings.ToUpper(signature), "x" + signature[1:]} {
		m.replace("signature", authorization, signature, other)
	}
	m.replace("algorithm", authorization, "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1")
	m.add("token added or changed", func(r *http.Request) {
		if r.Header["Authorization"] != nil {
			r.Header.Set("X-Amz-Security-Token", "OTHER")
		} else {
			r.RequestURI += "&X-Amz-Security-Token=OTHER"
		}
	})
	m.add("both forms", func(r *http.Request) {
		r.RequestURI += "?X-Amz-Signature=" + signature
		r.Header.Add("Authorization", complete)
	})
	m.add("repeated", func(r *http.Request) { r.Header["Authorization"] = append(r.Header["Authorization"], complete) })
}

func (m *mutations) changeBody() {
	for i := range m.body {
		flipped := bytes.Clone(m.body)
		flipped[i] ^= 1
		m.addBody("body byte flipped", flipped)
		m.addBody("body byte removed", slices.Delete(bytes.Clone(m.body), i, i+1))
		m.addBody("body byte added", slices.Insert(bytes.Clone(m.body), i, m.body[i]^1))
	}
	m.addBody("body longer", append(bytes.Clone(m.body), '\n'))
	if len(m.body) > 0 {
		m.addBody("no body", nil)
	}
}

// A change that does not change the meaning of a request is accepted.
func TestVerify_AcceptsEquivalents(t *testing.T) {
	t.Parallel()
	for _, c := range captures(t) {
		t.Run(c.File, func(t *testing.T) {
			t.Parallel()
			r, body := c.request(t)
			m := &mutations{r: r, body: body}
			m.replace("path", target, "/@", "//@")
			m.replace("path", target, "/@", "/./@")
			m.replace("path", target, "/@", "/x/../@")
			m.replace("hex in lower case", target, "%2F", "%2f")
			if c.presigned() || strings.Contains(r.RequestURI, "?") {
				p, query, _ := strings.Cut(r.RequestURI, "?")
				pairs := strings.Split(query, "&")
				slices.Reverse(pairs)
				m.add("query reversed", func(r *http.Request) { r.RequestURI = p + "?" + strings.Join(pairs, "&") })
				m.replace("query", target, "?", "?&")
				m.replace("query", target, "tagKeys", "%74agKeys")
				m.replace("query", target, "room", "r%6Fom")
				m.replace("query", target, "a%20b", "a+b")
				m.replace("query", target, "x%20y", "x+y")
			}
			for _, name := range signedHeadersOf(r) {
				if name != "host" && name != "x-amz-date" && name != "x-amz-security-token" && name != "x-amz-content-sha256" {
					m.add("blanks in "+name, func(r *http.Request) {
						value := r.Header.Get(name)
						r.Header.Set(name, " \t "+strings.ReplaceAll(value, " ", "   ")+"  ")
					})
				}
			}
			m.add("unsigned header", func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.1") })
			m.add("unsigned header changed", func(r *http.Request) { r.Header.Set("User-Agent", "proxy") })
			for _, x := range m.all {
				if strings.Contains(c.File, "controlplane") && x.name == "hex in lower case %2F to %2f" {
					continue // in a path the spelling counts
				}
				if x.name == "hex in lower case %2F to %2f" && !c.presigned() {
					continue
				}
				_, err := c.verifier(t).Verify(x.r, x.body)
				require.NoError(t, err, x.name)
			}
		})
	}
}

// Every byte of every capture is replaced, removed, and preceded by another. A request that
// is still accepted has the same meaning.
func TestVerify_EveryByte(t *testing.T) {
	t.Parallel()
	for _, c := range captures(t) {
		t.Run(c.File, func(t *testing.T) {
			t.Parallel()
			v := c.verifier(t)
			want := essenceOf(t, c.raw)
			refused, parsed := 0, 0
			for i := range c.raw {
				for _, raw := range [][]byte{
					slices.Replace(bytes.Clone(c.raw), i, i+1, c.raw[i]^1),
					slices.Replace(bytes.Clone(c.raw), i, i+1, c.raw[i]^0x20),
					slices.Delete(bytes.Clone(c.raw), i, i+1),
					slices.Insert(bytes.Clone(c.raw), i, c.raw[i]),
					slices.Insert(bytes.Clone(c.raw), i, ' '),
				} {
					r, body, err := parseHTTP(raw)
					if err != nil {
						continue
					}
					parsed++
					if _, err := v.Verify(r, body); err != nil {
						refused++
						continue
					}
					require.Equal(t, want, essenceOf(t, raw), "%q", raw)
				}
			}
			require.Less(t, 500, refused)
			require.Less(t, refused, parsed, "unsigned headers may change")
		})
	}
}

// essence is the part of a request that its signature covers. It is found with net/url and
// regular expressions, in another way than in the package.
type essence struct {
	Method, Host, Path string
	Query              []string
	Headers            []string
	Body               string
	Authorization      []string
	Token              []string
}

var authorizationPattern = regexp.MustCompile(`(?:^|[ ,\t])(Credential|SignedHeaders|Signature)=([^ ,\t]*)`)

func essenceOf(t testing.TB, raw []byte) essence {
	t.Helper()
	r, body, err := parseHTTP(raw)
	require.NoError(t, err)
	rawTarget := r.RequestURI
	if !strings.HasPrefix(rawTarget, "/") {
		u, err := url.Parse(rawTarget)
		require.NoError(t, err)
		rawTarget = u.RequestURI()
	}
	p, query, _ := strings.Cut(rawTarget, "?")
	e := essence{
		Method: r.Method, Host: strings.Join(strings.Fields(r.Host), " "), Path: normalised(p), Body: string(body),
		Token: r.Header["X-Amz-Security-Token"],
	}
	for _, pair := range strings.Split(query, "&") {
		if pair != "" {
			name, value, _ := strings.Cut(pair, "=")
			name, err := url.QueryUnescape(name) // no capture has a plus sign in its query
			require.NoError(t, err)
			value, err = url.QueryUnescape(value)
			require.NoError(t, err)
			e.Query = append(e.Query, name+"="+value)
		}
	}
	slices.Sort(e.Query)
	for _, name := range signedHeadersOf(r) {
		values := r.Header.Values(name)
		for i := range values {
			values[i] = strings.Join(strings.FieldsFunc(values[i], isBlank), " ")
		}
		e.Headers = append(e.Headers, name+":"+strings.Join(values, ","))
	}
	for _, value := range r.Header["Authorization"] {
		value = strings.Trim(value, " ,\t")
		e.Authorization = append(e.Authorization, value[:strings.IndexAny(value+" ", " ,\t")])
		for _, match := range authorizationPattern.FindAllStringSubmatch(value, -1) {
			e.Authorization = append(e.Authorization, match[1]+"="+match[2])
		}
	}
	slices.Sort(e.Authorization)
	return e
}

func isBlank(c rune) bool { return c == ' ' || c == '\t' }

func normalised(escaped string) string {
	clean := path.Clean("/" + escaped)
	if strings.HasSuffix(escaped, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}

// found returns the first match of a parameter in either form.
func found(r *http.Request, pattern string) string {
	if match := regexp.MustCompile(pattern).FindStringSubmatch(*authorization(r)); match != nil {
		return match[1]
	}
	return ""
}

func signedHeadersOf(r *http.Request) []string {
	return regexp.MustCompile(";|%3B").Split(found(r, `SignedHeaders=([^ ,\t&]*)`), -1)
}

func signatureOf(r *http.Request) string { return found(r, `Signature=([^ ,\t&]*)`) }

func scopeSeparator(r *http.Request) string {
	if r.Header["Authorization"] == nil {
		return "%2F"
	}
	return "/"
}

func scopeOf(r *http.Request) []string {
	return strings.Split(found(r, `Credential=([^ ,\t&]*)`), scopeSeparator(r))
}
