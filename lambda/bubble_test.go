package lambda_test

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/lambda"
)

// A closed gateway leaves no connection to a function. The bubble shows it, because a
// bubble ends only when nothing runs in it any more.
func TestFunction_InABubble(t *testing.T) {
	t.Parallel()
	address := endpoint(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"statusCode":200,"body":"ok"}`)
	})
	f := &lambda.Function{URL: address}
	for name, integration := range map[string]gateway.Integration{"a route": f, "a func that calls Invoke": gateway.IntegrationFunc(f.Invoke)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t)
				srv.Handle("$disconnect", integration)
				srv.Handle("$default", integration, gateway.WithRouteResponse())
				c := srv.Dial(t)
				c.Send(`{}`)
				require.Equal(t, "ok", c.Receive())
			})
		})
	}
}
