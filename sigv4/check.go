package sigv4

import (
	"crypto/subtle"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// check is all that can be said about a before the key is known, in the order of
// the service.
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

// checkTime says whether the request was signed just now or, if presigned, has not
// expired.
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

// parseDate reads the ISO basic form and, for the Date header, that of HTTP too.
// time.Parse takes more than the form, such as fractions, so the time has to come
// out as it went in.
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

// checkSignedHeaders says whether the list of signed headers has its one form, and
// on it what must be.
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

// signs says whether the header name, in lower case, is signed.
func (a *authorization) signs(name string) bool {
	for signed := range strings.SplitSeq(a.signedHeaders, ";") {
		if signed == name {
			return true
		}
	}
	return false
}

// isHeaderName says whether name is a token in lower case (RFC 9110, "Tokens").
// Anything else could write lines of its own into the canonical request.
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

// checkCredential takes the credential apart and says whether its scope is ours.
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

// hasRegion says whether a request for region is for v. A region becomes a part of
// the resource that policies are asked about, so that even of any region only
// letters in lower case, digits and "-" are accepted: no ":" that would begin
// another part, no "*".
func (v *Verifier) hasRegion(region string) bool {
	if v.Region != AnyRegion {
		return region == v.Region
	}
	return region != "" && len(region) <= maxRegion && strings.Trim(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// maxRegion is the length of a label of a host name, in bytes. Regions are labels.
const maxRegion = 63

// checkToken says whether token is the one of the key, and the key still valid.
func (k *Key) checkToken(token string, now time.Time) error {
	if subtle.ConstantTimeCompare([]byte(token), []byte(k.SessionToken)) != 1 {
		return errToken()
	}
	if !k.Expires.IsZero() && !now.Before(k.Expires) {
		return errTokenExpired()
	}
	return nil
}
