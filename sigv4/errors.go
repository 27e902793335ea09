package sigv4

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Error is a refusal with the error code and the text of the service.
type Error struct {
	// Code is the name of the exception, for the x-amzn-ErrorType header, such as
	// InvalidSignatureException.
	Code string
	// Message is for the caller, and repeats what the caller sent. For a wrong signature
	// it contains the canonical request and the string to sign that would have been
	// right, and with them a session token that was signed. It never contains a key or
	// the right signature, and has at most 32 KB. Do not log it: log the text of
	// Error() instead.
	Message string

	logged string // Message, with "..." for all that the caller sent
}

// Error returns the message on one line, with "..." in place of everything that the
// caller sent: a caller that confuses its settings sends its secret as the access key
// ID.
func (e *Error) Error() string {
	text := e.logged
	if text == "" { // not made by a Verifier
		text = e.Message
	}
	text, _, _ = strings.Cut(text, "\n")
	return "sigv4: " + e.Code + ": " + strings.TrimSpace(text)
}

// echo is text that the caller sent.
type echo string

// refuse makes an Error. Each of args that the caller sent must be an echo.
func refuse(code, format string, args ...any) error {
	logged := slices.Clone(args)
	for i, arg := range args {
		if _, sent := arg.(echo); sent {
			logged[i] = "..."
		}
	}
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), logged: fmt.Sprintf(format, logged...)}
}

// ErrorCode returns Code. It is a method of smithy.APIError of the AWS SDK, as is
// ErrorMessage.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorMessage returns Message.
func (e *Error) ErrorMessage() string { return e.Message }

// PublicError returns Code and Message. It makes *Error a PublicError of package
// gateway, which puts them on the wire.
func (e *Error) PublicError() (code, message string) { return e.Code, e.Message }

// The names of the exceptions.
const (
	codeMissing      = "MissingAuthenticationTokenException"
	codeIncomplete   = "IncompleteSignatureException"
	codeInvalid      = "InvalidSignatureException"
	codeUnrecognized = "UnrecognizedClientException"
	codeExpired      = "ExpiredTokenException"
)

// Bounds in bytes of what a message repeats. A malformed Authorization header is
// repeated whole, up to maxAuthorization.
const (
	maxEcho             = 256
	maxCanonicalInError = 12 << 10
)

// clip shortens s for a message.
func clip(s string) echo { return echo(clipTo(s, maxEcho)) }

func clipTo(s string, bytes int) string {
	if len(s) <= bytes {
		return s
	}
	return strings.ToValidUTF8(s[:bytes], "") + "..."
}

func errMissing() error {
	return refuse(codeMissing, "Missing Authentication Token")
}

func errBothForms() error {
	return refuse(codeInvalid, "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.")
}

// errHeaderParts lists the missing parts of an Authorization header.
func errHeaderParts(missing []string, noDate bool, value string) error {
	var b strings.Builder
	for _, name := range missing {
		b.WriteString("Authorization header requires '" + name + "' parameter. ")
	}
	if noDate {
		b.WriteString("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
	}
	return refuse(codeIncomplete, "%sAuthorization=%s", b.String(), echo(value))
}

// errHeader refuses an Authorization header for a reason for which no text of the
// service is known.
func errHeader(reason, value string) error {
	return refuse(codeIncomplete, "Authorization header %s. Authorization=%s", reason, echo(value))
}

func errHeaderTooLong() error {
	return refuse(codeIncomplete, "Authorization header is longer than %d bytes.", maxAuthorization)
}

func errTargetTooLong() error {
	return refuse(codeIncomplete, "The request target is longer than %d bytes.", maxTarget)
}

// errQueryParts lists the missing parameters of a presigned request.
func errQueryParts(missing []string) error {
	var b strings.Builder
	for _, name := range missing {
		b.WriteString("AWS query-string parameters must include '" + name + "'. ")
	}
	return refuse(codeIncomplete, "%sRe-examine the query-string parameters.", b.String())
}

// errRepeated refuses a presigned request in which a parameter occurs twice. No text
// of the service is known for this.
func errRepeated(name string) error {
	return refuse(codeIncomplete, "AWS query-string parameter '%s' must not be repeated. Re-examine the query-string parameters.", name)
}

func errDate(got string) error {
	return refuse(codeIncomplete, "Date must be in ISO-8601 'basic format'. Got '%s'. See http://en.wikipedia.org/wiki/ISO_8601", clip(got))
}

// errExpires has a text of ours: the service's is not known.
func errExpires(most time.Duration, got string) error {
	return refuse(codeIncomplete, "AWS query-string parameter '%s' must be a number of seconds from 1 to %d, got '%s'. "+
		"Re-examine the query-string parameters.", paramExpires, most/time.Second, clip(got))
}

// errSignatureExpired refuses a request that was signed more than window ago.
func errSignatureExpired(signed, now time.Time, window time.Duration) error {
	return refuse(codeInvalid, "Signature expired: %s is now earlier than %s (%s - %s min.)",
		timestamp(signed), timestamp(now.Add(-window)), timestamp(now), minutes(window))
}

func errNotYetCurrent(signed, now time.Time, window time.Duration) error {
	return refuse(codeInvalid, "Signature not yet current: %s is still later than %s (%s + %s min.)",
		timestamp(signed), timestamp(now.Add(window)), timestamp(now), minutes(window))
}

func timestamp(t time.Time) string { return t.Format(isoBasic) }

func minutes(d time.Duration) string { return strconv.FormatFloat(d.Minutes(), 'f', -1, 64) }

func errSignedHeaders(got string) error {
	return refuse(codeIncomplete, "'SignedHeaders' must be names in lower case, sorted, each once, got '%s'.", clip(got))
}

func errNotSigned(name string) error {
	return refuse(codeInvalid, "'%s' must be a 'SignedHeader' in the AWS Authorization.", name)
}

func errAlgorithm(got string) error {
	return refuse(codeIncomplete, "Unsupported AWS 'algorithm': '%s' (only %s for now). ", clip(got), algorithm)
}

func errCredential(got string) error {
	return refuse(codeIncomplete, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '%s'", clip(got))
}

func errUnrecognizedKey() error {
	return refuse(codeUnrecognized, "The security token included in the request is invalid.")
}

func errToken() error {
	return refuse(codeUnrecognized, "The security token included in the request is invalid")
}

func errTokenExpired() error {
	return refuse(codeExpired, "The security token included in the request is expired")
}

func errDotSegments() error {
	return refuse(codeInvalid, "The path must not have '.' or '..' segments.")
}

func errMismatch(canonical, toSign []byte) error {
	return refuse(codeInvalid, "The request signature we calculated does not match the signature you provided. "+
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.\n\n"+
		"The Canonical String for this request should have been\n'%s'\n\n"+
		"The String-to-Sign should have been\n'%s'\n", echo(clipTo(string(canonical), maxCanonicalInError)), echo(toSign))
}
