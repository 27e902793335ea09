package dev

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	authorityFor = 10 * 365 * 24 * time.Hour
	serverFor    = 397 * 24 * time.Hour // browsers refuse what is good for longer
	// overlap is how long before its end an authority is replaced.
	overlap = 400 * 24 * time.Hour
)

// certificates are the certificate of the server, and what clients need to trust it. The
// authority that signs it is kept, so that a client that trusts it does so after a restart,
// too. It can only sign for the names of this machine.
type certificates struct {
	server    tls.Certificate
	authority string // a PEM file with the certificate of the authority
	bundle    string // a PEM file with the certificates of the system, too
}

// newCertificates makes the certificate of the server. The authority is read from dir, or
// made there.
func newCertificates(dir, region string) (*certificates, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c := &certificates{authority: filepath.Join(dir, "ca.pem"), bundle: filepath.Join(dir, "bundle.pem")}
	keyFile := filepath.Join(dir, "ca-key.pem")
	authority, err := tls.LoadX509KeyPair(c.authority, keyFile)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err != nil || time.Until(authority.Leaf.NotAfter) < overlap {
		if authority, err = newAuthority(c.authority, keyFile); err != nil {
			return nil, err
		}
	}
	if c.server, err = newServerCertificate(authority, region); err != nil {
		return nil, err
	}
	bundle := systemRoots()
	bundle = append(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Certificate[0]})...)
	return c, os.WriteFile(c.bundle, bundle, 0o600)
}

// newAuthority makes an authority, and writes it into two files.
func newAuthority(certificateFile, keyFile string) (tls.Certificate, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "gateway dev on " + hostname()},
		NotAfter:              time.Now().Add(authorityFor),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
		// Whoever gets the key can pretend to be this machine, and nothing else.
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         []string{"localhost"},
		PermittedIPRanges: []*net.IPNet{
			{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)},
			{IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
		},
	}
	c, err := sign(template, nil)
	if err != nil {
		return c, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return c, err
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600); err != nil {
		return c, err
	}
	return c, os.WriteFile(certificateFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}), 0o600)
}

// newServerCertificate makes the certificate of the server. It is not kept.
func newServerCertificate(authority tls.Certificate, region string) (tls.Certificate, error) {
	return sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "localhost"},
		NotAfter:    time.Now().Add(serverFor),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "*.localhost", "*.execute-api." + region + ".localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}, &authority)
}

// sign makes a key and a certificate. by is nil for one that signs itself.
func sign(template *x509.Certificate, by *tls.Certificate) (c tls.Certificate, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return c, err
	}
	template.NotBefore = time.Now().Add(-time.Hour) // clocks differ
	parent, signer := template, any(key)
	if by != nil {
		parent, signer = by.Leaf, by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return c, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "this machine"
	}
	return name
}

// systemRoots returns the certificates that the system trusts, as PEM. A machine that has
// none trusts only the server.
func systemRoots() []byte {
	files := []string{
		os.Getenv("SSL_CERT_FILE"),
		"/etc/ssl/certs/ca-certificates.crt", // Debian, Arch
		"/etc/pki/tls/certs/ca-bundle.crt",   // Fedora
		"/etc/ssl/ca-bundle.pem",             // openSUSE
		"/etc/ssl/cert.pem",                  // Alpine, macOS
	}
	for _, file := range files {
		if content, err := os.ReadFile(file); err == nil && len(content) > 0 {
			return append(bytes.TrimRight(content, "\n"), '\n')
		}
	}
	return nil
}
