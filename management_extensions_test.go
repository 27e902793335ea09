package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/apicall"
	"example.com/gateway/internal/testutil"
)

// asked is an answer of the management handler.
type asked struct {
	status     int
	name, body string
	header     http.Header
}

// manage calls the management handler without a server. header is name and value in turn.
func manage(t *testing.T, gw *gateway.Gateway, method, path, body string, header ...string) asked {
	t.Helper()
	r := httptest.NewRequest(method, "/prod/@connections"+path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	gw.ManagementHandler().ServeHTTP(w, r)
	all := http.Header{}
	for name, values := range w.Header() { // which has names as the service writes them
		all[http.CanonicalHeaderKey(name)] = values
	}
	return asked{w.Code, all.Get("x-amzn-ErrorType"), w.Body.String(), all}
}

const ndjson = "application/x-ndjson"

// extensionCalls are one call of each kind, in which ID is a connection.
func extensionCalls() [][3]string {
	return [][3]string{
		{"GET", "", ""},
		{"GET", "?count=true", ""},
		{"POST", "?all=true", "x"},
		{"DELETE", "?id=ID", ""},
		{"PUT", "/ID/groups/g", ""},
		{"DELETE", "/ID/groups/g", ""},
		{"GET", "/ID/state", ""},
		{"PUT", "/ID/state", "x"},
		{"DELETE", "/ID/state", ""},
	}
}

// Without the option the handler knows the calls of the service, and answers every other
// one as the service does. The log says how to open them.
func TestManagementExtensions_AreClosed(t *testing.T) {
	t.Parallel()
	var log testutil.LockedBuffer
	srv := gatewaytest.New(t, gateway.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	c := srv.Dial(t)
	id := url.PathEscape(c.ConnectionID())
	for n, call := range extensionCalls() {
		a := manage(t, srv.Gateway, call[0], strings.ReplaceAll(call[1], "ID", id), call[2])
		require.Equal(t, 403, a.status, call)
		require.Equal(t, "MissingAuthenticationTokenException", a.name)
		require.Equal(t, `{"message":"Missing Authentication Token"}`, a.body)
		require.Equal(t, n+1, strings.Count(log.String(), "pass WithManagementExtensions to New"), call)
	}
	require.Equal(t, 403, manage(t, srv.Gateway, "POST", "", `{"to":{"all":true},"data":"x"}`, "Content-Type", ndjson).status)
	require.Equal(t, 403, manage(t, srv.Gateway, "POST", "/?all=true", "x").status)
	const unheeded = `level=WARN msg="a connection was closed with 1000, and not as the call says"`
	require.Equal(t, 204, manage(t, srv.Gateway, "DELETE", "/"+url.PathEscape(srv.Dial(t).ConnectionID())+"?x=y", "").status)
	require.NotContains(t, log.String(), unheeded)
	require.Equal(t, 204, manage(t, srv.Gateway, "DELETE", "/"+id+"?code=4001&x=y", "").status, "a query means nothing to the service")
	require.Contains(t, log.String(), unheeded)
	code, reason := c.ReceiveClose()
	require.Equal(t, 1000, code)
	require.Equal(t, "Connection Closed Normally", reason)
}

// With one mount only, a mux redirects a call for an audience to a path that ends in a slash:
// with 307, or before Go 1.26 with 301, after which clients make a GET of a POST. Such a path
// is served, and the log says what to mount. A call without an audience closes nobody.
func TestManagementExtensions_OneMount(t *testing.T) {
	t.Parallel()
	var log testutil.LockedBuffer
	srv := gatewaytest.New(t, gateway.WithManagementExtensions(), gateway.WithStage("prod", nil), gateway.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	c := srv.Dial(t)
	mux := http.NewServeMux()
	mux.Handle("/prod/@connections/", srv.ManagementHandler())
	front := httptest.NewServer(mux)
	t.Cleanup(front.Close)
	ask := func(method, path, body string) int {
		r, err := http.NewRequestWithContext(t.Context(), method, front.URL+"/prod/@connections"+path, strings.NewReader(body))
		require.NoError(t, err)
		resp, err := front.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	require.Equal(t, 200, ask("GET", "/"+url.PathEscape(c.ConnectionID()), ""))
	require.NotContains(t, log.String(), "slash")
	for range 2 {
		require.Equal(t, 200, ask("POST", "/?all=true", "x"))
		require.Equal(t, "x", c.Receive())
	}
	require.Equal(t, 200, ask("GET", "?count=true", ""))
	require.Equal(t, 1, strings.Count(log.String(), "a slash at its end"))
	require.Contains(t, log.String(), `call \"/prod/@connections\", without the slash, and mount ManagementHandler there, too`)
	require.Equal(t, 400, ask("DELETE", "/", ""), "an empty ID")
	require.Equal(t, 400, ask("DELETE", "/?code=4001", ""), "an empty ID")
	require.Equal(t, 403, manage(t, srv.Gateway, "POST", "//?all=true", "x").status)
}

// The three calls of the service answer byte for byte the same with and without the option.
func TestManagementExtensions_LeaveTheServiceAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var all [2][]string
		for i, opts := range [][]gateway.Option{nil, {gateway.WithManagementExtensions()}} {
			srv := gatewaytest.New(t, opts...)
			c := srv.Dial(t)
			id := url.PathEscape(c.ConnectionID())
			for _, call := range [][3]string{
				{"GET", "/ID", ""},
				{"GET", "/ID?x=y", ""},
				{"POST", "/ID", "x"},
				{"POST", "/ID?group=g", "x"},
				{"POST", "/ID", strings.Repeat("x", 131073)},
				{"GET", "/x", ""},
				{"PUT", "/ID", ""},
				{"PATCH", "", ""},
				{"PUT", "", ""},
				{"PATCH", "/", ""},
				{"PUT", "/", ""},
				{"GET", "/ID/", ""},
				{"GET", "/ID/x", ""},
				{"POST", "/ID/state", ""},
				{"GET", "/ID/groups/g", ""},
				{"GET", "/ID/groups", ""},
				{"PUT", "/ID/groups/", ""},
				{"DELETE", "/ID", ""},
				{"DELETE", "/ID", ""},
				{"GET", "/ID", ""},
				{"POST", "/ID", "x"},
			} {
				a := manage(t, srv.Gateway, call[0], strings.ReplaceAll(call[1], "ID", id), call[2])
				for _, own := range []string{"x-amzn-RequestId", "x-amz-apigw-id", "X-Amzn-Trace-Id"} {
					if a.header.Get(own) != "" {
						a.header.Set(own, "there")
					}
				}
				all[i] = append(all[i], fmt.Sprintln(call[:2], a))
			}
		}
		require.Equal(t, all[0], all[1])
	})
}

// GetConnection has the three members of the service, whatever the connection has. Only with
// the option it tells the rest, and only to who may list the connection.
func TestManagementExtensions_GetConnection(t *testing.T) {
	t.Parallel()
	const (
		ofService = `{"identity":{"sourceIp":"192.0.2.1","userAgent":"test"},"connectedAt":"2000-01-01T00:00:00.000Z","lastActiveAt":"2000-01-01T00:00:00.000Z"}`
		everyone  = `{"identity":{"sourceIp":"192.0.2.1","userAgent":"test"},"connectedAt":"2000-01-01T00:00:00.000Z","lastActiveAt":"2000-01-01T00:00:00.000Z","principalId":"ann","groups":["room"],"state":"secret"}`
	)
	asks := func(allow func(*gateway.ManagementCall) bool) gateway.Option {
		return gateway.WithManagementAuth(gateway.ManagementAuthFunc(func(_ context.Context, call *gateway.ManagementCall) error {
			if call.Action == gateway.ActionGetConnection || allow(call) {
				return nil
			}
			return gateway.ErrForbidden
		}))
	}
	for name, tt := range map[string]struct {
		opts []gateway.Option
		want string
	}{
		"the default":            {nil, ofService},
		"an auth without a look": {[]gateway.Option{asks(func(*gateway.ManagementCall) bool { return true })}, ofService},
		"open":                   {[]gateway.Option{gateway.WithManagementExtensions()}, everyone},
		"calls of the service":   {[]gateway.Option{gateway.WithManagementExtensions(), asks(func(*gateway.ManagementCall) bool { return false })}, ofService},
		"an auth that panics":    {[]gateway.Option{gateway.WithManagementExtensions(), asks(func(*gateway.ManagementCall) bool { panic("no") })}, ofService},
		"one that ends its goroutine": {[]gateway.Option{gateway.WithManagementExtensions(), asks(func(*gateway.ManagementCall) bool {
			runtime.Goexit()
			return true
		})}, ofService},
		"a list of the connection": {[]gateway.Option{gateway.WithManagementExtensions(), asks(func(call *gateway.ManagementCall) bool {
			return call.Action == gateway.ActionList && len(call.Audience.Query()["id"]) == 1 && call.ConnectionID == "" && string(call.Body) == "body"
		})}, everyone},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := gatewaytest.New(t, tt.opts...)
			srv.Handle("$connect", &gateway.MockIntegration{}, gateway.WithAuthorizer(principalOfQuery()))
			c := srv.Dial(t, gatewaytest.Query("who", "ann"), gatewaytest.SourceIP("192.0.2.1"), gatewaytest.Header("User-Agent", "test"))
			require.NoError(t, srv.Join(t.Context(), c.ConnectionID(), "room"))
			require.NoError(t, srv.SetState(t.Context(), c.ConnectionID(), []byte("secret")))
			a := manage(t, srv.Gateway, "GET", "/"+url.PathEscape(c.ConnectionID()), "body")
			require.Equal(t, 200, a.status, name)
			require.Equal(t, tt.want, a.body, name)
		})
	}
}

// What is wrong is answered with 400, and with the name of the field.
func TestManagementExtensions_BadInput(t *testing.T) {
	t.Parallel()
	var log testutil.LockedBuffer
	srv := gatewaytest.New(t, gateway.WithManagementExtensions(), gateway.WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
		gateway.WithQuotas(gateway.Quotas{MessageBytes: 10, StateBytes: 10, GroupsPerConnection: 1}))
	c := srv.Dial(t)
	require.NoError(t, srv.Join(t.Context(), c.ConnectionID(), "g"))
	id := url.PathEscape(c.ConnectionID())
	for _, tt := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "", "x", 400, "Invalid audience: there is none: name it with id, group, user, all or none"},
		{"DELETE", "", "", 400, "Invalid audience: there is none: name it with id, group, user, all or none"},
		{"POST", "?group=g&user=u", "x", 400, "Invalid user: the audience is named by group already: use one of the two"},
		{"POST", "?group=g&group=g", "x", 400, "Invalid group: it is given 2 times"},
		{"POST", "?group=", "x", 400, "Invalid group: the name is empty: use 1 to 128 bytes of UTF-8 without control characters"},
		{"POST", "?group=a%0Ab", "x", 400, "Invalid group: the name has a control character: use 1 to 128 bytes of UTF-8 without control characters"},
		{"POST", "?user=", "x", 400, "Invalid user: the principal ID is empty: name the user, or use Everyone for all connections"},
		{"POST", "?all=true&code=4001", "x", 400, `Invalid query: this call has the parameters group, user, id, all, none, except, binary, and not: "code"`},
		{"POST", "?all=%zz", "x", 400, "Invalid query: a % in the query is not followed by two hexadecimal digits"},
		{"GET", "?secret=1", "", 400, `Invalid query: this call has the parameters group, user, id, all, none, except, count, limit, after, and not: "secret"`},
		{"GET", "?limit=1001", "", 400, `Invalid limit: it is not a whole number from 1 to 1000: "1001"`},
		{"GET", "?after=secret", "", 400, `Invalid after: it is not a cursor: use Page.After as List returned it, or "" for the beginning of the list`},
		{"DELETE", "?all=true&code=1005", "", 400, "Invalid code: a Close frame must not have 1005: use 1000, 1001, 1008, 1011 to 1014, or a code of your own from 4000 to 4999 (3000 to 3999 are registered)"},
		{"DELETE", "?all=true&code=secret", "", 400, `Invalid code: it is not a whole number from 1000 to 4999: "secret"`},
		{"DELETE", "?all=true&reason=" + strings.Repeat("x", 124), "", 400, "Invalid reason: it has 124 bytes: a Close frame has room for 123"},
		{"DELETE", "/" + id + "?reason=%ff", "", 400, "Invalid reason: it is not valid UTF-8, as a Close frame needs it"},
		{"DELETE", "/" + id + "?cod=4001", "", 400, `Invalid query: this call has the parameters code, reason, cut, and not: "cod"`},
		{"DELETE", "/" + id + "?all=true", "", 400, `Invalid query: this call has the parameters code, reason, cut, and not: "all"`},
		{"DELETE", "/x?code=4001", "", 400, "Invalid connectionId: x"},
		{"PUT", "/x/groups/g", "", 400, "Invalid connectionId: x"},
		{"GET", "/x/state", "", 400, "Invalid connectionId: x"},
		{"PUT", "/" + id + "/groups/" + strings.Repeat("x", 129), "", 400, "Invalid group: the name has 129 bytes: use 1 to 128 bytes of UTF-8 without control characters"},
		{"PUT", "/" + id + "/groups/..", "", 400, "Invalid group: the name is . or .., which servers and proxies take out of the path of a URL: use another name"},
		{"DELETE", "/" + id + "/groups/%2E%2E", "", 400, "Invalid group: the name is . or .., which servers and proxies take out of the path of a URL: use another name"},
		{"POST", "?group=.", "x", 400, "Invalid group: the name is . or .., which servers and proxies take out of the path of a URL: use another name"},
		{"PUT", "/" + id + "/groups/%ff", "", 400, "Invalid group: the name is not valid UTF-8: use 1 to 128 bytes of UTF-8 without control characters"},
		{"PUT", "/" + id + "/groups/g?x", "", 400, `Invalid query: this call has no parameters, and not: "x"`},
		{"PUT", "/" + id + "/groups/h", "", 429, "limit exceeded: the connection is in 1 groups: let it leave one, or raise Quotas.GroupsPerConnection"},
		{"PUT", "/" + id + "/state", "\xff", 400, "Invalid state: it is not valid UTF-8: encode other bytes as text, for example in base64"},
		{"PUT", "/" + id + "/state", "12345678901", 413, "payload too large: the body is above 10 bytes"},
		{"POST", "?all=true", "12345678901", 413, "payload too large: the body is above 10 bytes"},
		{"POST", "?all=true", "\xff\xff\xff\xff", 413, "payload too large: 12 bytes, quota 10"},
	} {
		a := manage(t, srv.Gateway, tt.method, tt.path, tt.body)
		require.Equal(t, tt.status, a.status, "%s %s: %s", tt.method, tt.path, a.body)
		var body map[string]string
		require.NoError(t, json.Unmarshal([]byte(a.body), &body), a.body)
		require.Equal(t, map[string]string{"message": tt.want}, body)
		require.Equal(t, map[int]string{400: "BadRequestException", 413: "PayloadTooLargeException", 429: "LimitExceededException"}[tt.status], a.name)
	}
	require.NotContains(t, log.String(), "secret", "the log has nothing of a query")
	require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte("end")))
	require.Equal(t, "end", c.Receive(), "nothing was posted, and nothing closed")
	list, _, err := srv.List(t.Context(), gateway.Group("g"), gateway.Page{})
	require.NoError(t, err)
	require.Equal(t, []string{"g"}, list[0].Groups)
	require.Empty(t, list[0].State)
}

func TestManagementExtensions_CloseOne(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"code=4001&reason=logged%20out": "4001 logged out",
		"code=4001":                     "4001 ",
		"reason=bye":                    "1000 bye",
		"X-Amz-Signature=x":             "1000 Connection Closed Normally",
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t, gateway.WithManagementExtensions())
			srv.HandleFunc("$disconnect", answerNothing)
			c := srv.Dial(t)
			path := "/" + url.PathEscape(c.ConnectionID()) + "?" + query
			a := manage(t, srv.Gateway, "DELETE", path, "")
			require.Equal(t, 204, a.status, a.body)
			require.Empty(t, a.body)
			code, reason := c.ReceiveClose()
			require.Equal(t, want, fmt.Sprint(code, " ", reason))
			e := srv.WaitDisconnect(c.ConnectionID())
			require.Equal(t, want, fmt.Sprint(e.DisconnectStatusCode, " ", e.DisconnectReason))
			a = manage(t, srv.Gateway, "DELETE", path, "")
			require.Equal(t, 410, a.status)
			require.Equal(t, "GoneException", a.name)
		})
	}
}

// The conditions of RFC 9110 decide whether a state is sent or replaced.
func TestManagementExtensions_State(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithManagementExtensions())
	c := srv.Dial(t)
	path := "/" + url.PathEscape(c.ConnectionID()) + "/state"
	one, two := apicall.ETag([]byte(`{"n":1}`)), apicall.ETag([]byte("two"))
	for _, tt := range []struct {
		method, body string
		header       []string
		status       int
		want, tag    string
	}{
		{"GET", "", nil, 204, "", ""},
		{"GET", "", []string{"If-None-Match", "*"}, 204, "", ""},
		{"GET", "", []string{"If-Match", "*"}, 412, "", ""},
		{"PUT", "x", []string{"If-Match", "*"}, 412, "", ""},
		{"PUT", `{"n":1}`, []string{"If-None-Match", "*"}, 204, "", one},
		{"PUT", "x", []string{"If-None-Match", "*"}, 412, "", ""},
		{"GET", "", nil, 200, `{"n":1}`, one},
		{"GET", "", []string{"If-None-Match", one}, 304, "", one},
		{"GET", "", []string{"If-None-Match", two}, 200, `{"n":1}`, one},
		{"GET", "", []string{"If-Match", two}, 412, "", one},
		{"PUT", "two", []string{"If-Match", two}, 412, "", ""},
		{"PUT", "two", []string{"If-Match", "W/" + one}, 412, "", ""},
		{"PUT", "two", []string{"If-Match", two, "If-Match", one}, 204, "", two},
		{"PUT", "two", []string{"If-Match", "*"}, 204, "", two},
		{"GET", "", nil, 200, "two", two},
		{"PUT", "x", []string{"If-None-Match", two}, 412, "", ""},
		{"PUT", "x", []string{"If-Match", "two"}, 400, "", ""},
		{"DELETE", "", []string{"If-Match", one}, 412, "", ""},
		{"DELETE", "ignored", []string{"If-Match", two}, 204, "", ""},
		{"DELETE", "", nil, 204, "", ""},
		{"GET", "", nil, 204, "", ""},
		{"PUT", "", nil, 204, "", ""},
	} {
		a := manage(t, srv.Gateway, tt.method, path, tt.body, tt.header...)
		require.Equal(t, tt.status, a.status, "%v %s", tt, a.body)
		if tt.status < 400 {
			require.Equal(t, tt.want, a.body)
		}
		require.Equal(t, tt.tag, a.header.Get("ETag"), "%v", tt)
		if tt.status == 412 {
			require.Equal(t, "PreconditionFailedException", a.name)
		}
	}
	for state, contentType := range map[string]string{`{"n":1}`: "application/json", "two": "text/plain; charset=utf-8"} {
		require.NoError(t, srv.SetState(t.Context(), c.ConnectionID(), []byte(state)))
		require.Equal(t, []string{contentType}, manage(t, srv.Gateway, "GET", path, "").header["Content-Type"])
	}
}

// Of many that replace the same state at the same time, exactly one does it at a time.
func TestManagementExtensions_StateRaces(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithManagementExtensions())
	id := srv.Dial(t).ConnectionID()
	const workers, each = 4, 25
	var wg sync.WaitGroup
	errs := make(chan error, workers)
	for range workers {
		wg.Go(func() {
			for range each {
				for {
					c, err := srv.Management().GetConnection(t.Context(), id)
					if err != nil {
						errs <- err
						return
					}
					n, _ := strconv.Atoi(string(c.State))
					err = srv.Management().SetState(t.Context(), id, []byte(strconv.Itoa(n+1)), gateway.IfState(c.State))
					if err == nil {
						break
					}
					if !errors.Is(err, gateway.ErrConflict) {
						errs <- err
						return
					}
				}
			}
		})
	}
	wg.Wait()
	require.Empty(t, errs)
	c, err := srv.GetConnection(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(workers*each), string(c.State))
}

// Each line of a batch has its own outcome, in order. A bad one does not hinder the others.
func TestManagementExtensions_Batch(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithManagementExtensions(), gateway.WithQuotas(gateway.Quotas{MessageBytes: 10}))
	a, b := srv.Dial(t), srv.Dial(t)
	require.NoError(t, srv.Join(t.Context(), b.ConnectionID(), "g"))
	gone := srv.Dial(t).ConnectionID()
	require.NoError(t, srv.DeleteConnection(t.Context(), gone))
	lines := strings.NewReplacer("A", a.ConnectionID(), "GONE", gone).Replace(`{"to":{"id":"A"},"data":"one"}
nonsense
{"to":{"id":"GONE"},"data":"two"}

{"to":{"group":""},"data":"three"}
{"to":{"group":"g"},"data":"four"}
{"to":{"all":true},"data":"12345678901"}
{"to":{"all":true,"except":["A"]},"data":"five"}
{"to":{"all":true},"data":"six"}`)
	answer := manage(t, srv.Gateway, "POST", "", lines, "Content-Type", "application/x-ndjson; charset=utf-8")
	require.Equal(t, 200, answer.status)
	require.Equal(t, []string{ndjson}, answer.header["Content-Type"])
	require.Equal(t, strings.ReplaceAll(`{"line":1,"accepted":1,"refused":0,"gone":0,"errors":{},"missing":[]}
{"line":2,"error":{"type":"BadRequestException","message":"Invalid line: invalid character 'o' in literal null (expecting 'u')"}}
{"line":3,"accepted":0,"refused":0,"gone":1,"errors":{"GONE":{"type":"GoneException","message":"The connection is gone, or not open yet"}},"missing":[]}
{"line":5,"error":{"type":"BadRequestException","message":"Invalid to.group: the name is empty: use 1 to 128 bytes of UTF-8 without control characters"}}
{"line":6,"accepted":1,"refused":0,"gone":0,"errors":{},"missing":[]}
{"line":7,"error":{"type":"PayloadTooLargeException","message":"payload too large: 11 bytes, quota 10"}}
{"line":8,"accepted":1,"refused":0,"gone":0,"errors":{},"missing":[]}
{"line":9,"accepted":2,"refused":0,"gone":0,"errors":{},"missing":[]}
`, "GONE", gone), answer.body)
	require.Equal(t, "one", a.Receive())
	require.Equal(t, "six", a.Receive())
	for _, want := range []string{"four", "five", "six"} {
		require.Equal(t, want, b.Receive())
	}

	line := `{"to":{"id":"x"},"data":""}` + "\n"
	for body, want := range map[string]int{
		"": 200, "\n \n": 200, strings.Repeat(line, 10_000): 200, strings.Repeat(line, 10_001): 413,
		strings.Repeat(" ", 1<<20): 200, strings.Repeat(" ", 1<<20+1): 413,
	} {
		require.Equal(t, want, manage(t, srv.Gateway, "POST", "", body, "Content-Type", ndjson).status)
	}
	answer = manage(t, srv.Gateway, "POST", "?all=true", line, "Content-Type", ndjson)
	require.Equal(t, 400, answer.status)
	require.Equal(t, `{"message":"Invalid query: this call has no parameters, and not: \"all\""}`, answer.body)
}

// A batch is no way around the throttle: each line takes a token, as a call does. A message
// to an audience is one call.
func TestManagementExtensions_Throttle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithManagementExtensions())
		c := srv.Dial(t)
		require.NoError(t, srv.Deploy(gateway.Deployment{DefaultThrottle: gateway.Throttle{RateLimit: 1, BurstLimit: 3}}))
		line := `{"to":{"all":true},"data":"x"}` + "\n"
		answer := manage(t, srv.Gateway, "POST", "", strings.Repeat(line, 5), "Content-Type", ndjson)
		require.Equal(t, 200, answer.status)
		outcomes := strings.Split(strings.TrimSpace(answer.body), "\n")
		require.Len(t, outcomes, 5)
		for n, outcome := range outcomes {
			if n < 3 {
				require.Contains(t, outcome, `"accepted":1`)
				require.Equal(t, "x", c.Receive())
			} else {
				require.Equal(t, fmt.Sprintf(`{"line":%d,"error":{"type":"TooManyRequestsException","message":"Too Many Requests"}}`, n+1), outcome)
			}
		}
		for _, call := range append(extensionCalls(), [3]string{"DELETE", "/ID?code=4001", ""}) {
			a := manage(t, srv.Gateway, call[0], strings.ReplaceAll(call[1], "ID", url.PathEscape(c.ConnectionID())), call[2])
			require.Equal(t, 429, a.status, call)
			require.Equal(t, "TooManyRequestsException", a.name)
		}
		time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
		require.Equal(t, 200, manage(t, srv.Gateway, "POST", "?all=true", "y").status)
		require.Equal(t, "y", c.Receive())
	})
}

// The ManagementAuth knows of each call what it is about, and refuses it before anything
// happens. One that was written for the service can refuse all others.
func TestManagementExtensions_Auth(t *testing.T) {
	t.Parallel()
	var calls []gateway.ManagementCall
	srv := gatewaytest.New(t, gateway.WithManagementExtensions(), gateway.WithManagementAuth(
		gateway.ManagementAuthFunc(func(_ context.Context, call *gateway.ManagementCall) error {
			calls = append(calls, *call)
			if !call.Action.IsExtension() {
				return nil
			}
			return gateway.ErrForbidden
		})))
	c := srv.Dial(t)
	id := url.PathEscape(c.ConnectionID())
	for _, tt := range []struct {
		call     [3]string
		action   gateway.ManagementAction
		audience string
		group    string
	}{
		{[3]string{"GET", "", ""}, gateway.ActionList, "all=true", ""},
		{[3]string{"GET", "?count=true&user=u", ""}, gateway.ActionCount, "user=u", ""},
		{[3]string{"POST", "?group=g&except=x", "hi"}, gateway.ActionPostTo, "except=x&group=g", ""},
		{[3]string{"DELETE", "?id=x&id=y", ""}, gateway.ActionCloseAll, "id=x&id=y", ""},
		{[3]string{"PUT", "/ID/groups/g%2F", ""}, gateway.ActionJoin, "", "g/"},
		{[3]string{"DELETE", "/ID/groups/g", ""}, gateway.ActionLeave, "", "g"},
		{[3]string{"GET", "/ID/state", ""}, gateway.ActionGetState, "", ""},
		{[3]string{"PUT", "/ID/state", "s"}, gateway.ActionSetState, "", ""},
		{[3]string{"DELETE", "/ID/state", ""}, gateway.ActionSetState, "", ""},
	} {
		calls = nil
		a := manage(t, srv.Gateway, tt.call[0], strings.ReplaceAll(tt.call[1], "ID", id), tt.call[2])
		require.Equal(t, 403, a.status, tt.call)
		require.Equal(t, "ForbiddenException", a.name)
		require.Len(t, calls, 1)
		require.Equal(t, tt.action, calls[0].Action)
		require.Equal(t, tt.audience, calls[0].Audience.Query().Encode())
		require.Equal(t, tt.group, calls[0].Group)
		require.Equal(t, tt.call[2], string(calls[0].Body))
		if strings.HasPrefix(tt.call[1], "/ID") {
			require.Equal(t, c.ConnectionID(), calls[0].ConnectionID)
		} else {
			require.Empty(t, calls[0].ConnectionID)
		}
	}
	calls = nil
	require.Equal(t, 403, manage(t, srv.Gateway, "POST", "", `{"to":{"all":true},"data":"x"}`, "Content-Type", ndjson).status)
	require.Equal(t, gateway.ActionPostBatch, calls[0].Action)
	require.Equal(t, `{"to":{"all":true},"data":"x"}`, string(calls[0].Body))
	require.Equal(t, 400, manage(t, srv.Gateway, "GET", "?limit=x", "").status)
	require.Len(t, calls, 1, "a call that is wrong is refused before that, as one with an invented ID")

	require.Equal(t, 200, manage(t, srv.Gateway, "POST", "/"+id, "hi").status)
	require.Equal(t, "hi", c.Receive(), "the first message: nothing was posted before")
	require.Equal(t, 204, manage(t, srv.Gateway, "DELETE", "/"+id+"?code=4001", "").status, "who may close it may say why")
}

// FuzzManagementExtensions calls the handler with any method, path, body and content type.
// It never panics, answers are of the service's form, and nothing happens without
// permission.
func FuzzManagementExtensions(f *testing.F) {
	for _, call := range extensionCalls() {
		f.Add(call[0], call[1], call[2], "", true)
		f.Add(call[0], call[1], call[2], `"x"`, false)
	}
	f.Add("POST", "", `{"to":{"id":"ID"},"data":"x"}`, ndjson, true)
	f.Add("GET", "?after=ID&limit=1&except=ID", "", "*", true)
	f.Fuzz(func(t *testing.T, method, path, body, header string, admit bool) {
		srv := gatewaytest.New(t, gateway.WithManagementExtensions(), gateway.WithLogger(slog.New(slog.DiscardHandler)),
			gateway.WithManagementAuth(gateway.ManagementAuthFunc(func(context.Context, *gateway.ManagementCall) error {
				if admit {
					return nil
				}
				return gateway.ErrForbidden
			})))
		c := srv.Dial(t)
		r, err := http.NewRequest(method, "http://x/@connections"+strings.ReplaceAll(path, "ID", url.PathEscape(c.ConnectionID())), strings.NewReader(strings.ReplaceAll(body, "ID", c.ConnectionID())))
		if err != nil {
			return
		}
		r.Header = http.Header{"Content-Type": {header}, "If-Match": {header}}
		if header == ndjson {
			r.Header.Del("If-Match")
		}
		w := httptest.NewRecorder()
		srv.ManagementHandler().ServeHTTP(w, r)
		require.Contains(t, []int{200, 204, 304, 400, 403, 410, 412, 413, 429}, w.Code, w.Body)
		if w.Code >= 400 && w.Body.Len() > 0 {
			var answer map[string]string
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
			require.NotEmpty(t, answer["message"])
		}
		if !admit {
			require.GreaterOrEqual(t, w.Code, 400)
			got, err := srv.GetConnection(t.Context(), c.ConnectionID())
			require.NoError(t, err)
			require.Empty(t, got.Groups)
			require.Empty(t, got.State)
			require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte("end")))
			require.Equal(t, "end", c.Receive(), "nothing else was sent")
		}
	})
}

// A binary message is asked for by binary=true, and in a batch by "binary":true with
// base64. A gateway without binary messages refuses both.
func TestManagementExtensions_Binary(t *testing.T) {
	t.Parallel()
	line := `{"to":{"all":true},"data":"/wA=","binary":true}`
	srv := gatewaytest.New(t, gateway.WithManagementExtensions(), gateway.WithBinaryMessages())
	c := srv.Dial(t)
	require.Equal(t, 200, manage(t, srv.Gateway, "POST", "?all=true&binary=true", "\xff\x00").status)
	require.Equal(t, []byte("\xff\x00"), c.ReceiveBinary())
	require.Contains(t, manage(t, srv.Gateway, "POST", "", line, "Content-Type", ndjson).body, `"accepted":1`)
	require.Equal(t, []byte("\xff\x00"), c.ReceiveBinary())
	_, err := srv.Management().PostTo(t.Context(), gateway.Everyone(), []byte("\xfe"), gateway.Binary())
	require.NoError(t, err)
	require.Equal(t, []byte("\xfe"), c.ReceiveBinary())

	srv = gatewaytest.New(t, gateway.WithManagementExtensions())
	a := manage(t, srv.Gateway, "POST", "?all=true&binary=true", "\xff")
	require.Equal(t, 400, a.status)
	require.Contains(t, a.body, "Invalid binary: the gateway has no binary messages")
	require.Contains(t, manage(t, srv.Gateway, "POST", "", line, "Content-Type", ndjson).body, "Invalid binary: the gateway has no binary messages")
	_, err = srv.Management().PostTo(t.Context(), gateway.Everyone(), []byte("\xfe"), gateway.Binary())
	require.ErrorIs(t, err, gateway.ErrInvalidArgument)
}

// A page of another origin posts to nobody, although everybody may call: it needs no ID.
func TestManagementExtensions_OfPages(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithManagementExtensions())
	c := srv.Dial(t)
	for _, tt := range []struct {
		header []string
		status int
	}{
		{nil, 200}, // no browser
		{[]string{"Sec-Fetch-Site", "same-origin", "Origin", "http://example.com"}, 200},
		{[]string{"Origin", "http://example.com"}, 200},
		{[]string{"Sec-Fetch-Site", "none"}, 200}, // typed by the user
		{[]string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		{[]string{"Sec-Fetch-Site", "same-site"}, 403},
		{[]string{"Origin", "https://evil.example"}, 403},
		{[]string{"Origin", "null"}, 403},
	} {
		for _, call := range extensionCalls() {
			if call[0] == "GET" || call[0] == "DELETE" && call[1] == "?id=ID" {
				continue
			}
			a := manage(t, srv.Gateway, call[0], strings.ReplaceAll(call[1], "ID", url.PathEscape(c.ConnectionID())), call[2], tt.header...)
			require.Equal(t, tt.status == 403, a.status == 403, "%v %v: %s", tt, call, a.body)
			if tt.status == 403 {
				require.Equal(t, "ForbiddenException", a.name)
			}
		}
		batch := manage(t, srv.Gateway, "POST", "", `{"to":{"all":true},"data":"y"}`, append([]string{"Content-Type", ndjson}, tt.header...)...)
		require.Equal(t, tt.status, batch.status)
		if tt.status == 200 {
			require.Equal(t, "x", c.Receive())
			require.Equal(t, "y", c.Receive())
		}
	}
	require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte("end")))
	require.Equal(t, "end", c.Receive())
}
