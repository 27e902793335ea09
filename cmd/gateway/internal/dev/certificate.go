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
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	authorityFor = 10 * 365 * 24 * time.Hour
	serverFor    = 397 * 24 * time.Hour // browsers refuse what is good for longer
	// overlap is how long before its end an authority is replaced.
	overlap = 400 * 24 * time.Hour
)

// certificates are the certificate of the server, and what clients need to trust it.
//
// There are two authorities. One is kept, so that a browser that trusts it does so after a
// restart, too: it can sign only for loopback. The other one signs for all other names of the
// server, such as custom domain names. It lasts until the end of the program, and only the
// functions trust it.
type certificates struct {
	authority string // a PEM file with the authority that is kept
	functions string // a PEM file with both
	bundle    string // a PEM file with both and the certificates of the system

	server tls.Certificate
	other  tls.Certificate // the authority for other names

	mu    sync.Mutex // guards the field below
	named map[string]*tls.Certificate
}

// newCertificates makes the certificate of the server. The authority is read from dir, or
// made there.
func newCertificates(dir, region string) (*certificates, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c := &certificates{
		authority: filepath.Join(dir, "ca.pem"), functions: filepath.Join(dir, "functions.pem"), bundle: filepath.Join(dir, "bundle.pem"),
		named: map[string]*tls.Certificate{},
	}
	keyFile := filepath.Join(dir, "ca-key.pem")
	authority, err := readAuthority(c.authority, keyFile)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err != nil || time.Until(authority.Leaf.NotAfter) < overlap {
		if authority, err = newAuthority(c.authority, keyFile); err != nil {
			return nil, err
		}
	}
	names := []string{"localhost", "*.localhost", "*.execute-api." + region + ".localhost"}
	if c.server, err = newServerCertificate(authority, names, net.IPv4(127, 0, 0, 1), net.IPv6loopback); err != nil {
		return nil, err
	}
	if c.other, err = sign(authorityTemplate(), nil); err != nil {
		return nil, err
	}
	both := append(pemOf(authority), pemOf(c.other)...)
	if err := writeWhole(c.functions, both); err != nil {
		return nil, err
	}
	return c, writeWhole(c.bundle, append(systemRoots(), both...))
}

// maxNamed bounds how many certificates for other names are kept.
const maxNamed = 100

// get returns the certificate for the name that a client wants, or for the address at which
// it came. For other machines there is only the one for loopback: nobody there trusts the
// second authority.
func (c *certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := hello.ServerName
	if name == "" {
		name = addressOf(hello.Conn.LocalAddr()).String()
	}
	if c.server.Leaf.VerifyHostname(name) == nil || !addressOf(hello.Conn.RemoteAddr()).IsLoopback() && hello.ServerName != "" {
		return &c.server, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.named[name]; known != nil {
		return known, nil
	}
	var names []string
	var addresses []net.IP
	if ip := net.ParseIP(name); ip != nil {
		addresses = append(addresses, ip)
	} else {
		names = append(names, name)
	}
	made, err := newServerCertificate(c.other, names, addresses...)
	if err != nil {
		return nil, err
	}
	if len(c.named) == maxNamed {
		clear(c.named)
	}
	c.named[name] = &made
	return &made, nil
}

// addressOf is the IP address of an address of TCP.
func addressOf(a net.Addr) net.IP {
	if a, ok := a.(*net.TCPAddr); ok {
		return a.IP
	}
	return nil
}

func pemOf(c tls.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})
}

// authorityTemplate is an authority that can sign for every name.
func authorityTemplate() *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: "gateway dev on " + hostname()},
		NotAfter:              time.Now().Add(authorityFor),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
}

// readAuthority reads the authority that is kept. The error for files that are damaged says what
// to do.
func readAuthority(certificateFile, keyFile string) (tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(certificateFile, keyFile)
	if err == nil && !c.Leaf.IsCA {
		err = errors.New("the certificate is not that of an authority")
	}
	if err == nil || errors.As(err, new(*fs.PathError)) { // that names its file
		return c, err
	}
	return c, fmt.Errorf("%s and %s cannot be used: %s: remove both files, and the next start makes new ones; programs that trust the old one have to trust the new one",
		shortPath(certificateFile), shortPath(keyFile), strings.TrimPrefix(err.Error(), "tls: "))
}

// newAuthority makes an authority, and writes it into two files. If that is cut short, there is
// no certificate, and the next start makes both again.
func newAuthority(certificateFile, keyFile string) (tls.Certificate, error) {
	template := authorityTemplate()
	// Whoever gets the key can pretend to be a server on this machine, and nothing else.
	template.PermittedDNSDomainsCritical = true
	template.PermittedDNSDomains = []string{"localhost"}
	template.PermittedIPRanges = []*net.IPNet{
		{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)},
		{IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
	}
	c, err := sign(template, nil)
	if err != nil {
		return c, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return c, err
	}
	if err := os.Remove(certificateFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return c, err
	}
	if err := writeWhole(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})); err != nil {
		return c, err
	}
	return c, writeWhole(certificateFile, pemOf(c))
}

// writeWhole writes a file that only this user can read. Nobody sees a part of it, even if the
// machine fails.
func writeWhole(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// newServerCertificate makes a certificate of the server. It is not kept.
func newServerCertificate(by tls.Certificate, names []string, addresses ...net.IP) (tls.Certificate, error) {
	return sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "gateway dev"},
		NotAfter:    time.Now().Add(serverFor),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    names,
		IPAddresses: addresses,
	}, &by)
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
