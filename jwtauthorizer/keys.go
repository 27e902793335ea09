package jwtauthorizer

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// key is a public key that verifies tokens.
type key struct {
	id        string
	algorithm jose.SignatureAlgorithm // "": any that fits its kind
	public    any
}

// fits reports whether k can verify signatures of an algorithm. A key is used only with
// algorithms for its own kind of key, whatever the token says. (RFC 8725, section 3.1.)
func (k key) fits(algorithm jose.SignatureAlgorithm) bool {
	if k.algorithm != "" && k.algorithm != algorithm {
		return false
	}
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		pkcs1 := algorithm == jose.RS256 || algorithm == jose.RS384 || algorithm == jose.RS512
		pss := algorithm == jose.PS256 || algorithm == jose.PS384 || algorithm == jose.PS512
		return (pkcs1 || pss) && public.N.BitLen() >= minRSABits
	case *ecdsa.PublicKey:
		bits := public.Curve.Params().BitSize
		return algorithm == jose.ES256 && bits == 256 || algorithm == jose.ES384 && bits == 384 || algorithm == jose.ES512 && bits == 521
	case ed25519.PublicKey:
		return algorithm == jose.EdDSA
	}
	return false
}

// algorithmEd25519 is EdDSA with an Ed25519 key. EdDSA keys of other kinds are not
// supported here. (RFC 9864, section 2.2.)
const algorithmEd25519 jose.SignatureAlgorithm = "Ed25519"

// algorithmOf returns the algorithm of a token. For both names of EdDSA it returns EdDSA.
func algorithmOf(jws *jose.JSONWebSignature) jose.SignatureAlgorithm {
	algorithm := jose.SignatureAlgorithm(jws.Signatures[0].Protected.Algorithm)
	if algorithm == algorithmEd25519 {
		return jose.EdDSA
	}
	return algorithm
}

// verifier returns the key for go-jose to verify a token with. go-jose v4.1.8 does not
// know the name Ed25519.
func (k key) verifier(jws *jose.JSONWebSignature) any {
	if public, ok := k.public.(ed25519.PublicKey); ok && jws.Signatures[0].Protected.Algorithm == string(algorithmEd25519) {
		return ed25519Verifier(public)
	}
	return k.public
}

type ed25519Verifier ed25519.PublicKey

var _ jose.OpaqueVerifier = ed25519Verifier(nil)

// VerifyPayload implements [jose.OpaqueVerifier].
func (v ed25519Verifier) VerifyPayload(payload, signature []byte, algorithm jose.SignatureAlgorithm) error {
	if algorithm != algorithmEd25519 || !ed25519.Verify(ed25519.PublicKey(v), payload, signature) {
		return jose.ErrCryptoFailure
	}
	return nil
}

// minRSABits is the smallest size of an RSA key. (RFC 7518, section 3.3.)
const minRSABits = 2048

// keySet is what is known about the issuer's keys. It never changes.
type keySet struct {
	keys  []key
	until time.Time // the keys are good until then
	tried time.Time // when they were last fetched
	next  time.Time // when to fetch them again
	err   error     // why no keys are good
}

func (s *keySet) usable(now time.Time) bool { return len(s.keys) > 0 && now.Before(s.until) }

// verify returns the payload of a token that one of the keys has signed.
func (s *keySet) verify(jws *jose.JSONWebSignature) ([]byte, error) {
	keys := s.find(jws)
	if len(keys) == 0 {
		return nil, refused("no key of the issuer has the token's key ID and fits its algorithm")
	}
	for _, k := range keys {
		if payload, err := jws.Verify(k.verifier(jws)); err == nil {
			return payload, nil
		}
	}
	return nil, refused("the token's signature is wrong")
}

// find returns the keys that may verify a token.
func (s *keySet) find(jws *jose.JSONWebSignature) (keys []key) {
	id, algorithm := jws.Signatures[0].Protected.KeyID, algorithmOf(jws)
	if id == "" && len(s.keys) != 1 { // OpenID Connect Core, section 10.1: only if there is a single key
		return nil
	}
	for _, k := range s.keys {
		if len(keys) < maxTried && (id == "" || k.id == id) && k.fits(algorithm) {
			keys = append(keys, k)
		}
	}
	return keys
}

// maxTried bounds the keys that are tried for one token, because each takes time. An
// issuer with more keys of the same ID is broken or hostile.
const maxTried = 8

// mayLack reports whether a newer set may have the key of a token that no key fits: the
// token has a key ID, or the only key may have been replaced.
func (s *keySet) mayLack(jws *jose.JSONWebSignature) bool {
	return jws.Signatures[0].Protected.KeyID != "" || len(s.keys) == 1
}

// retryInterval is the time between two fetches while there are no keys.
const retryInterval = time.Second

var errNoKeys = errors.New("the issuer's key set has no key that we can use")

// keySource keeps the issuer's keys. It fetches them on the goroutine of a call that
// needs them, one call at a time.
type keySource struct {
	fetch           func(context.Context) ([]key, error)
	refreshInterval time.Duration
	unknownInterval time.Duration
	maxStale        time.Duration
	log             *slog.Logger

	turn  chan struct{} // a lock: whoever has put the one element into it may fetch and store
	state atomic.Pointer[keySet]
}

func newKeySource(cfg *Config, algorithms []jose.SignatureAlgorithm) *keySource {
	s := &keySource{
		fetch:           newFetcher(cfg, algorithms).fetch,
		refreshInterval: cfg.RefreshInterval,
		unknownInterval: cfg.UnknownKeyInterval,
		maxStale:        cfg.MaxStale,
		log:             cfg.Logger,
		turn:            make(chan struct{}, 1),
	}
	s.state.Store(&keySet{})
	return s
}

// verify implements [verifier].
func (s *keySource) verify(ctx context.Context, jws *jose.JSONWebSignature) ([]byte, error) {
	set, err := s.current(ctx)
	if err != nil {
		return nil, fmt.Errorf("jwtauthorizer: %w", err)
	}
	payload, err := set.verify(jws)
	if err == nil || !set.mayLack(jws) {
		return payload, err
	}
	newer, failed := s.newer(ctx, set)
	switch {
	case failed != nil:
		return nil, fmt.Errorf("jwtauthorizer: %w", failed)
	case newer == set:
		return nil, err
	}
	return newer.verify(jws)
}

// current returns a set that is usable. If there is none, it waits for one. If it is time
// for a new set, the first call that notices it fetches the set, and the others use the
// present one.
func (s *keySource) current(ctx context.Context) (*keySet, error) {
	set := s.state.Load()
	now := time.Now()
	switch {
	case !set.usable(now):
		if err := s.acquire(ctx); err != nil {
			return nil, err
		}
	case now.Before(set.next):
		return set, nil
	default:
		select {
		case s.turn <- struct{}{}:
		default:
			return set, nil
		}
	}
	defer s.release()
	set = s.state.Load() // another call may have fetched it
	if !time.Now().Before(set.next) {
		set = s.refresh(ctx, set)
	}
	return set.orErr()
}

// newer returns a set that may have a key that old lacks. It returns old if the set was
// fetched only a short time ago.
func (s *keySource) newer(ctx context.Context, old *keySet) (*keySet, error) {
	if set := s.state.Load(); set != old || time.Since(set.tried) < s.unknownInterval {
		return set.orErr()
	}
	if err := s.acquire(ctx); err != nil {
		return nil, err
	}
	defer s.release()
	set := s.state.Load()
	if set == old {
		set = s.refresh(ctx, set)
	}
	return set.orErr()
}

// orErr returns the set if it is usable, or why it is not.
func (s *keySet) orErr() (*keySet, error) {
	if s.usable(time.Now()) {
		return s, nil
	}
	return nil, s.err
}

// acquire waits until this call may fetch.
func (s *keySource) acquire(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the issuer's keys: %w", ctx.Err())
	}
}

func (s *keySource) release() { <-s.turn }

// refresh fetches the issuer's keys, and keeps those of old when that fails. The caller
// has called acquire.
func (s *keySource) refresh(ctx context.Context, old *keySet) *keySet {
	keys, err := s.fetch(ctx)
	now := time.Now()
	set := &keySet{keys: keys, tried: now, err: errNoKeys}
	switch {
	case err == nil && len(keys) > 0:
		set.next = now.Add(s.refreshInterval)
		set.until = set.next.Add(s.maxStale)
	case err == nil: // the issuer has withdrawn all keys, so those of old are not good either
		set.next = now.Add(retryInterval)
	case old.usable(now):
		set.keys, set.until = old.keys, old.until
		set.next = now.Add(s.unknownInterval)
		s.log.LogAttrs(ctx, slog.LevelError, "key set not refreshed", slog.Any("error", err))
	default:
		set.next = now.Add(retryInterval)
	}
	switch {
	case err != nil && set.keys == nil && ctx.Err() != nil: // this caller's time is over, but not that of the next one
		return &keySet{err: fmt.Errorf("fetching the issuer's keys: %w", ctx.Err())}
	case err != nil:
		set.err = err
	}
	s.state.Store(set)
	return set
}
