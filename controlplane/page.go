package controlplane

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// sequence makes IDs. Their order is the order of creation, so that a list, which is in
// the order of its IDs as the service's is, shows the oldest first.
type sequence struct {
	mu   sync.Mutex
	last int64
}

// newID returns an ID of this length: seven digits of a count that follows the clock, and
// then random ones.
func (s *Server) newID(length int, at time.Time) string {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyz"
	s.ids.mu.Lock()
	// In 25 years of steps of 10 ms the digits begin anew.
	s.ids.last = max(s.ids.last+1, at.Sub(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)).Milliseconds()/10)
	n := s.ids.last
	s.ids.mu.Unlock()
	id := make([]byte, max(length, idLength))
	for i := idLength - 1; i >= 0; i-- {
		id[i] = digits[n%36]
		n /= 36
	}
	random := id[idLength:]
	_, _ = rand.Read(random) // never fails
	for i := range random {
		random[i] = digits[random[i]%36]
	}
	return string(id[:length])
}

// pageRequest is what a client asks of a list. Both may be "".
type pageRequest struct{ maxResults, nextToken string }

func pageOf(query url.Values) pageRequest {
	return pageRequest{query.Get("maxResults"), query.Get("nextToken")}
}

// pageTokens writes and reads the tokens of next pages. A token is the ID at which the
// page ended, signed together with its collection: a page begins after that ID, whether
// it still exists or not.
type pageTokens struct{ key [32]byte }

const macLength = 12

func (p *pageTokens) mac(collection, id string) []byte {
	h := hmac.New(sha256.New, p.key[:])
	h.Write([]byte(collection + "\x00" + id))
	return h.Sum(nil)[:macLength]
}

func (p *pageTokens) write(collection, id string) string {
	return base64.RawURLEncoding.EncodeToString(append(p.mac(collection, id), id...))
}

// read returns the ID after which a page begins, and how many documents it may have; 0 is
// all of them.
func (p *pageTokens) read(collection string, page pageRequest) (after string, most int, err error) {
	if page.maxResults != "" {
		most, err = strconv.Atoi(page.maxResults)
		if err != nil || most < 1 || most > 100 || strings.HasPrefix(page.maxResults, "+") {
			return "", 0, badRequest("Invalid maxResults specified: %s. Must be between 1 and 100", clip(page.maxResults))
		}
	}
	if page.nextToken == "" {
		return "", most, nil
	}
	token, err := base64.RawURLEncoding.DecodeString(page.nextToken)
	if err != nil || len(token) <= macLength || !hmac.Equal(token[:macLength], p.mac(collection, string(token[macLength:]))) {
		return "", 0, badRequest("Invalid nextToken specified")
	}
	return string(token[macLength:]), most, nil
}
