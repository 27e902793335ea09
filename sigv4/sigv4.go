// Package sigv4 verifies AWS Signature Version 4 on incoming requests. It knows the
// header form, which AWS SDKs send, and the query (presigned) form, with which
// browsers open WebSockets. Refusals have the error codes and texts of the service.
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
	// Service is the name of the service that requests must be signed for. It is
	// "execute-api" for API Gateway. It is required.
	Service string
	// Region is the region that requests must be signed for, or [AnyRegion]. It is
	// required.
	Region string
	// Keys looks access keys up. It is required.
	Keys KeyFunc
	// Skew is how far the caller's clock may be ahead or behind. For so long somebody
	// who sees a signature in the header form can use it again. Zero means 5 minutes.
	Skew time.Duration
	// MaxExpires is the greatest X-Amz-Expires that a presigned request may have. Zero
	// means 7 days. Some signers write X-Amz-Expires for S3 only. A presigned request
	// without it is good for Skew or MaxExpires, whichever is shorter.
	MaxExpires time.Duration
	// AllowUnsignedPayload accepts requests whose signed x-amz-content-sha256 header is
	// UNSIGNED-PAYLOAD. Their body is not verified. No known client sends that to API
	// Gateway.
	AllowUnsignedPayload bool
	// Now is the clock. Nil means [time.Now].
	Now func() time.Time
}

// KeyFunc looks up an access key. For an unknown ID it returns [ErrUnknownKey], or an
// error that wraps it. Any other error means that the lookup itself failed.
//
// The ID is what the caller sent: up to 8 KB of any bytes. Keep it out of errors and
// logs, because a caller that confuses its settings sends its secret there. A KeyFunc
// may be called concurrently.
type KeyFunc func(ctx context.Context, accessKeyID string) (Key, error)

// ErrUnknownKey is the error that a [KeyFunc] returns for an unknown access key ID.
var ErrUnknownKey = errors.New("sigv4: unknown access key ID")

// Key is an access key. With a signature a caller proves that it has the key.
type Key struct {
	// SecretAccessKey is the secret that requests are signed with. A key without one is
	// refused.
	SecretAccessKey string
	// SessionToken is the token that every request of a temporary key must have. ""
	// means a long-term key, whose requests must have none.
	SessionToken string
	// Expires is the time at which the key expires. Zero means never.
	Expires time.Time
	// Caller is the owner of the key. Verify sets its AccessKeyID.
	Caller Caller
}

// Caller is the identity that signed a request.
type Caller struct {
	AccessKeyID string
	AccountID   string
	PrincipalID string
	ARN         string
}

// StaticKeys returns a [KeyFunc] that looks up keys in a copy of the map, by access
// key ID. It panics with a [gateway.ErrInvalidOption] when an ID or a secret is empty,
// for example because an environment variable is not set.
func StaticKeys(keys map[string]Key) KeyFunc {
	for id, key := range keys {
		switch {
		case id == "":
			panic(fmt.Errorf("%w: sigv4.StaticKeys: an access key ID is empty: check that the setting it comes from is set", gateway.ErrInvalidOption))
		case key.SecretAccessKey == "":
			panic(fmt.Errorf("%w: sigv4.StaticKeys: access key %q has no SecretAccessKey: check that the setting it comes from is set", gateway.ErrInvalidOption, id))
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

// Signature describes a verified signature.
type Signature struct {
	Caller  Caller
	Region  string
	Service string
	// Time is when the request was signed.
	Time time.Time
	// Presigned is true when the signature was in the query.
	Presigned bool
	// Path is the escaped path that was signed. It is the path as sent, or that path
	// without "//", "." and ".." segments: many clients remove these before they sign,
	// but still send them. Route by this path, or refuse such segments, as
	// VerifyManagement does.
	Path string
}

// Verify checks the signature of r, whose whole body is body, and describes it.
//
// It reads the target from r.RequestURI, as it was sent, and from r.URL only when
// RequestURI is empty. Host and headers must be those that [http.Server] set: nothing
// may change them before this call. Each "+" in the query may have been signed as a
// plus sign or as a blank, which is how [net/url] reads it, but all of them in the same
// way.
//
// The error is an [*Error] when the request is refused. Any other error wraps an error
// of Keys, or names a field of v that makes no sense.
func (v *Verifier) Verify(r *http.Request, body []byte) (Signature, error) {
	m, now := newMessage(r), v.now()
	var a authorization
	key, err := v.checkHeaders(r.Context(), &m, &a, now)
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

// VerifyManagement is Verify for a request that is routed by its path. It also refuses
// a path with "." or ".." segments, escaped or not, so that nobody can sign one path
// and reach another.
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

// CheckHeaders makes the checks of VerifyManagement for which no body is needed: whether r
// is signed at all, when, for what, and by a key that Keys knows. Call it before a large body
// is read. A request that it does not refuse may still have a wrong signature.
func (v *Verifier) CheckHeaders(r *http.Request) error {
	m := newMessage(r)
	var a authorization
	_, err := v.checkHeaders(r.Context(), &m, &a, v.now())
	return err
}

// checkHeaders reads the authorization of m, and makes all checks that come before the one of
// the signature.
func (v *Verifier) checkHeaders(ctx context.Context, m *message, a *authorization, now time.Time) (Key, error) {
	if err := v.Validate(); err != nil {
		return Key{}, err
	}
	if err := m.authorization(a); err != nil {
		return Key{}, err
	}
	if err := v.check(a, now); err != nil {
		return Key{}, err
	}
	return v.key(ctx, a.scope.accessKeyID)
}

// AuthorizeManagement makes *Verifier a [gateway.ManagementAuth] that allows every
// call of everyone who has a key. It is VerifyManagement without its result.
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

// now returns the time in whole seconds, as all times that it is compared with.
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

// key looks up an access key.
func (v *Verifier) key(ctx context.Context, accessKeyID string) (Key, error) {
	key, err := v.Keys(ctx, accessKeyID)
	switch {
	case errors.Is(err, ErrUnknownKey):
		return Key{}, errUnrecognizedKey()
	case err != nil:
		return Key{}, fmt.Errorf("sigv4: looking up an access key: %w", err)
	case key.SecretAccessKey == "": // anybody could sign with it
		return Key{}, errors.New("sigv4: Keys returned a key without SecretAccessKey, and no error: return ErrUnknownKey for an ID that nobody has")
	}
	return key, nil
}
