package readme

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

type userKey struct{}

// sessions are those of the service: users by cookie.
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
	// The session knows the user. As the principal, the user is known to every event and to Connections.
	user := gateway.AuthorizerFunc(func(ctx context.Context, req *gateway.Request) (*gateway.Authorization, error) {
		name, ok := ctx.Value(userKey{}).(string) // what withSession, a middleware of yours, has put there
		if !ok {
			return nil, gateway.ErrUnauthorized
		}
		return &gateway.Authorization{PrincipalID: name}, nil
	})
	gw.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAuthorizer(user))
	gw.HandleFunc("whoami", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		name := req.PrincipalID()
		return &gateway.Response{Body: []byte(name)}, nil
	}, gateway.WithRouteResponse())

	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", logIn)
	mux.Handle("/ws", withSession(gw.Handler()))
	mux.HandleFunc("POST /notify/{user}", func(w http.ResponseWriter, r *http.Request) {
		message, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4096))
		if err != nil {
			http.Error(w, "at most 4096 bytes", http.StatusRequestEntityTooLarge)
			return
		}
		if _, err := gw.PostTo(r.Context(), gateway.User(r.PathValue("user")), message); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	return mux
}

func TestService(t *testing.T) {
	t.Parallel()
	gw, err := gateway.New()
	require.NoError(t, err)

	srv := gatewaytest.ServeHandler(t, newService(gw))
	login, err := srv.HTTPClient().Post(srv.HTTPURL()+"/login", "", nil)
	require.NoError(t, err)
	require.NoError(t, login.Body.Close())

	_, refused := srv.TryDial(t, gatewaytest.Path("/ws"))
	require.Equal(t, http.StatusUnauthorized, refused.StatusCode)
	c := srv.Dial(t, gatewaytest.Path("/ws"), gatewaytest.Cookies(login.Cookies()...))
	c.Send(`{"action":"whoami"}`)
	require.Equal(t, "ann", c.Receive())

	notified, err := srv.HTTPClient().Post(srv.HTTPURL()+"/notify/ann", "text/plain", strings.NewReader("dinner"))
	require.NoError(t, err)
	require.NoError(t, notified.Body.Close())
	require.Equal(t, "dinner", c.Receive())
}
