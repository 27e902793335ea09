package sigv4

import (
	"crypto/subtle"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// check makes all checks of a that need no key, in the order of the service.
func (v *Verifier) check(a *authorization, now time.Time) error {
	if err := v.checkTime(a, now); err != nil {
		return err
	}
	if err := a.checkSignedHeaders(); err != nil {
		return err
	}
	if a.algorithm != algorithm {
		return errAlgorithm(a.algorithm)
	}
	return v.checkCredential(a)
}

// checkTime checks that the request was signed just now or, if it is presigned, that it
// has not expired.
func (v *Verifier) checkTime(a *authorization, now time.Time) (err error) {
	if a.time, err = parseDate(a.date, a.dateHeader == "date"); err != nil {
		return err
	}
	a.timestamp = timestamp(a.time)
	window := v.skew()
	switch {
	case a.presigned && a.expires != "":
		if window, err = parseExpires(a.expires, v.maxExpires()); err != nil {
			return err
		}
	case a.presigned: // some signers write X-Amz-Expires for S3 only
		window = min(window, v.maxExpires())
	}
	switch {
	case a.time.Before(now.Add(-window)):
		return errSignatureExpired(a.time, now, window)
	case a.time.After(now.Add(v.skew())):
		return errNotYetCurrent(a.time, now, v.skew())
	}
	return nil
}

// parseDate reads a time in ISO basic format. The Date header may also have the format
// of HTTP. time.Parse accepts more than the format, such as fractions, so the time must
// give the same text again.
func parseDate(text string, isDateHeader bool) (time.Time, error) {
	t, err := time.Parse(isoBasic, text)
	if err == nil && timestamp(t) == text {
		return t, nil
	}
	if isDateHeader {
		if t, err = time.Parse(http.TimeFormat, text); err == nil && t.Format(http.TimeFormat) == text {
			return t, nil
		}
	}
	return time.Time{}, errDate(text)
}

func parseExpires(text string, most time.Duration) (time.Duration, error) {
	seconds, err := strconv.ParseUint(text, 10, 32)
	if err != nil || seconds == 0 || time.Duration(seconds)*time.Second > most {
		return 0, errExpires(most, text)
	}
	return time.Duration(seconds) * time.Second, nil
}

// checkSignedHeaders checks that the list of signed headers has its one valid form,
// and contains the headers that must be signed.
func (a *authorization) checkSignedHeaders() error {
	last := ""
	for name := range strings.SplitSeq(a.signedHeaders, ";") {
		if name <= last || !isHeaderName(name) {
			return errSignedHeaders(a.signedHeaders)
		}
		last = name
	}
	switch {
	case !a.signs("host"):
		return errNotSigned("Host")
	case a.dateHeader == "x-amz-date" && !a.signs(a.dateHeader):
		return errNotSigned("X-Amz-Date")
	case a.dateHeader == "date" && !a.signs(a.dateHeader):
		return errNotSigned("Date")
	}
	return nil
}

// signs reports whether a header, whose name is in lower case, is signed.
func (a *authorization) signs(name string) bool {
	for signed := range strings.SplitSeq(a.signedHeaders, ";") {
		if signed == name {
			return true
		}
	}
	return false
}

// isHeaderName reports whether name is a token in lower case (RFC 9110, "Tokens").
// Any other text could add lines to the canonical request.
func isHeaderName(name string) bool {
	for i := range len(name) {
		c := name[i]
		lowerOrDigit := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		if !lowerOrDigit && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return name != ""
}

// checkCredential splits the credential and checks that its scope is that of v.
func (v *Verifier) checkCredential(a *authorization) error {
	if strings.Count(a.credential, "/") != 4 || len(a.credential) > maxAuthorization {
		return errCredential(a.credential)
	}
	s := &a.scope
	s.accessKeyID, s.text, _ = strings.Cut(a.credential, "/")
	rest := s.text
	s.date, rest, _ = strings.Cut(rest, "/")
	s.region, rest, _ = strings.Cut(rest, "/")
	s.service, s.terminator, _ = strings.Cut(rest, "/")
	var (
		format string
		args   []any
	)
	wrong := func(text string, more ...any) { format, args = format+text, append(args, more...) }
	if !v.hasRegion(s.region) {
		wrong("Credential should be scoped to a valid region, not '%s'. ", clip(s.region))
	}
	if s.service != v.Service {
		wrong("Credential should be scoped to correct service: '%s'. ", v.Service)
	}
	if s.terminator != terminator {
		wrong("Credential should be scoped with a valid terminator: '%s', not '%s'. ", terminator, clip(s.terminator))
	}
	if day := a.timestamp[:len("20060102")]; s.date != day {
		wrong("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'.",
			clip(s.date), day, a.timestamp)
	}
	if format != "" {
		return refuse(codeInvalid, format, args...)
	}
	return nil
}

// hasRegion reports whether v accepts requests for a region. The region becomes part of
// the resource ARN that policies see. So even AnyRegion accepts only lower-case letters,
// digits and "-": a ":" would begin another part of the ARN, and a "*" would match
// others.
func (v *Verifier) hasRegion(region string) bool {
	if v.Region != AnyRegion {
		return region == v.Region
	}
	return region != "" && len(region) <= maxRegion && strings.Trim(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// maxRegion is the greatest length of a region in bytes: that of a label of a host name,
// because regions are used as labels.
const maxRegion = 63

// checkToken checks that token is the token of the key, and that the key has not
// expired.
func (k *Key) checkToken(token string, now time.Time) error {
	if subtle.ConstantTimeCompare([]byte(token), []byte(k.SessionToken)) != 1 {
		return errToken()
	}
	if !k.Expires.IsZero() && !now.Before(k.Expires) {
		return errTokenExpired()
	}
	return nil
}
