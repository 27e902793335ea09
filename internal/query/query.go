// Package query reads the query of a URL as API Gateway's front end does: both "&" and ";"
// separate parameters, and a percent sign that does not begin an escape makes the whole
// query invalid.
//
// [net/url.URL.Query] is not used, because it silently leaves out parameters that it
// cannot read. Another reader of the same query may see such a parameter, although nobody
// has checked it.
package query

import (
	"errors"
	"net/url"
	"strings"
)

// ErrEscape is the error of a query in which a percent sign is not followed by
// two hexadecimal digits.
var ErrEscape = errors.New("a % in the query is not followed by two hexadecimal digits")

// Parse returns the parameters of a raw query. The values of each are in the order of the
// query. "+" is a blank. A parameter without "=" has the value "". Empty text between two
// separators is ignored. With the error [ErrEscape] there are no parameters. (API Gateway:
// "Amazon API Gateway important notes".)
func Parse(raw string) (map[string][]string, error) {
	if raw == "" {
		return nil, nil
	}
	parameters := map[string][]string{} // no capacity up front: "&&&&" has no parameters
	for pair := range strings.FieldsFuncSeq(raw, isSeparator) {
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return nil, ErrEscape // it does not quote the text, which may be a secret
		}
		value, err = url.QueryUnescape(value)
		if err != nil {
			return nil, ErrEscape
		}
		parameters[name] = append(parameters[name], value)
	}
	return parameters, nil
}

func isSeparator(r rune) bool { return r == '&' || r == ';' }

// Of returns the parameters of u, which may be nil. An invalid query has none; the gateway
// refuses an upgrade with such a query before Of is called.
func Of(u *url.URL) map[string][]string {
	if u == nil {
		return nil
	}
	parameters, _ := Parse(u.RawQuery) // with an error there are no parameters
	return parameters
}
