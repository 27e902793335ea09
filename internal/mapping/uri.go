package mapping

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"example.com/gateway/internal/query"
)

// maxURI is how many characters the URI of an integration may have. (API Gateway: API
// reference, "Integration", integrationUri.)
const maxURI = 2048

// URI is the URI of an HTTP endpoint with ${stageVariables.name}, which the program
// fills, and {name}, which a client may fill.
//
// A client's value stands in a segment of the path or in the value of a query parameter.
// It never changes which segment or parameter that is, nor how many there are.
type URI struct {
	text   string
	pieces []piece
}

// piece is a literal text, a stage variable or a placeholder.
type piece struct{ literal, variable, placeholder string }

// Endpoint is a URI that has been filled.
type Endpoint struct {
	URL   *url.URL // without its query
	Query map[string][]string
}

var (
	uriName      = regexp.MustCompile(`\$\{stageVariables\.([A-Za-z0-9_]+)\}|\{([A-Za-z0-9._-]+)\}`)
	bareVariable = regexp.MustCompile(`\$stageVariables\.[A-Za-z0-9_]+`)
	userinfo     = regexp.MustCompile(`://[^/?#]*@`)
)

// ParseURI parses text. It refuses a placeholder that stands neither in the path nor in
// the value of a query parameter.
func ParseURI(text string) (*URI, error) {
	u := &URI{text: text}
	if len(text) > maxURI {
		return nil, fmt.Errorf("it has %d characters, the most is %d", len(text), maxURI)
	}
	rest := 0
	for _, m := range uriName.FindAllStringSubmatchIndex(text, -1) {
		u.pieces = append(u.pieces, piece{literal: text[rest:m[0]]})
		if m[2] >= 0 {
			u.pieces = append(u.pieces, piece{variable: text[m[2]:m[3]]})
		} else {
			u.pieces = append(u.pieces, piece{placeholder: text[m[4]:m[5]]})
		}
		rest = m[1]
	}
	u.pieces = append(u.pieces, piece{literal: text[rest:]})
	if err := u.check(); err != nil {
		return nil, fmt.Errorf("%q: %w", u, err)
	}
	return u, nil
}

// check returns what is wrong with a URI, as far as this can be known without the stage
// variables.
func (u *URI) check() error {
	variables := false
	for _, p := range u.pieces {
		variables = variables || p.variable != ""
		if strings.ContainsAny(p.literal, "{}") || strings.HasSuffix(p.literal, "$") && !strings.HasSuffix(u.text, "$") {
			return errors.New("a brace that belongs to no ${stageVariables.name} and no {name}")
		}
	}
	withScheme := !strings.HasPrefix(u.text, "${") // otherwise a stage variable brings the scheme
	if first := strings.ToLower(u.pieces[0].literal); withScheme && !strings.HasPrefix(first, "http://") && !strings.HasPrefix(first, "https://") {
		return errors.New("it begins with neither http:// nor https://")
	}
	if !variables {
		_, err := u.Expand(nil, u.harmless())
		return err
	}
	plain, err := u.plain(nil, false)
	if err != nil {
		return err
	}
	_, err = query.Parse(queryOf(plain))
	return err
}

// String returns the text of the URI, without user and password.
func (u *URI) String() string { return userinfo.ReplaceAllString(u.text, "://") }

// Placeholders returns the names of the placeholders.
func (u *URI) Placeholders() []string {
	var names []string
	for _, p := range u.pieces {
		if p.placeholder != "" {
			names = append(names, p.placeholder)
		}
	}
	return names
}

// WithoutBraces returns the stage variables that are written as in a mapping template,
// such as $stageVariables.name. They are plain text in a URI.
func (u *URI) WithoutBraces() []string { return bareVariable.FindAllString(u.text, -1) }

// Variables returns the names of the stage variables.
func (u *URI) Variables() []string {
	var names []string
	for _, p := range u.pieces {
		if p.variable != "" {
			names = append(names, p.variable)
		}
	}
	return names
}

// Expand puts the values into the URI. Each placeholder needs a value that is not empty.
// A value that would change the segments or the parameters of the URI is an error. The
// error does not quote the value.
func (u *URI) Expand(variables, values map[string]string) (*Endpoint, error) {
	plainText, err := u.plain(variables, true)
	if err != nil {
		return nil, err
	}
	plain, err := parseEndpoint(plainText)
	if err != nil {
		return nil, err
	}
	text, err := u.fill(variables, values)
	switch {
	case err != nil:
		return nil, err
	case text == plainText:
		return plain, nil
	}
	filled, err := parseEndpoint(text)
	switch {
	case err != nil:
		return nil, err
	case !sameSegments(filled.URL.Path, plain.URL.Path):
		return nil, errors.New(`a value for a {name} in the path of the URI would lead to another path: it is a dot segment, or has "/", "\", a line break or a zero byte`)
	case !sameParameters(filled.Query, plain.Query):
		return nil, errors.New("a value for a {name} in the query of the URI would make another parameter")
	}
	return filled, nil
}

// sample stands for the value of a placeholder. It is not a hexadecimal digit, and so it
// cannot complete an escape that the URI has begun.
const sample = "x"

func (u *URI) harmless() map[string]string {
	values := map[string]string{}
	for _, name := range u.Placeholders() {
		values[name] = sample
	}
	return values
}

// plain returns the URI with harmless values. It refuses a placeholder where no value of
// a client may stand. As long as the variables are not known, it uses sample values with
// which most URIs are valid. If the real values make the URI invalid, each call fails.
func (u *URI) plain(variables map[string]string, known bool) (string, error) {
	var b strings.Builder
	anyScheme := !known && strings.HasPrefix(u.text, "${")
	for _, p := range u.pieces {
		if p.placeholder == "" {
			text := p.literal + variables[p.variable]
			if p.variable != "" && !known && positionAfter(b.String(), anyScheme) == inName {
				text = "=" // it may bring the name
			}
			b.WriteString(text)
			continue
		}
		switch positionAfter(b.String(), anyScheme) {
		case inHost:
			return "", fmt.Errorf("{%s} stands before the path, where a client's value would choose the host: use ${stageVariables.name}", p.placeholder)
		case inName:
			return "", fmt.Errorf("{%s} stands in the name of a query parameter, which no client may choose: write ?name={%[1]s}", p.placeholder)
		case inFragment:
			return "", fmt.Errorf("{%s} stands behind #, which is never sent", p.placeholder)
		case inPath, inValue:
			b.WriteString(sample)
		}
	}
	return b.String(), nil
}

// fill returns the URI with the values, each escaped for the place where it stands.
func (u *URI) fill(variables, values map[string]string) (string, error) {
	var b strings.Builder
	for _, p := range u.pieces {
		if p.placeholder == "" {
			b.WriteString(p.literal + variables[p.variable])
			continue
		}
		value := values[p.placeholder]
		if value == "" {
			return "", fmt.Errorf("integration.request.path.%s has no value for {%[1]s} of the URI", p.placeholder)
		}
		if positionAfter(b.String(), false) == inPath {
			b.WriteString(url.PathEscape(value))
		} else {
			b.WriteString(url.QueryEscape(value))
		}
	}
	return b.String(), nil
}

// position is a part of a URL.
type position int

const (
	inHost position = iota // or in the scheme
	inPath
	inName
	inValue
	inFragment
)

// positionAfter returns in which part of a URL the next character stands, if the URL
// begins with text.
func positionAfter(text string, anyScheme bool) position {
	if strings.Contains(text, "#") {
		return inFragment
	}
	before, query, found := strings.Cut(text, "?")
	if found {
		pair := query[strings.LastIndexAny(query, "&;")+1:]
		if strings.Contains(pair, "=") {
			return inValue
		}
		return inName
	}
	_, rest, found := strings.Cut(before, "://")
	if !found && anyScheme {
		rest = before
	}
	if strings.Contains(rest, "/") {
		return inPath
	}
	return inHost
}

// queryOf returns the raw query of a URL.
func queryOf(text string) string {
	text, _, _ = strings.Cut(text, "#")
	_, raw, _ := strings.Cut(text, "?")
	return raw
}

func parseEndpoint(text string) (*Endpoint, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("the URI with its variables is no URL")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return nil, errors.New("the URI with its variables has no http or https host")
	}
	parameters, err := query.Parse(u.RawQuery)
	if err != nil {
		return nil, err
	}
	u.RawQuery, u.Fragment, u.RawFragment = "", "", ""
	return &Endpoint{URL: u, Query: parameters}, nil
}

// sameSegments reports whether two decoded paths have the same segments for every server.
// Servers differ: one may decode a path before it splits it, take "\" for "/", remove dot
// segments, cut off parameters at ";" and blanks at the end, end a text at a zero byte, or
// write the decoded path into a request of its own, where a line break ends it. (RFC 3986,
// sections 3.3 and 6.2.2.)
func sameSegments(path, plain string) bool {
	segments, wanted := split(path), split(plain)
	if len(segments) != len(wanted) || ends(path) != ends(plain) {
		return false
	}
	for n, segment := range segments {
		own := wanted[n]
		if isDots(segment) && !isDots(own) || strings.Contains(own, ";") && strings.Count(segment, ";") != strings.Count(own, ";") {
			return false
		}
	}
	return true
}

// ends counts the characters that end a text or a line.
func ends(path string) int {
	return strings.Count(path, "\x00") + strings.Count(path, "\r") + strings.Count(path, "\n")
}

func split(path string) []string { return strings.Split(strings.ReplaceAll(path, `\`, "/"), "/") }

func isDots(segment string) bool {
	segment, _, _ = strings.Cut(segment, ";")
	segment = strings.TrimSpace(segment)
	return segment == "." || segment == ".."
}

// sameParameters reports whether two queries have the same parameters, and each of them
// equally often.
func sameParameters(parameters, plain map[string][]string) bool {
	if len(parameters) != len(plain) {
		return false
	}
	for name, values := range parameters {
		if len(values) != len(plain[name]) {
			return false
		}
	}
	return true
}
