package gateway_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log"
	"net/http/httptest"
	"strings"

	"example.com/gateway"
)

// userLimits is a usage store that limits each user. The key that the authorizer returns
// is "{user}.{proof}". No list of users is needed.
type userLimits struct{ secret []byte }

// keyOf returns the API key of a user. The proof makes it long enough and nobody can guess
// it.
func (l *userLimits) keyOf(user string) string {
	proof := hmac.New(sha256.New, l.secret)
	proof.Write([]byte(user))
	return user + "." + hex.EncodeToString(proof.Sum(nil))
}

// FindAPIKey implements gateway.UsageStore.
func (l *userLimits) FindAPIKey(_ context.Context, value string) (gateway.APIKey, error) {
	user, _, _ := strings.Cut(value, ".")
	if !hmac.Equal([]byte(value), []byte(l.keyOf(user))) {
		return gateway.APIKey{}, gateway.ErrForbidden
	}
	return gateway.APIKey{
		ID: user, UsagePlanID: "everybody",
		Throttle: gateway.Throttle{RateLimit: 0.1, BurstLimit: 3}, // of this user, on all of their connections
	}, nil
}

// Each user has their own limit, for all of their connections together. The authorizer
// names the user. If you have a list of users and their keys, use package usageplan in
// place of a store of your own.
func ExampleWithAPIKeyRequired_perUser() {
	limits := &userLimits{secret: []byte("from your configuration")}
	gw, err := gateway.New(
		gateway.WithUsageStore(limits),
		gateway.WithAPIKeySelectionExpression("$context.authorizer.usageIdentifierKey"),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	authorizer := gateway.AuthorizerFunc(func(_ context.Context, req *gateway.Request) (*gateway.Authorization, error) {
		user := req.Upgrade.URL.Query().Get("user") // check a token here
		return &gateway.Authorization{PrincipalID: user, UsageIdentifierKey: limits.keyOf(user)}, nil
	})
	gw.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAuthorizer(authorizer), gateway.WithAPIKeyRequired())
	gw.Handle("search", &gateway.MockIntegration{Body: []byte(`{"message": "found"}`)}, gateway.WithRouteResponse())

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	for _, user := range []string{"ann", "bob"} {
		c, _ := dial(srv.URL + "?user=" + user) // takes one of the three
		for range 3 {
			c.send(`{"action":"search"}`)
			text, _, _ := strings.Cut(c.receive(), ", ")
			fmt.Println(user, strings.TrimSuffix(text, "}"))
		}
		c.close(1000, "")
	}
	// Output:
	// ann {"message": "found"
	// ann {"message": "found"
	// ann {"message": "Too Many Requests"
	// bob {"message": "found"
	// bob {"message": "found"
	// bob {"message": "Too Many Requests"
}
