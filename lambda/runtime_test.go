package lambda_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/connid"
	"example.com/gateway/lambda"
)

// environment is an execution environment. It has the Invoke API on one side and Lambda's
// runtime API on the other, and handles one event at a time.
type environment struct {
	*httptest.Server
	events  chan invocation // to the runtime
	mu      sync.Mutex      // guards pending
	pending map[string]chan answer
}

type invocation struct {
	id    string
	event []byte
}

type answer struct {
	body   []byte
	raised bool
}

func newEnvironment(t *testing.T) *environment {
	t.Helper()
	e := &environment{events: make(chan invocation), pending: map[string]chan answer{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /2015-03-31/functions/function/invocations", e.invoke)
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", e.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/{outcome}", e.done)
	e.Server = httptest.NewServer(mux)
	t.Cleanup(e.Close)
	return e
}

func (e *environment) invoke(w http.ResponseWriter, r *http.Request) {
	event, _ := io.ReadAll(r.Body)
	in, done := invocation{connid.NewRequest(), event}, make(chan answer, 1)
	e.mu.Lock()
	e.pending[in.id] = done
	e.mu.Unlock()
	select {
	case e.events <- in:
	case <-r.Context().Done():
		return
	}
	select {
	case a := <-done:
		if a.raised {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
		}
		_, _ = w.Write(a.body)
	case <-r.Context().Done():
	}
}

func (e *environment) next(w http.ResponseWriter, r *http.Request) {
	select {
	case in := <-e.events:
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", in.id)
		_, _ = w.Write(in.event)
	case <-r.Context().Done():
	}
}

func (e *environment) done(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	e.mu.Lock()
	e.pending[r.PathValue("id")] <- answer{body, r.PathValue("outcome") == "error"}
	e.mu.Unlock()
	w.WriteHeader(http.StatusAccepted)
}

// startRuntime runs a bootstrap of testdata, with the first of the programs that
// is there, until the test ends.
func startRuntime(t *testing.T, e *environment, bootstrap string, programs ...string) {
	t.Helper()
	for _, program := range programs {
		path, err := exec.LookPath(program)
		if err != nil {
			continue
		}
		cmd := exec.CommandContext(t.Context(), path, filepath.Base(bootstrap))
		cmd.Dir = filepath.Join("testdata", filepath.Dir(bootstrap))
		cmd.Env = append(os.Environ(), "AWS_LAMBDA_RUNTIME_API="+strings.TrimPrefix(e.URL, "http://"), "PYTHONDONTWRITEBYTECODE=1")
		cmd.Stderr = os.Stderr
		require.NoError(t, cmd.Start())
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			e.CloseClientConnections()
		})
		return
	}
	if os.Getenv("GATEWAY_E2E") == "1" {
		t.Fatalf("none of %v is installed", programs)
	}
	t.Skipf("none of %v is installed", programs)
}

// Handlers in other languages, which were written for AWS and are not changed.
func TestFunction_Runtimes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, bootstrap string
		programs        []string
	}{
		{"node", "node/bootstrap.mjs", []string{"node"}},
		{"python", "python/bootstrap.py", []string{"/usr/bin/python3", "python3"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e := newEnvironment(t)
			startRuntime(t, e, tc.bootstrap, tc.programs...)
			srv := gatewaytest.New(t)
			f := &lambda.Function{URL: e.URL}
			srv.Handle("$connect", f)
			srv.Handle("$disconnect", f)
			for _, key := range []string{"say", "fail", "odd", "nothing"} {
				srv.Handle(key, f, gateway.WithRouteResponse())
			}

			_, refused := srv.TryDial(t)
			require.Equal(t, http.StatusUnauthorized, refused.StatusCode)
			require.Equal(t, "who are you?", refused.Body)
			require.Equal(t, "token", refused.Header.Get("X-Why"))

			c := srv.Dial(t, gatewaytest.Query("token", "good"), gatewaytest.Subprotocols("chat.v1", "chat.v2"))
			require.Equal(t, "chat.v1", c.Subprotocol())
			c.Send(`{"action":"nothing"}`)
			c.Send(`{"action":"say","text":"ünï"}`)
			var got map[string]string
			c.ReceiveJSON(&got)
			require.Equal(t, map[string]string{
				"runtime": tc.name, "routeKey": "say", "connectionId": c.ConnectionID(), "body": `{"action":"say","text":"ünï"}`,
			}, got)
			for _, action := range []string{"fail", "odd"} {
				c.Send(`{"action":"` + action + `"}`)
				var frame struct{ Message string }
				c.ReceiveJSON(&frame)
				require.Equal(t, "Internal server error", frame.Message)
			}
			failed := srv.WaitEvent(func(e gatewaytest.Event) bool { return e.RouteKey == "fail" })
			var raised *lambda.FunctionError
			require.ErrorAs(t, failed.Err, &raised)
			require.Equal(t, "no database", raised.Message)
			c.Close(1000, "bye")
			require.Equal(t, 200, srv.WaitDisconnect(c.ConnectionID()).Response.StatusCode)
		})
	}
}
