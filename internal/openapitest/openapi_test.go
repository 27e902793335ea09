package openapitest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/sigv4"
)

const file = "../../docs/openapi.yaml"

// load reads the document, and checks it.
func load(t *testing.T) (*openapi3.T, routers.Router) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	document, err := openapi3.NewLoader().LoadFromData(text)
	require.NoError(t, err)
	require.NoError(t, document.Validate(t.Context(), openapi3.EnableExamplesValidation()))
	document.Servers = openapi3.Servers{{URL: "http://gateway.test/prod"}}
	router, err := gorillamux.NewRouter(document)
	require.NoError(t, err)
	return document, router
}

// Every operation of the gateway is in the document, with a name that is a ManagementAction
// wherever there is one, and no other.
func TestDocument(t *testing.T) {
	t.Parallel()
	document, _ := load(t)
	var names []string
	for _, item := range document.Paths.Map() {
		for _, operation := range item.Operations() {
			names = append(names, operation.OperationID)
		}
	}
	slices.Sort(names)
	require.Equal(t, []string{
		"CloseAll", "DeleteConnection", "GetConnection", "GetState", "Join", "Leave", "List", "PostTo", "PostToConnection", "RemoveState", "SetState",
	}, names)
}

// call is a request, in whose target and body ID is the connection.
type call struct {
	method, target, body string
	header               []string // names and values in turn
}

// send makes a call, and checks the request and the answer against the document. A call
// that is wrong itself is not checked, but its answer is.
func (h *harness) send(t *testing.T, c call, wrong bool) *httptest.ResponseRecorder {
	t.Helper()
	target := "http://gateway.test/prod/@connections" + strings.ReplaceAll(c.target, "ID", url.QueryEscape(h.id))
	body := strings.ReplaceAll(c.body, "ID", h.id)
	request := func() *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), c.method, target, strings.NewReader(body))
		r.Header.Set("Content-Type", "text/plain")
		for i := 0; i < len(c.header); i += 2 {
			r.Header.Set(c.header[i], c.header[i+1])
		}
		return r
	}
	checked := request()
	route, path, err := h.router.FindRoute(checked)
	require.NoError(t, err, "%v", c)
	options := &openapi3filter.Options{IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}
	input := &openapi3filter.RequestValidationInput{Request: checked, PathParams: path, Route: route, Options: options}
	if !wrong {
		require.NoError(t, openapi3filter.ValidateRequest(t.Context(), input), "%v", c)
	}
	w := httptest.NewRecorder()
	h.gw.ManagementHandler().ServeHTTP(w, request())
	header := http.Header{}
	for name, values := range w.Header() { // which has names as the service writes them
		header[http.CanonicalHeaderKey(name)] = values
	}
	h.seen[route.Operation.OperationID+" "+fmt.Sprint(w.Code)] = true
	require.NoError(t, openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: w.Code, Header: header, Body: io.NopCloser(bytes.NewReader(w.Body.Bytes())), Options: options,
	}), "%v: %d %v %s", c, w.Code, header, w.Body)
	if response := route.Operation.Responses.Value(fmt.Sprint(w.Code)); len(response.Value.Content) == 0 && w.Code != http.StatusTooManyRequests { // which has a text or none
		require.Empty(t, w.Body.String(), "%v", c)
	}
	return w
}

// harness is a gateway whose answers are checked.
type harness struct {
	router routers.Router
	gw     *gateway.Gateway
	id     string
	seen   map[string]bool // operations, each with a status
	auth   func(*gateway.ManagementCall) error
}

// newHarness returns a gateway with a connection that is in the group a, and a user who is
// not known.
func newHarness(t *testing.T) *harness {
	t.Helper()
	h := &harness{seen: map[string]bool{}}
	_, h.router = load(t)
	srv := gatewaytest.New(t, gateway.WithManagementExtensions(), gateway.WithLogger(slog.New(slog.DiscardHandler)),
		gateway.WithQuotas(gateway.Quotas{GroupsPerConnection: 1, MessageBytes: 1000, StateBytes: 100}),
		gateway.WithManagementAuth(gateway.ManagementAuthFunc(func(_ context.Context, call *gateway.ManagementCall) error {
			if h.auth != nil {
				return h.auth(call)
			}
			return nil
		})))
	h.gw = srv.Gateway
	c := srv.Dial(t)
	h.id = c.ConnectionID()
	return h
}

// Each operation answers as the document says, in order and with each error.
func TestAnswers(t *testing.T) {
	t.Parallel()
	document, _ := load(t)
	h := newHarness(t)
	ndjson := []string{"Content-Type", "application/x-ndjson"}
	for _, c := range []call{
		{"PUT", "/ID/groups/a%2Fb", "", nil},
		{"GET", "/ID/state", "", nil},
		{"PUT", "/ID/state", `{"n":1}`, []string{"If-None-Match", "*"}},
		{"GET", "/ID/state", "", nil},
		{"PUT", "/ID/state", `text`, []string{"If-Match", "*"}},
		{"GET", "/ID/state", "", nil},
		{"GET", "/ID/state", "", []string{"If-None-Match", "*"}},
		{"GET", "/ID/state", "", []string{"If-Match", `"x"`}},
		{"PUT", "/ID/state", "x", []string{"If-Match", `"x"`}},
		{"DELETE", "/ID/state", "", []string{"If-Match", `"x"`}},
		{"GET", "/ID", "", nil},
		{"GET", "", "", nil},
		{"GET", "?limit=1&group=a%2Fb&except=x", "", nil},
		{"GET", "?count=true&user=u", "", nil},
		{"POST", "?id=ID&id=never", "hello", nil},
		{"POST", "", `{"to":{"id":"ID"},"data":"x"}` + "\nwrong\n" + `{"to":{"group":"none","except":["ID"]},"data":"x"}` + "\n", ndjson},
		{"POST", "/ID", "hello", nil},
		{"DELETE", "/ID/state", "", nil},
		{"DELETE", "/ID/groups/a%2Fb", "", nil},
	} {
		w := h.send(t, c, false)
		if slices.Equal(c.header, ndjson) {
			checkLines(t, document, "Message", strings.ReplaceAll(strings.ReplaceAll(c.body, "wrong\n", ""), "ID", h.id))
			require.Equal(t, 3, checkLines(t, document, "Outcome", w.Body.String()))
		}
	}
	verifier := &sigv4.Verifier{Service: "execute-api", Region: sigv4.AnyRegion, Keys: sigv4.StaticKeys(nil)}
	for what, auth := range map[string]func(*gateway.ManagementCall) error{
		"403 forbidden":        func(*gateway.ManagementCall) error { return gateway.ErrForbidden },
		"403 not signed":       func(call *gateway.ManagementCall) error { return verifier.AuthorizeManagement(t.Context(), call) },
		"403 denied":           func(call *gateway.ManagementCall) error { return denied{} },
		"401 not known":        func(*gateway.ManagementCall) error { return unknown{} },
		"500 the check panics": func(*gateway.ManagementCall) error { panic("oh") },
	} {
		h.auth = auth
		for _, c := range everything() {
			require.Equal(t, what[:3], fmt.Sprint(h.send(t, c, false).Code), "%s %v", what, c)
		}
	}
	h.auth = nil

	for _, c := range []call{ // wrong themselves
		{"GET", "?limit=0", "", nil},
		{"POST", "", "x", nil},
		{"DELETE", "?all=true&code=1", "", nil},
		{"GET", "/x", "", nil},
		{"POST", "/x", "", nil},
		{"DELETE", "/x", "", nil},
		{"DELETE", "/ID?code=1002", "", nil},
		{"DELETE", "/ID?x", "", nil},
		{"PUT", "/ID/groups/%00", "", nil},
		{"DELETE", "/ID/groups/%00", "", nil},
		{"PUT", "/x/groups/a", "", nil},
		{"GET", "/ID/state", "", []string{"If-Match", "x"}},
		{"PUT", "/ID/state", "\xff", nil},
		{"DELETE", "/ID/state?x", "", nil},
	} {
		require.Equal(t, 400, h.send(t, c, true).Code, "%v", c)
	}
	for _, c := range everything() {
		c.body = strings.Repeat("x", 1001)
		require.Equal(t, 413, h.send(t, c, true).Code, "%v", c)
	}
	for _, c := range []call{{"PUT", "/ID/groups/a", "", nil}, {"PUT", "/ID/groups/b", "", nil}, {"PUT", "/ID/state", "x", nil}} {
		h.send(t, c, false)
	}
	w := h.send(t, call{"GET", "", "", nil}, false)
	require.Contains(t, w.Body.String(), `"groups":["a"],"state":"x"`)
	require.NoError(t, h.gw.Deploy(gateway.Deployment{DefaultThrottle: gateway.Throttle{RateLimit: 0.001, BurstLimit: 1}}))
	h.send(t, call{"POST", "", "\n", ndjson}, false)
	for _, c := range everything() {
		require.Equal(t, 429, h.send(t, c, false).Code, "%v", c)
	}
	require.NoError(t, h.gw.Deploy(gateway.Deployment{}))
	for _, c := range []call{{"DELETE", "/ID?code=4001&reason=bye&cut=true", "", nil}, {"DELETE", "?id=ID", "", nil}} {
		h.send(t, c, false)
	}
	for _, c := range everything() {
		if strings.HasPrefix(c.target, "/ID") {
			require.Equal(t, 410, h.send(t, c, false).Code, "%v", c)
		}
	}
	require.Equal(t, documented(document), h.seen, "each answer of the document was seen, and no other")
}

// everything has one call of each operation.
func everything() []call {
	return []call{
		{"GET", "", "", nil},
		{"POST", "?all=true", "x", nil},
		{"DELETE", "?all=true", "", nil},
		{"GET", "/ID", "", nil},
		{"POST", "/ID", "x", nil},
		{"DELETE", "/ID?code=4001", "", nil},
		{"PUT", "/ID/groups/a", "", nil},
		{"DELETE", "/ID/groups/a", "", nil},
		{"GET", "/ID/state", "", nil},
		{"PUT", "/ID/state", "x", nil},
		{"DELETE", "/ID/state", "", nil},
	}
}

// documented returns the answers of the document, each as an operation and a status.
func documented(document *openapi3.T) map[string]bool {
	all := map[string]bool{}
	for _, item := range document.Paths.Map() {
		for _, operation := range item.Operations() {
			for status := range operation.Responses.Map() {
				all[operation.OperationID+" "+status] = true
			}
		}
	}
	return all
}

// denied is the refusal of a policy.
type denied struct{}

func (denied) Error() string                       { return "denied" }
func (denied) PublicError() (code, message string) { return "AccessDeniedException", "User: …" }

// unknown is the refusal of a caller whom nobody knows.
type unknown struct{}

func (unknown) Error() string                       { return "unknown" }
func (unknown) PublicError() (code, message string) { return "UnauthorizedException", "Who are you?" }
func (unknown) Unwrap() error                       { return gateway.ErrUnauthorized }

// checkLines checks each line against a schema, and returns how many there are.
func checkLines(t *testing.T, document *openapi3.T, schema, lines string) (n int) {
	t.Helper()
	for line := range strings.Lines(lines) {
		var v any
		require.NoError(t, json.Unmarshal([]byte(line), &v))
		require.NoError(t, document.Components.Schemas[schema].Value.VisitJSON(v), "%s", line)
		n++
	}
	return n
}
