package jwtauthorizer_test

import (
	"crypto/rand"
	"fmt"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"

	"example.com/gateway"
	"example.com/gateway/jwtauthorizer"
)

// A team without an identity provider: its login page makes the tokens, signs them
// with a secret and sets them as a cookie. Only pages of the gateway's own host, and
// of the origins in WithOriginPatterns, may use the cookie.
func ExampleNew_secret() {
	secret := make([]byte, 32) // a setting of the program; here a random one
	if _, err := rand.Read(secret); err != nil {
		log.Fatal(err)
	}
	a, err := jwtauthorizer.New(jwtauthorizer.Config{
		Secrets:        [][]byte{secret}, // while it changes, the new one and the old one
		Audience:       []string{"chat"},
		Cookie:         "__Host-token",
		RequiredClaims: map[string][]string{"email_verified": {"true"}},
		RequiredScopes: []string{"chat.write"},
	})
	if err != nil {
		log.Fatal(err)
	}
	gw, err := gateway.New(gateway.WithOriginPatterns("https://app.example.com"))
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	gw.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAuthorizer(a))

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	connect := func(origin string, claims object) int {
		token := sign("HS256", secret, nil, good(claims))
		return dial(srv.URL, http.Header{"Origin": {origin}, "Cookie": {"__Host-token=" + token}})
	}
	agent := object{"email_verified": true, "scope": "chat.read chat.write"}
	fmt.Println(connect("https://app.example.com", agent))
	fmt.Println(connect("https://evil.example", agent))
	fmt.Println(connect("https://app.example.com", object{"email_verified": false, "scope": "chat.write"}))
	fmt.Println(connect("https://app.example.com", object{"email_verified": true, "scope": "chat.read"}))
	// Output:
	// 101
	// 403
	// 401
	// 403
}

// dial opens a WebSocket with the headers that a browser adds, and returns the
// answer's status code.
func dial(url string, more http.Header) int {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	req.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	maps.Copy(req.Header, more)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
