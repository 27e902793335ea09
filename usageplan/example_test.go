package usageplan_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"example.com/gateway"
	"example.com/gateway/usageplan"
)

// Each API key has its share of connects and messages. A browser cannot set the
// header x-api-key: there the authorizer names the key.
func Example() {
	plans, err := usageplan.New(usageplan.Plan{
		ID:             "free",
		Throttle:       gateway.Throttle{RateLimit: 10, BurstLimit: 20},
		RouteThrottles: map[string]gateway.Throttle{"search": {RateLimit: 1, BurstLimit: 2}},
		Quota:          usageplan.Quota{Limit: 10_000, Period: usageplan.Day},
		APIKeys:        map[string]string{"ann": "anns-secret-key-0123456789"},
	})
	if err != nil {
		log.Fatal(err)
	}
	gw, err := gateway.New(gateway.WithUsageStore(plans))
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	gw.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAPIKeyRequired())

	upgrade := httptest.NewRequest(http.MethodGet, "/", nil)
	upgrade.Header.Set("Connection", "Upgrade")
	upgrade.Header.Set("Upgrade", "websocket")
	upgrade.Header.Set("Sec-WebSocket-Version", "13")
	upgrade.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	upgrade.Header.Set("X-Api-Key", "a-key-that-nobody-was-given")
	answer := httptest.NewRecorder()
	gw.Handler().ServeHTTP(answer, upgrade)
	fmt.Println(answer.Code)
	// Output: 403
}
