package sigv4

import (
	"strconv"
	"strings"
	"time"
)

// Error is a refusal, in the words of the service.
type Error struct {
	// Code is the name of the exception, for the x-amzn-ErrorType header, such as
	// InvalidSignatureException.
	Code string
	// Message is for the caller, and echoes what the caller sent: of a wrong
	// signature the canonical request and the string to sign that would have been
	// right, which hold a session token that was signed. It never holds a key or the
	// right signature, and is at most 32 KB. Do not log it; log Error's text.
	Message string
}

// Error implements error. It is the message on one line, without what the message
// echoes for the caller to compare.
func (e *Error) Error() string {
	text, _, _ := strings.Cut(e.Message, "\n")
	text, _, _ = strings.Cut(text, authorizationEcho)
	return "sigv4: " + e.Code + ": " + strings.TrimSpace(text)
}

// ErrorCode returns Code. ErrorCode and ErrorMessage are methods of the AWS SDK's
// smithy.APIError.
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

// Bounds of what a message echoes, in bytes. The credential scope and a malformed
// Authorization header are echoed whole, up to maxAuthorization.
const (
	maxEcho             = 256
	maxCanonicalInError = 12 << 10
)

// authorizationEcho begins the echo of an Authorization header.
const authorizationEcho = "Authorization="

// clip bounds what a message echoes of s.
func clip(s string) string { return clipTo(s, maxEcho) }

func clipTo(s string, bytes int) string {
	if len(s) <= bytes {
		return s
	}
	return strings.ToValidUTF8(s[:bytes], "") + "..."
}

func errMissing() error {
	return &Error{codeMissing, "Missing Authentication Token"}
}

func errBothForms() error {
	return &Error{codeInvalid, "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."}
}

// errHeaderParts lists what an Authorization header lacks.
func errHeaderParts(missing []string, noDate bool, value string) error {
	var b strings.Builder
	for _, name := range missing {
		b.WriteString("Authorization header requires '" + name + "' parameter. ")
	}
	if noDate {
		b.WriteString("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
	}
	return &Error{codeIncomplete, b.String() + authorizationEcho + value}
}

// errHeader refuses an Authorization header for a reason the service has no
// known text for.
func errHeader(reason, value string) error {
	return &Error{codeIncomplete, "Authorization header " + reason + ". " + authorizationEcho + value}
}

func errHeaderTooLong() error {
	return &Error{codeIncomplete, "Authorization header is longer than " + strconv.Itoa(maxAuthorization) + " bytes."}
}

func errTargetTooLong() error {
	return &Error{codeIncomplete, "The request target is longer than " + strconv.Itoa(maxTarget) + " bytes."}
}

// errQueryParts lists what a presigned request lacks.
func errQueryParts(missing []string) error {
	var b strings.Builder
	for _, name := range missing {
		b.WriteString("AWS query-string parameters must include '" + name + "'. ")
	}
	return &Error{codeIncomplete, b.String() + "Re-examine the query-string parameters."}
}

// errQuery refuses a parameter of a presigned request for a reason the service
// has no known text for.
func errQuery(name, reason string) error {
	return &Error{codeIncomplete, "AWS query-string parameter '" + name + "' " + reason + ". Re-examine the query-string parameters."}
}

func errDate(got string) error {
	return &Error{codeIncomplete, "Date must be in ISO-8601 'basic format'. Got '" + clip(got) +
		"'. See http://en.wikipedia.org/wiki/ISO_8601"}
}

func errExpires(most time.Duration, got string) error {
	return errQuery(paramExpires, "must be a number of seconds from 1 to "+
		strconv.FormatInt(int64(most/time.Second), 10)+", got '"+clip(got)+"'")
}

// errSignatureExpired refuses a request that was signed more than window ago.
func errSignatureExpired(signed, now time.Time, window time.Duration) error {
	return &Error{codeInvalid, "Signature expired: " + timestamp(signed) + " is now earlier than " +
		timestamp(now.Add(-window)) + " (" + timestamp(now) + " - " + minutes(window) + " min.)"}
}

func errNotYetCurrent(signed, now time.Time, window time.Duration) error {
	return &Error{codeInvalid, "Signature not yet current: " + timestamp(signed) + " is still later than " +
		timestamp(now.Add(window)) + " (" + timestamp(now) + " + " + minutes(window) + " min.)"}
}

func timestamp(t time.Time) string { return t.Format(isoBasic) }

func minutes(d time.Duration) string { return strconv.FormatFloat(d.Minutes(), 'f', -1, 64) }

func errSignedHeaders(got string) error {
	return &Error{codeIncomplete, "'SignedHeaders' must be names in lower case, sorted, each once, got '" + clip(got) + "'."}
}

func errNotSigned(name string) error {
	return &Error{codeInvalid, "'" + name + "' must be a 'SignedHeader' in the AWS Authorization."}
}

func errAlgorithm(got string) error {
	return &Error{codeIncomplete, "Unsupported AWS 'algorithm': '" + clip(got) + "' (only " + algorithm + " for now). "}
}

func errCredential(got string) error {
	return &Error{codeIncomplete, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '" +
		clip(got) + "'"}
}

func errUnrecognizedKey() error {
	return &Error{codeUnrecognized, "The security token included in the request is invalid."}
}

func errToken() error {
	return &Error{codeUnrecognized, "The security token included in the request is invalid"}
}

func errTokenExpired() error {
	return &Error{codeExpired, "The security token included in the request is expired"}
}

func errDotSegments() error {
	return &Error{codeInvalid, "The path must not have '.' or '..' segments."}
}

func errMismatch(canonical, toSign []byte) error {
	return &Error{codeInvalid, "The request signature we calculated does not match the signature you provided. " +
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.\n\n" +
		"The Canonical String for this request should have been\n'" + clipTo(string(canonical), maxCanonicalInError) + "'\n\n" +
		"The String-to-Sign should have been\n'" + string(toSign) + "'\n"}
}
