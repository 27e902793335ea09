package sigv4

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	isoBasic   = "20060102T150405Z"
)

// Names of a presigned request's parameters.
const (
	paramAlgorithm     = "X-Amz-Algorithm"
	paramCredential    = "X-Amz-Credential"
	paramDate          = "X-Amz-Date"
	paramExpires       = "X-Amz-Expires"
	paramSignature     = "X-Amz-Signature"
	paramSignedHeaders = "X-Amz-SignedHeaders"
	paramToken         = "X-Amz-Security-Token"
)

// Bounds in bytes of what is read before the caller is known to have a key. API Gateway
// takes 10,240 bytes of target and headers together.
const (
	maxTarget        = 64 << 10
	maxAuthorization = 8 << 10
)

// message is a request as it was sent.
type message struct {
	header        http.Header
	method        string
	host          string
	path          string // escaped
	query         string // raw
	contentLength int64
}

func newMessage(r *http.Request) message {
	m := message{header: r.Header, method: r.Method, host: r.Host, contentLength: r.ContentLength}
	if m.method == "" {
		m.method = http.MethodGet
	}
	if r.RequestURI != "" {
		m.path, m.query, _ = strings.Cut(originForm(r.RequestURI), "?")
	} else { // a request that has not been sent, in a test
		m.path, m.query = r.URL.EscapedPath(), r.URL.RawQuery
		if m.host == "" {
			m.host = r.URL.Host
		}
	}
	if m.path == "" {
		m.path = "/"
	}
	return m
}

// originForm removes scheme and authority from a target in absolute form. r.Host has
// the authority.
func originForm(target string) string {
	if strings.HasPrefix(target, "/") {
		return target
	}
	_, rest, ok := strings.Cut(target, "://")
	if !ok {
		return target
	}
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		return rest[i:]
	}
	return ""
}

// hasDotSegments reports whether an escaped path has a "." or ".." segment, however it
// is escaped.
func hasDotSegments(escaped string) bool {
	path, err := url.PathUnescape(escaped)
	if err != nil {
		return true // a server would have refused the request
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// authorization is what a request says about its signature.
type authorization struct {
	presigned     bool
	algorithm     string
	credential    string
	signedHeaders string
	signature     string
	token         string
	date          string // as sent
	dateHeader    string // the header of date, in lower case; "" of a presigned request
	expires       string // of a presigned request, which may have none

	// The checks set these.
	time      time.Time
	timestamp string // time, in ISO basic form
	scope     scope
}

// scope has the parts of a credential.
type scope struct {
	accessKeyID, date, region, service, terminator string

	text string // all but the access key ID
}

// authorization reads the signature of m, and checks that no part of it is missing.
func (m *message) authorization(a *authorization) error {
	if len(m.path)+len(m.query) > maxTarget {
		return errTargetTooLong()
	}
	absent, repeated := m.readQuery(a)
	a.presigned = a.signature != ""
	header := m.header["Authorization"]
	switch {
	case len(header) > 0 && (a.presigned || a.algorithm != ""):
		return errBothForms()
	case len(header) > 0:
		*a = authorization{}
		return m.headerAuthorization(a, header)
	case !a.presigned:
		return errMissing()
	case repeated != "":
		return errRepeated(repeated)
	case absent != nil:
		return errQueryParts(absent)
	}
	return nil
}

// headerAuthorization reads the header form.
func (m *message) headerAuthorization(a *authorization, values []string) error {
	value := values[0]
	if len(value) > maxAuthorization {
		return errHeaderTooLong()
	}
	a.token = m.joined(paramToken)
	for _, name := range [...]string{"X-Amz-Date", "Date"} {
		if len(m.header[name]) > 0 {
			a.date, a.dateHeader = m.joined(name), strings.ToLower(name)
			break
		}
	}
	absent, ok := a.readHeader(value)
	switch {
	case len(absent) > 0 || a.dateHeader == "":
		return errHeaderParts(absent, a.dateHeader == "", value)
	case len(values) > 1:
		return errHeader("must not be repeated", value)
	case !ok:
		return errHeader("has an unknown or a repeated parameter", value)
	}
	return nil
}

// joined returns the value of a header that must occur once. The values of one that
// occurs twice are joined into a text that cannot be valid.
func (m *message) joined(name string) string { return strings.Join(m.header[name], ",") }

// field is a part of an authorization while it is being read.
type field struct {
	name  string
	value *string
	seen  bool
}

// set sets the value of the field called name. It reports whether there is such a
// field, and whether it was already set.
func set(fields []field, name, value string) (known, again bool) {
	for i := range fields {
		if f := &fields[i]; f.name == name {
			again = f.seen
			*f.value, f.seen = value, true
			return true, again
		}
	}
	return false, false
}

// missing returns the names of the fields without a value.
func missing(fields []field) (names []string) {
	for _, f := range fields {
		if *f.value == "" {
			names = append(names, f.name)
		}
	}
	return names
}

// readHeader reads the value of an Authorization header: the algorithm, then
// parameters, separated by commas or blanks. It returns the names of missing
// parameters, and whether all others are known and occur once.
func (a *authorization) readHeader(value string) (absent []string, ok bool) {
	fields := [...]field{
		{name: "Credential", value: &a.credential},
		{name: "Signature", value: &a.signature},
		{name: "SignedHeaders", value: &a.signedHeaders},
	}
	ok = true
	separator := func(c rune) bool { return c == ' ' || c == ',' || c == '\t' }
	for part := range strings.FieldsFuncSeq(value, separator) {
		if a.algorithm == "" {
			a.algorithm = part
			continue
		}
		name, text, _ := strings.Cut(part, "=")
		known, again := set(fields[:], name, text)
		ok = ok && known && !again
	}
	return missing(fields[:]), ok
}

// readQuery reads what there is of the query form. It returns the names of missing
// parameters, and the name of one that occurs twice.
func (m *message) readQuery(a *authorization) (absent []string, repeated string) {
	if m.query == "" {
		return nil, ""
	}
	fields := [...]field{
		{name: paramAlgorithm, value: &a.algorithm},
		{name: paramCredential, value: &a.credential},
		{name: paramSignedHeaders, value: &a.signedHeaders},
		{name: paramDate, value: &a.date},
		{name: paramSignature, value: &a.signature},
		{name: paramExpires, value: &a.expires},
		{name: paramToken, value: &a.token},
	}
	const optional = 2 // the last of them
	for pair := range strings.SplitSeq(m.query, "&") {
		rawName, rawValue, _ := strings.Cut(pair, "=")
		if _, again := set(fields[:], unescape(rawName), rawValue); again {
			repeated = unescape(rawName)
		}
	}
	for _, f := range fields {
		*f.value = unescape(*f.value)
	}
	return missing(fields[:len(fields)-optional]), repeated
}

// unescape decodes a part of a query, in which "+" is a plus sign. Invalid escapes are
// found later, when the query is made canonical.
func unescape(s string) string {
	text, err := url.PathUnescape(s)
	if err != nil {
		return s
	}
	return text
}
