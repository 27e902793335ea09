package managementclient_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/connid"
	"example.com/gateway/managementclient"
)

// tripper is a Transport that counts the requests, and may answer them itself.
type tripper struct {
	next    http.RoundTripper
	answer  func(n int, r *http.Request) *http.Response // nil: ask next
	targets []string
}

func (t *tripper) RoundTrip(r *http.Request) (*http.Response, error) {
	t.targets = append(t.targets, r.Method+" "+r.URL.RequestURI())
	if t.answer != nil {
		if resp := t.answer(len(t.targets), r); resp != nil {
			return resp, nil
		}
	}
	if t.next == nil {
		return nil, errors.New("nobody is there")
	}
	return t.next.RoundTrip(r)
}

func respond(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// open returns a gateway, a client of it and its Transport.
func open(t *testing.T) (*gatewaytest.Server, *managementclient.Client, *tripper) {
	t.Helper()
	srv := gatewaytest.New(t, gateway.WithManagementExtensions())
	trip := &tripper{next: srv.HTTPClient().Transport}
	return srv, &managementclient.Client{Endpoint: srv.ManagementURL() + "/", HTTPClient: &http.Client{Transport: trip}}, trip
}

// A name that a path cannot have is refused before the call: http.ServeMux would redirect
// DELETE …/@connections/{id}/groups/.. to DELETE …/@connections/{id}, and Go's client would
// close the connection.
func TestClient_NamesThatAreSteps(t *testing.T) {
	t.Parallel()
	srv, client, trip := open(t)
	mux := http.NewServeMux()
	mux.Handle("/", srv.ManagementHandler())
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	trip.next = http.DefaultTransport
	client.Endpoint = server.URL + "/prod"
	id, ctx := srv.Dial(t).ConnectionID(), t.Context()
	for _, step := range []string{"", ".", ".."} {
		require.ErrorIs(t, client.Leave(ctx, id, step), gateway.ErrInvalidArgument, "%q", step)
		require.ErrorIs(t, client.Join(ctx, id, step), gateway.ErrInvalidArgument, "%q", step)
		require.ErrorIs(t, client.Leave(ctx, step, "g"), gateway.ErrInvalidArgument, "%q", step)
		require.ErrorIs(t, client.SetState(ctx, step, nil), gateway.ErrInvalidArgument, "%q", step)
		require.ErrorIs(t, client.PostToConnection(ctx, step, nil), gateway.ErrInvalidArgument, "%q", step)
		require.ErrorIs(t, client.DeleteConnection(ctx, step), gateway.ErrInvalidArgument, "%q", step)
		_, err := client.GetConnection(ctx, step)
		require.ErrorIs(t, err, gateway.ErrInvalidArgument, "%q", step)
	}
	require.Empty(t, trip.targets)
	for _, group := range []string{"a/../b", "../", "..."} {
		require.NoError(t, client.Join(ctx, id, group), "%q", group)
		require.NoError(t, client.Leave(ctx, id, group), "%q", group)
	}
	_, err := client.GetConnection(ctx, id)
	require.NoError(t, err, "it is still open")
}

// Many IDs take several calls, whose results are added up. Each connection gets the message
// once.
func TestClient_ManyIDs(t *testing.T) {
	t.Parallel()
	srv, client, trip := open(t)
	c := srv.Dial(t)
	ids := []string{c.ConnectionID(), "left-out"}
	for n := range 450 {
		ids = append(ids, fmt.Sprint("gone-", n))
	}
	ids = append(ids, ids...)
	d, err := client.PostTo(t.Context(), gateway.Connections(ids...).Except("left-out"), []byte("once"))
	require.NoError(t, err)
	require.Equal(t, 1, d.Accepted)
	require.Equal(t, 450, d.Gone)
	require.Len(t, d.Errors, 100)
	for _, err := range d.Errors {
		require.ErrorIs(t, err, gateway.ErrGone)
	}
	require.Len(t, trip.targets, 3)
	n, err := client.Count(t.Context(), gateway.Connections(ids...))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	d, err = client.CloseAll(t.Context(), gateway.Connections(ids...), 4001, "bye")
	require.NoError(t, err)
	require.Equal(t, 1, d.Accepted)
	require.Equal(t, "once", c.Receive())
	code, _ := c.ReceiveClose()
	require.Equal(t, 4001, code)
}

// Nobody has to be said: without parameters, a list would mean everyone. The gateway checks
// everything else of such a call.
func TestClient_Nobody(t *testing.T) {
	t.Parallel()
	srv, client, trip := open(t)
	c := srv.Dial(t)
	for _, nobody := range []gateway.Audience{{}, gateway.Connections(), gateway.Connections().Except("x"), gateway.Connections("x").Except("x"), gateway.Audience{}.Except("x")} {
		d, err := client.PostTo(t.Context(), nobody, []byte("x"))
		require.NoError(t, err)
		require.Equal(t, gateway.Delivery{}, d)
		_, err = client.PostTo(t.Context(), nobody, make([]byte, 128<<10+1))
		require.ErrorIs(t, err, gateway.ErrPayloadTooLarge)
		_, err = client.CloseAll(t.Context(), nobody, 1000, "")
		require.NoError(t, err)
		_, err = client.CloseAll(t.Context(), nobody, 7, "")
		require.ErrorIs(t, err, gateway.ErrInvalidArgument)
		n, err := client.Count(t.Context(), nobody)
		require.NoError(t, err)
		require.Zero(t, n)
		list, next, err := client.List(t.Context(), nobody, gateway.Page{Limit: 7})
		require.NoError(t, err)
		require.Empty(t, list)
		require.Equal(t, gateway.Page{Limit: 7}, next)
		outcomes, err := client.PostBatch(t.Context(), []managementclient.Message{{To: nobody}, {To: gateway.Everyone(), Data: []byte("batch")}})
		require.NoError(t, err)
		require.Zero(t, outcomes[0].Accepted)
		require.Equal(t, 1, outcomes[1].Accepted)
		require.Equal(t, "batch", c.Receive())
	}
	for _, target := range trip.targets {
		require.LessOrEqual(t, len(target), 100, target)
	}
}

// No call has a URL that a proxy would refuse, however many connections an audience names
// or leaves out.
func TestClient_ShortURLs(t *testing.T) {
	t.Parallel()
	srv, client, trip := open(t)
	first, second := srv.Dial(t), srv.Dial(t)
	for _, c := range []*gatewaytest.Client{first, second} {
		require.NoError(t, srv.Join(t.Context(), c.ConnectionID(), "g"))
	}
	others := []string{second.ConnectionID(), "", ""}
	for range 1001 {
		others = append(others, connid.New(7))
	}
	for _, of := range []gateway.Audience{gateway.Connections(append(others, first.ConnectionID())...).Except(second.ConnectionID()), gateway.Group("g").Except(others...), gateway.Everyone().Except(others...)} {
		n, err := client.Count(t.Context(), of)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		var seen []string
		page := gateway.Page{Limit: 1}
		for more := true; more; more = page.After != "" {
			list, next, err := client.List(t.Context(), of, page)
			require.NoError(t, err)
			for _, c := range list {
				seen = append(seen, c.ID)
			}
			page = next
		}
		require.Equal(t, []string{first.ConnectionID()}, seen)
		d, err := client.PostTo(t.Context(), of, []byte("x"))
		require.NoError(t, err)
		require.Equal(t, 1, d.Accepted)
		require.Equal(t, "x", first.Receive())
		_, err = client.PostTo(t.Context(), of, make([]byte, 128<<10+1))
		require.ErrorIs(t, err, gateway.ErrPayloadTooLarge)
		_, _, err = client.List(t.Context(), of, gateway.Page{Limit: -1})
		require.ErrorIs(t, err, gateway.ErrInvalidArgument)
	}
	_, err := client.Count(t.Context(), gateway.Group("").Except(others...))
	require.ErrorIs(t, err, gateway.ErrInvalidArgument)
	_, err = client.PostTo(t.Context(), gateway.User("").Except(others...), nil)
	require.ErrorIs(t, err, gateway.ErrInvalidArgument)
	for _, target := range trip.targets {
		require.Less(t, len(target), 8000-500)
	}
}

func TestClient_PostBatch(t *testing.T) {
	t.Parallel()
	srv, client, trip := open(t)
	c := srv.Dial(t)
	me := gateway.Connections(c.ConnectionID())
	outcomes, err := client.PostBatch(t.Context(), []managementclient.Message{
		{To: me, Data: []byte("one")},
		{To: gateway.Audience{}, Data: []byte("to nobody")},
		{To: gateway.Group(""), Data: []byte("wrong")},
		{To: gateway.Group("\xff"), Data: []byte("wrong, but not in JSON")},
		{To: gateway.Connections("gone"), Data: []byte("x")},
		{To: gateway.Everyone().Except("x"), Data: []byte("a\xffb")},
		{To: me, Data: make([]byte, 128<<10+1)},
	})
	require.NoError(t, err)
	require.Len(t, outcomes, 7)
	require.Equal(t, 1, outcomes[0].Accepted)
	require.Equal(t, managementclient.Outcome{}, outcomes[1])
	require.ErrorIs(t, outcomes[2].Err, gateway.ErrInvalidArgument)
	require.ErrorIs(t, outcomes[3].Err, gateway.ErrInvalidArgument)
	require.Equal(t, 1, outcomes[4].Gone)
	require.ErrorIs(t, outcomes[4].Errors["gone"], gateway.ErrGone)
	require.Equal(t, 1, outcomes[5].Accepted)
	require.ErrorIs(t, outcomes[6].Err, gateway.ErrPayloadTooLarge)
	require.Equal(t, "one", c.Receive())
	require.Equal(t, "a\uFFFDb", c.Receive())
	require.Len(t, trip.targets, 1)

	empty, err := client.PostBatch(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, empty)
}

// More messages than a batch may have take several batches. If one fails, there are the
// outcomes of those before.
func TestClient_PostBatchInParts(t *testing.T) {
	t.Parallel()
	_, client, trip := open(t)
	var many []managementclient.Message
	for range 10_001 {
		many = append(many, managementclient.Message{To: gateway.Group("none")})
	}
	outcomes, err := client.PostBatch(t.Context(), many)
	require.NoError(t, err)
	require.Len(t, outcomes, 10_001)
	require.Len(t, trip.targets, 2)

	var large []managementclient.Message
	for range 20 {
		large = append(large, managementclient.Message{To: gateway.Group("none"), Data: make([]byte, 30_000)}) // 180,000 bytes in JSON
	}
	trip.targets = nil
	outcomes, err = client.PostBatch(t.Context(), large)
	require.NoError(t, err)
	require.Len(t, outcomes, 20)
	require.Len(t, trip.targets, 4)
	for _, o := range outcomes {
		require.NoError(t, o.Err)
	}

	for answer, want := range map[string]int{
		"": 5, // of the first batch
		`{"line":1,"accepted":1,"refused":0,"gone":0,"errors":{},"missing":[]}` + "\n" + `{"line":2,"acc`: 6,
	} {
		trip.targets = nil
		trip.answer = func(n int, _ *http.Request) *http.Response {
			if n == 2 {
				return respond(200, answer)
			}
			return nil
		}
		outcomes, err = client.PostBatch(t.Context(), large)
		require.ErrorContains(t, err, "outcomes for 5 messages")
		require.Len(t, outcomes, want)
	}
}

// An answer that is none of a gateway is an error that says so.
func TestClient_OtherServers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		body   string
		want   string
	}{
		{200, "<html>", "the answer of http://gateway.test cannot be read"},
		{404, "not here", "@connections: 404  not here"},
		{502, "", "@connections: 502"},
	} {
		client := &managementclient.Client{Endpoint: "http://gateway.test", HTTPClient: &http.Client{Transport: &tripper{
			answer: func(int, *http.Request) *http.Response { return respond(tt.status, tt.body) },
		}}}
		_, err := client.Count(t.Context(), gateway.Everyone())
		require.ErrorContains(t, err, tt.want)
		var answer *managementclient.Error
		require.Equal(t, tt.status != 200, errors.As(err, &answer))
		require.NotErrorIs(t, err, gateway.ErrGone)
	}
	_, err := (&managementclient.Client{Endpoint: "http://\x00"}).Count(t.Context(), gateway.Everyone())
	require.ErrorContains(t, err, "managementclient: ")
	_, err = (&managementclient.Client{Endpoint: "http://gateway.test", HTTPClient: &http.Client{Transport: &tripper{}}}).Count(t.Context(), gateway.Everyone())
	require.ErrorContains(t, err, "nobody is there")
}

// Without the option on the gateway there are the three calls of the service.
func TestClient_WithoutExtensions(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	c := srv.Dial(t)
	client := &managementclient.Client{Endpoint: srv.ManagementURL(), HTTPClient: srv.HTTPClient()}
	require.Nil(t, client.PostToConnections(t.Context(), []string{c.ConnectionID(), c.ConnectionID()}, []byte("hi")))
	require.Equal(t, "hi", c.Receive())
	require.Equal(t, "hi", c.Receive())
	_, err := client.PostTo(t.Context(), gateway.Everyone(), nil)
	require.ErrorIs(t, err, gateway.ErrForbidden)
	require.NoError(t, client.DeleteConnection(t.Context(), c.ConnectionID()))
	errs := client.PostToConnections(t.Context(), []string{c.ConnectionID()}, nil)
	require.ErrorIs(t, errs[0], gateway.ErrGone)
}
