package readme

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

type userKey struct{}

// sessions are those of the service: by cookie.
var sessions = map[string]string{"s3cr3t": "ann"}

// withSession is a middleware that such a service has already.
func withSession(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie("session")
		if err != nil || sessions[cookie.Value] == "" {
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, sessions[cookie.Value])))
	})
}

func logIn(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: "session", Value: "s3cr3t", Path: "/", HttpOnly: true})
}

func newService(gw *gateway.Gateway) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", logIn)
	mux.Handle("/ws", withSession(gw.Handler())) // a middleware sees the upgrade like any other request
	return mux
}

func registerRoutes(gw *gateway.Gateway) {
	gw.HandleFunc("whoami", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		user := ctx.Value(userKey{}).(string) // what the middleware put into the request's context, for the life of the connection
		return &gateway.Response{Body: []byte(user)}, nil
	}, gateway.WithRouteResponse())
}

func TestService(t *testing.T) {
	t.Parallel()
	gw, err := gateway.New()
	require.NoError(t, err)
	registerRoutes(gw)
	srv := gatewaytest.ServeHandler(t, newService(gw))

	_, refused := srv.TryDial(t, gatewaytest.Path("/ws"))
	require.Equal(t, http.StatusUnauthorized, refused.StatusCode)
	c := srv.Dial(t, gatewaytest.Path("/ws"), gatewaytest.Cookie("session", "s3cr3t"))
	c.Send(`{"action":"whoami"}`)
	require.Equal(t, "ann", c.Receive())
}
