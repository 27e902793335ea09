package managementclient_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"example.com/gateway"
	"example.com/gateway/managementclient"
)

// withToken adds a token to each request.
type withToken string

func (t withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(t))
	return http.DefaultTransport.RoundTrip(r)
}

// A backend in another process has the same methods as the Gateway. Its Transport adds what
// the ManagementAuth of the gateway asks for.
func Example() {
	gw, err := gateway.New(gateway.WithManagementExtensions(), gateway.WithManagementAuth(
		gateway.ManagementAuthFunc(func(_ context.Context, call *gateway.ManagementCall) error {
			if call.Request.Header.Get("Authorization") != "Bearer secret" {
				return gateway.ErrForbidden
			}
			return nil
		})))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer gw.Close()
	server := httptest.NewServer(gw.ManagementHandler())
	defer server.Close()

	var api gateway.ConnectionsAPI = &managementclient.Client{
		Endpoint:   server.URL + "/prod",
		HTTPClient: &http.Client{Transport: withToken("secret")},
	}
	delivery, err := api.PostTo(context.Background(), gateway.Group("room-1"), []byte("hello"))
	fmt.Println(delivery.Accepted, err)
	n, err := api.Count(context.Background(), gateway.Everyone())
	fmt.Println(n, err)
	// Output:
	// 0 <nil>
	// 0 <nil>
}
