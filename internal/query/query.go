// Package query reads the query of a URL as API Gateway's front end does: both
// "&" and ";" separate parameters, and a percent sign that begins no escape makes
// the whole query wrong.
//
// [net/url.URL.Query] is not used, because it leaves out the parameters that it
// cannot read, without a word: whoever reads the same query in another way sees a
// parameter that the first reader did not check.
package query

import (
	"errors"
	"net/url"
	"strings"
)

// ErrEscape is the error of a query in which a percent sign is not followed by
// two hexadecimal digits.
var ErrEscape = errors.New("a % in the query is not followed by two hexadecimal digits")

// Parse returns the parameters of a raw query, the values of each in their order.
// "+" is a blank, a parameter without "=" has the value "", and nothing between two
// separators is no parameter. The error is [ErrEscape]; then there are no
// parameters. (API Gateway: "Amazon API Gateway important notes".)
func Parse(raw string) (map[string][]string, error) {
	if raw == "" {
		return nil, nil
	}
	parameters := map[string][]string{} // grows with what is there: "&&&&" is nothing
	for pair := range strings.FieldsFuncSeq(raw, isSeparator) {
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return nil, ErrEscape // without the text, which may be a secret
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

// Of returns the parameters of u, which may be nil. A query that cannot be read
// has none: an upgrade with such a query was refused before anybody asks.
func Of(u *url.URL) map[string][]string {
	if u == nil {
		return nil
	}
	parameters, _ := Parse(u.RawQuery) // no parameters with an error
	return parameters
}
