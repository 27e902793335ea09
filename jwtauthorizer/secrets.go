package jwtauthorizer

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"

	"github.com/go-jose/go-jose/v4"
)

// minSecretBytes is the size of the hash of HS256. (RFC 7518, section 3.2.)
const minSecretBytes = 32

// secretAlgorithms are the algorithms that a secret is for.
func secretAlgorithms() []jose.SignatureAlgorithm { return []jose.SignatureAlgorithm{jose.HS256} }

// hmacKeys are the secrets of an authorizer. They stand behind a pointer, so that
// nobody prints them who prints the authorizer.
type hmacKeys struct{ secrets [][]byte }

// verify implements [verifier]. A token's key ID is not looked at.
func (k *hmacKeys) verify(_ context.Context, jws *jose.JSONWebSignature) ([]byte, error) {
	for _, secret := range k.secrets {
		if payload, err := jws.Verify(secret); err == nil {
			return payload, nil
		}
	}
	return nil, refused("the token's signature is wrong")
}

// checkSecrets returns what is wrong with Secrets, and with fields that do not go
// together with them. It quotes no secret.
func (c *Config) checkSecrets() error {
	switch {
	case len(c.Secrets) == 0:
		return invalid("Secrets is empty, but not nil: name a secret, or leave Secrets nil to use the issuer's public keys")
	case len(c.Secrets) > maxTried:
		return invalid("there are %d Secrets: the most is %d", len(c.Secrets), maxTried)
	case c.JWKSURL != "", c.Client != nil, c.RefreshInterval != 0, c.UnknownKeyInterval != 0, c.MaxStale != 0:
		return invalid("Secrets is set, and so is JWKSURL, Client, RefreshInterval, UnknownKeyInterval or MaxStale: " +
			"an authorizer has either secrets or public keys, make two if you need both")
	}
	for n, secret := range c.Secrets {
		switch {
		case len(secret) < minSecretBytes:
			return invalid("Secrets[%d] has %d bytes, want at least %d random ones (RFC 7518, section 3.2): make one with \"openssl rand -hex 32\"",
				n, len(secret), minSecretBytes)
		case bytes.Count(secret, secret[:1]) == len(secret):
			return invalid("Secrets[%d] is one byte again and again: fill it with random bytes, as crypto/rand makes them", n)
		case isPublicKey(secret):
			return invalid("Secrets[%d] looks like a key in PEM, DER, SSH or JWK format: anybody may know a public key; for an issuer's keys set Issuer or JWKSURL", n)
		}
	}
	return nil
}

// isPublicKey reports whether a secret has the format of a file with keys or a certificate.
func isPublicKey(secret []byte) bool {
	text := bytes.TrimSpace(bytes.TrimPrefix(secret, []byte("\ufeff")))
	for _, begin := range []string{"ssh-", "ecdsa-sha2-", "{"} {
		if bytes.HasPrefix(text, []byte(begin)) {
			return true
		}
	}
	for _, part := range []string{"---- BEGIN ", "-----BEGIN ", `"kty"`} { // maybe behind a comment, or in a list
		if bytes.Contains(text, []byte(part)) {
			return true
		}
	}
	if decoded, err := base64.StdEncoding.DecodeString(string(text)); err == nil && isDER(decoded) {
		return true
	}
	return isDER(secret)
}

// isDER reports whether b is a public key or a certificate without any armor.
func isDER(b []byte) bool {
	_, err := x509.ParsePKIXPublicKey(b)
	_, errPKCS1 := x509.ParsePKCS1PublicKey(b)
	_, errCertificate := x509.ParseCertificate(b)
	return err == nil || errPKCS1 == nil || errCertificate == nil
}
