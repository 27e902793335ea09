// Package sigv4 verifies AWS Signature Version 4 on incoming requests, in the
// header form that AWS SDKs send and in the query (presigned) form that browsers
// open WebSockets with. Refusals have the codes and texts of the service.
//
//	v := &sigv4.Verifier{
//		Service: "execute-api",
//		Region:  "us-east-1",
//		Keys: sigv4.StaticKeys(map[string]sigv4.Key{
//			"AKIDEXAMPLE": {SecretAccessKey: secret},
//		}),
//	}
//	signature, err := v.Verify(r, body)
//
// It verifies the requests of any [net/http] server: of the rest of this module it
// needs only the types of [gateway.ManagementAuth].
package sigv4

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"example.com/gateway"
)

// AnyRegion as a [Verifier]'s Region accepts every region: up to 63 letters in lower
// case, digits and "-".
const AnyRegion = "*"

// The defaults of a [Verifier].
const (
	defaultSkew       = 5 * time.Minute
	defaultMaxExpires = 7 * 24 * time.Hour
)

// Verifier verifies AWS Signature Version 4. Its fields must not change once it is
// used; it is then safe for concurrent use.
type Verifier struct {
	// Service is the service that requests must be signed for, such as
	// "execute-api". It is required.
	Service string
	// Region is the region that requests must be signed for, or [AnyRegion]. It is
	// required.
	Region string
	// Keys looks access keys up. It is required.
	Keys KeyFunc
	// Skew is by how much the caller's clock may differ, either way, and so how long
	// a signature in the header form can be used again. Zero means 5 minutes.
	Skew time.Duration
	// MaxExpires is the upper bound of X-Amz-Expires, of presigned requests. Zero
	// means 7 days. A presigned request without X-Amz-Expires, which some signers
	// write for S3 only, can be used for Skew or MaxExpires, whichever is shorter.
	MaxExpires time.Duration
	// AllowUnsignedPayload accepts a signed x-amz-content-sha256 that is
	// UNSIGNED-PAYLOAD, and then any body. No client sends it to API Gateway.
	AllowUnsignedPayload bool
	// Now is the clock. Nil means [time.Now].
	Now func() time.Time
}

// KeyFunc looks an access key up. It returns [ErrUnknownKey], bare or wrapped, for
// an ID that nobody has. Any other error says that the lookup itself failed. The ID
// is as the caller sent it, up to 8 KB of any bytes: keep it out of errors and logs,
// for a caller that mixes its settings up sends a secret there. It may run
// concurrently.
type KeyFunc func(ctx context.Context, accessKeyID string) (Key, error)

// ErrUnknownKey is what a [KeyFunc] returns for an access key ID that it does not
// know.
var ErrUnknownKey = errors.New("sigv4: unknown access key ID")

// Key is an access key: what a caller proves to have.
type Key struct {
	// SecretAccessKey signs. A key without one is refused.
	SecretAccessKey string
	// SessionToken must come with every request of a temporary key. "" is a long-term
	// key, whose requests must come without.
	SessionToken string
	// Expires is when the key ends. Zero means never.
	Expires time.Time
	// Caller is who the key belongs to. Verify fills its AccessKeyID in.
	Caller Caller
}

// Caller is who signed a request.
type Caller struct {
	AccessKeyID string
	AccountID   string
	PrincipalID string
	ARN         string
}

// StaticKeys returns a [KeyFunc] over a copy of keys, by access key ID. It panics
// when an ID or a secret is empty, as one is that comes from an environment variable
// that is not set.
func StaticKeys(keys map[string]Key) KeyFunc {
	for id, key := range keys {
		switch {
		case id == "":
			panic(errors.New("sigv4: StaticKeys: an access key ID is empty: check that the setting it comes from is set"))
		case key.SecretAccessKey == "":
			panic(fmt.Errorf("sigv4: StaticKeys: access key %q has no SecretAccessKey: check that the setting it comes from is set", id))
		}
	}
	keys = maps.Clone(keys)
	return func(_ context.Context, accessKeyID string) (Key, error) {
		key, ok := keys[accessKeyID]
		if !ok {
			return Key{}, ErrUnknownKey
		}
		return key, nil
	}
}

// Signature is what a verified signature says.
type Signature struct {
	Caller  Caller
	Region  string
	Service string
	// Time is when the request was signed.
	Time time.Time
	// Presigned says that the signature came in the query.
	Presigned bool
	// Path is the escaped path that was signed: as sent, or without "//", "." and
	// ".." segments, which many clients collapse before they sign but not before they
	// send. Route on it, or refuse such segments as VerifyManagement does.
	Path string
}

// Verify returns what the signature of r says, body being r's whole body.
//
// The target is r.RequestURI, as sent; r.URL counts only when that is empty. Host
// and headers are r's as [http.Server] hands them over: nothing before this call
// may have changed them. A "+" in the query may have been signed as a plus sign or,
// as [net/url] reads it, as a blank: either all of them or none.
//
// The error is an [*Error] when the request is refused. Any other comes from
// Keys, which it wraps, or names the field of v that makes no sense.
func (v *Verifier) Verify(r *http.Request, body []byte) (Signature, error) {
	if err := v.Validate(); err != nil {
		return Signature{}, err
	}
	m := newMessage(r)
	var a authorization
	if err := m.authorization(&a); err != nil {
		return Signature{}, err
	}
	now := v.now()
	if err := v.check(&a, now); err != nil {
		return Signature{}, err
	}
	key, err := v.key(r.Context(), a.scope.accessKeyID)
	if err != nil {
		return Signature{}, err
	}
	path, err := v.match(&m, &a, key.SecretAccessKey, body)
	if err != nil {
		return Signature{}, err
	}
	if err := key.checkToken(a.token, now); err != nil {
		return Signature{}, err
	}
	caller := key.Caller
	caller.AccessKeyID = a.scope.accessKeyID
	return Signature{
		Caller: caller, Region: a.scope.region, Service: a.scope.service,
		Time: a.time, Presigned: a.presigned, Path: path,
	}, nil
}

// VerifyManagement is Verify for a request that is routed by its path: it also
// refuses one with "." or ".." segments, whether their dots and slashes are
// escaped or not. Nobody is to sign one path and reach another.
func (v *Verifier) VerifyManagement(r *http.Request, body []byte) (Signature, error) {
	signature, err := v.Verify(r, body)
	if err != nil {
		return Signature{}, err
	}
	if m := newMessage(r); hasDotSegments(m.path) {
		return Signature{}, errDotSegments()
	}
	return signature, nil
}

// AuthorizeManagement makes *Verifier a [gateway.ManagementAuth] that allows every
// holder of a key every call: it is VerifyManagement without its result.
func (v *Verifier) AuthorizeManagement(_ context.Context, call *gateway.ManagementCall) error {
	_, err := v.VerifyManagement(call.Request, call.Body)
	return err
}

var _ gateway.ManagementAuth = (*Verifier)(nil)

// Validate returns an error that names the first field that is missing or makes no
// sense. Package gateway calls it when it gets the Verifier.
func (v *Verifier) Validate() error {
	switch {
	case v.Service == "":
		return errors.New(`sigv4: Verifier.Service is empty: name the service, which is "execute-api" for API Gateway`)
	case v.Region == "":
		return errors.New("sigv4: Verifier.Region is empty: name a region, or AnyRegion")
	case v.Keys == nil:
		return errors.New("sigv4: Verifier.Keys is nil: set it to StaticKeys, or to a KeyFunc of your own")
	case v.Skew < 0:
		return fmt.Errorf("sigv4: Verifier.Skew %v is negative: leave it 0 for %v", v.Skew, defaultSkew)
	case v.MaxExpires < 0:
		return fmt.Errorf("sigv4: Verifier.MaxExpires %v is negative: leave it 0 for %v", v.MaxExpires, defaultMaxExpires)
	}
	return nil
}

// now is the time in whole seconds, the unit of everything it is compared with.
func (v *Verifier) now() time.Time {
	if v.Now != nil {
		return v.Now().UTC().Truncate(time.Second)
	}
	return time.Now().UTC().Truncate(time.Second)
}

func (v *Verifier) skew() time.Duration {
	if v.Skew == 0 {
		return defaultSkew
	}
	return v.Skew
}

func (v *Verifier) maxExpires() time.Duration {
	if v.MaxExpires == 0 {
		return defaultMaxExpires
	}
	return v.MaxExpires
}

// key looks an access key up.
func (v *Verifier) key(ctx context.Context, accessKeyID string) (Key, error) {
	key, err := v.Keys(ctx, accessKeyID)
	switch {
	case errors.Is(err, ErrUnknownKey):
		return Key{}, errUnrecognizedKey()
	case err != nil:
		return Key{}, fmt.Errorf("sigv4: looking up an access key: %w", err)
	case key.SecretAccessKey == "": // everybody could sign with it
		return Key{}, errors.New("sigv4: Keys returned a key without SecretAccessKey, and no error: return ErrUnknownKey for an ID that nobody has")
	}
	return key, nil
}
