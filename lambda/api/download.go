package api

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// downloads begins the paths of zip files that can be downloaded. The service has them in
// S3, behind presigned URLs.
const downloads = "/2015-03-31/code/"

// downloadable is how long a URL for code is good. (Lambda API reference: GetFunction.)
const downloadable = 10 * time.Minute

// signer signs URLs of code.
type signer struct{ key [32]byte }

func (s *signer) init() { _, _ = rand.Read(s.key[:]) } // never fails

func (s *signer) sign(hash, expires string) string {
	h := hmac.New(sha256.New, s.key[:])
	h.Write([]byte(hash + "\x00" + expires))
	return hex.EncodeToString(h.Sum(nil))
}

// location returns the URL of the code of a configuration.
func (s *Server) location(r *http.Request, d document) string {
	hash, expires := hashOf(d), strconv.FormatInt(time.Now().Add(downloadable).Unix(), 10)
	u := url.URL{Scheme: "http", Host: r.Host, Path: downloads + hash + ".zip"}
	if r.TLS != nil {
		u.Scheme = "https"
	}
	u.RawQuery = url.Values{"expires": {expires}, "signature": {s.downloads.sign(hash, expires)}}.Encode()
	return u.String()
}

// download answers a request for code. It reports false for other paths.
func (s *Server) download(w http.ResponseWriter, r *http.Request) (answer reply, found bool, err error) {
	name, found := strings.CutPrefix(r.URL.Path, downloads)
	if !found || r.Method != http.MethodGet {
		return reply{}, false, nil
	}
	hash, query := strings.TrimSuffix(name, ".zip"), r.URL.Query()
	expires, _ := strconv.ParseInt(query.Get("expires"), 10, 64)
	signature := s.downloads.sign(hash, query.Get("expires"))
	if !hmac.Equal([]byte(signature), []byte(query.Get("signature"))) || time.Now().Unix() > expires {
		return reply{}, true, accessDenied("The URL is not that of any code, or is too old: call GetFunction again")
	}
	file, err := os.Open(s.code.zipPath(hash))
	if err != nil {
		return reply{}, true, notFound("The code is not there any more: call GetFunction again")
	}
	w.Header().Set("Content-Type", "application/zip")
	return reply{file: file}, true, nil
}
