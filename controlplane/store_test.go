package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var errStop = errors.New("stop")

// keysIn returns all keys that start with prefix.
func keysIn(t *testing.T, s Store, prefix string) (all []string) {
	t.Helper()
	require.NoError(t, s.View(func(r Reader) (err error) {
		all, _, err = r.List(prefix, "", 0)
		return err
	}))
	return all
}

// The store in memory does what Store says.
func TestMemory(t *testing.T) {
	t.Parallel()
	s := newMemory()
	value := []byte("1")
	require.NoError(t, s.Update(func(w Writer) error {
		for _, key := range []string{"a/prod", "a/prod2", "a/prod/x", "a/prod-", "b", "a/prod/x/y"} {
			require.NoError(t, w.Put(key, value))
		}
		got, err := w.Get("b")
		require.Equal(t, "1", string(got))
		return err
	}))
	value[0] = '2' // the store has a copy
	all := []string{"a/prod", "a/prod-", "a/prod/x", "a/prod/x/y", "a/prod2"}
	require.Equal(t, all, keysIn(t, s, "a/"))
	require.NoError(t, s.View(func(r Reader) error {
		keys, values, err := r.List("a/", "a/prod", 2)
		require.Equal(t, []string{"a/prod-", "a/prod/x"}, keys)
		require.Equal(t, [][]byte{[]byte("1"), []byte("1")}, values)
		none, err2 := r.Get("c")
		require.Nil(t, none)
		return errors.Join(err, err2)
	}))
	change := func(w Writer) {
		require.NoError(t, w.Delete("a/prod/"))
		require.NoError(t, w.Put("a/new", []byte("3")))
		require.NoError(t, w.Put("b", []byte("3")))
		require.NoError(t, w.Delete("b"))
		require.NoError(t, w.Delete("nothing"))
	}
	require.ErrorIs(t, s.Update(func(w Writer) error { change(w); return errStop }), errStop)
	require.Panics(t, func() { _ = s.Update(func(w Writer) error { change(w); panic(errStop) }) })
	require.Equal(t, append(all, "b"), keysIn(t, s, ""))
	require.NoError(t, s.Update(func(w Writer) error { change(w); return nil }))
	require.Equal(t, []string{"a/new", "a/prod", "a/prod-", "a/prod2"}, keysIn(t, s, ""))
	require.NoError(t, s.Update(func(w Writer) error { return w.Delete("a/prod") }))
	require.Equal(t, []string{"a/new", "a/prod-", "a/prod2"}, keysIn(t, s, ""))
	require.NoError(t, s.Close())
}

// A list has the documents of one collection, and nothing below them.
func TestListDocuments(t *testing.T) {
	t.Parallel()
	s := newMemory()
	require.NoError(t, s.Update(func(w Writer) error {
		for n := range 150 {
			id := fmt.Sprintf("x/%03d", n)
			for _, key := range []string{id, id + "-", id + "/below/1", id + "/below/2"} {
				if err := w.Put(key, []byte("{}")); err != nil {
					return err
				}
			}
		}
		return w.Put("xx/1", []byte("{}"))
	}))
	require.NoError(t, s.View(func(r Reader) error {
		all, err := listDocuments(r, "x", "", 0)
		require.Len(t, all, 300)
		require.Equal(t, "000-", all[1].id())
		some, err2 := listDocuments(r, "x", "149", 5)
		require.Len(t, some, 1)
		two, err3 := listDocuments(r, "x", "000", 2)
		require.Equal(t, []string{"000-", "001"}, []string{two[0].id(), two[1].id()})
		return errors.Join(err, err2, err3)
	}))
}

// counting counts what List returns.
type counting struct {
	Reader
	listed int
}

func (c *counting) List(prefix, after string, limit int) ([]string, [][]byte, error) {
	keys, values, err := c.Reader.List(prefix, after, limit)
	c.listed += len(keys)
	return keys, values, err
}

// A list reads little of what is below its documents, and many documents at once if there
// is nothing below them.
func TestListDocuments_ReadsLittle(t *testing.T) {
	t.Parallel()
	const documents = 100
	for below, most := range map[int]int{0: documents + 200, 50: 2 * documents} {
		s := newMemory()
		require.NoError(t, s.Update(func(w Writer) error {
			for n := range documents {
				id := fmt.Sprintf("x/%03d", n)
				if err := w.Put(id, []byte("{}")); err != nil {
					return err
				}
				for m := range below {
					if err := w.Put(fmt.Sprintf("%s/below/%d", id, m), []byte("{}")); err != nil {
						return err
					}
				}
			}
			return nil
		}))
		require.NoError(t, s.View(func(r Reader) error {
			c := &counting{Reader: r}
			all, err := listDocuments(c, "x", "", 0)
			require.Len(t, all, documents)
			require.LessOrEqual(t, c.listed, most, "%d below each", below)
			return err
		}))
	}
}

// broken is a Store whose calls fail from some moment on.
type broken struct {
	*memory
	mu   sync.Mutex
	fail bool
}

func (b *broken) set(fail bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = fail
}

func (b *broken) failed() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail {
		return errStop
	}
	return nil
}

func (b *broken) View(f func(Reader) error) error {
	if err := b.failed(); err != nil {
		return err
	}
	return b.memory.View(f)
}

func (b *broken) Update(f func(Writer) error) error {
	return b.memory.Update(func(w Writer) error { return errors.Join(f(w), b.failed()) })
}

// serve answers one request.
func serve(t *testing.T, s *Server, method, path, body string) (status int, text string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "/v2"+path, strings.NewReader(body))
	r.RemoteAddr, r.Host = "127.0.0.1:1", "localhost"
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// A store that fails is a 500 without its text, and nothing has changed.
func TestServer_StoreFails(t *testing.T) {
	t.Parallel()
	store := &broken{memory: newMemory()}
	s, err := New(Config{Store: store})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Shutdown(context.Background())) })
	store.set(true)
	for _, method := range []string{"GET", "POST"} {
		status, text := serve(t, s, method, "/apis", `{"name":"n","protocolType":"WEBSOCKET","routeSelectionExpression":"$request.body.a"}`)
		require.Equal(t, 500, status)
		require.JSONEq(t, `{"message":"Internal server error"}`, text)
	}
	_, err = New(Config{Store: store})
	require.ErrorIs(t, err, errStop)
	store.set(false)
	_, text := serve(t, s, "GET", "/apis", "")
	require.JSONEq(t, `{"items":[]}`, text)
}

// A server has the stages of its store when New returns, and page tokens of another
// server are not valid.
func TestServer_Restart(t *testing.T) {
	t.Parallel()
	store := newMemory()
	first, err := New(Config{Store: store})
	require.NoError(t, err)
	require.NoError(t, first.Apply(t.Context(), []Call{
		{Path: "/v2/apis/chat", Body: document{"name": "n", "protocolType": "WEBSOCKET", "routeSelectionExpression": "$request.body.a"}},
		{Path: "/v2/apis/chat/integrations/m", Body: document{"integrationType": "MOCK"}},
		{Path: "/v2/apis/chat/routes/r", Body: document{"routeKey": "$default", "target": "integrations/m"}},
		{Path: "/v2/apis/chat/stages/prod", Body: document{"autoDeploy": true}},
		{Path: "/v2/domainnames/ws.example.com", Body: document{}},
		{Path: "/v2/domainnames/ws.example.com/apimappings/m", Body: document{"apiId": "chat", "stage": "prod"}},
	}))
	require.NoError(t, first.Shutdown(t.Context()))
	second, err := New(Config{Store: store})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, second.Shutdown(context.Background())) })
	require.NotNil(t, second.plane.byAPI["chat"]["prod"].deployed())
	require.Equal(t, mapping{"chat", "prod"}, second.plane.domains["ws.example.com"][""])
	status, _ := serve(t, second, "GET", "/apis?nextToken="+first.tokens.write("apis", "chat"), "")
	require.Equal(t, 400, status)
	require.NoError(t, second.Apply(t.Context(), nil), "it knows what the first one has made")
	require.Equal(t, []string{"applied"}, keysIn(t, store, ""))
}

// IDs are in the order in which they were made.
func TestNewID(t *testing.T) {
	t.Parallel()
	s, err := New(Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Shutdown(context.Background())) })
	before := ""
	for range 1000 {
		id := s.newID(apiIDLength, time.Now())
		require.Regexp(t, "^[a-z0-9]{10}$", id)
		require.Less(t, before, id)
		before = id
	}
}

// Clients that change different and the same resources at the same time do not disturb
// each other: each change is seen whole.
func TestServer_Concurrent(t *testing.T) {
	t.Parallel()
	s, err := New(Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Shutdown(context.Background())) })
	status, _ := serve(t, s, "POST", "/domainnames", `{"domainName":"ws.example.com"}`)
	require.Equal(t, 201, status)
	require.NoError(t, s.Apply(t.Context(), []Call{{Path: "/v2/apis/shared", Body: document{"name": "n", "protocolType": "WEBSOCKET", "routeSelectionExpression": "$request.body.a"}}}))
	serve(t, s, "POST", "/apis/shared/stages", `{"stageName":"auto","autoDeploy":true}`)
	var group sync.WaitGroup
	created := make([]int, 8)
	for n := range created {
		group.Go(func() {
			for i := range 20 {
				if status, _ := serve(t, s, "POST", "/apis/shared/routes", fmt.Sprintf(`{"routeKey":"%d"}`, i)); status == 201 {
					created[n]++
				}
				serve(t, s, "PATCH", "/apis/shared/stages/auto", fmt.Sprintf(`{"stageVariables":{"v%d":"%d"}}`, n, i))
				serve(t, s, "GET", "/apis/shared/routes?maxResults=5", "")
				serve(t, s, "POST", "/domainnames/ws.example.com/apimappings", fmt.Sprintf(`{"apiId":"shared","stage":"auto","apiMappingKey":"%d"}`, n))
				serve(t, s, "POST", "/apis/shared/deployments", "{}")
			}
		})
	}
	group.Wait()
	sum := 0
	for _, n := range created {
		sum += n
	}
	require.Equal(t, 20, sum, "one of each key")
	_, text := serve(t, s, "GET", "/apis/shared/stages/auto", "")
	for n := range created {
		require.Contains(t, text, fmt.Sprintf(`"v%d":"19"`, n))
	}
	require.Len(t, keysIn(t, s.store, "domainnames/ws.example.com/apimappings/"), 8)
}

// metered is a Store that counts what is read from it.
type metered struct {
	*memory
	read int
}

func (c *metered) View(f func(Reader) error) error {
	return c.memory.View(func(r Reader) error { return f(&meteredReader{r, nil, &c.read}) })
}

func (c *metered) Update(f func(Writer) error) error {
	return c.memory.Update(func(w Writer) error { return f(&meteredReader{w, w, &c.read}) })
}

type meteredReader struct {
	Reader
	w    Writer
	read *int
}

func (c *meteredReader) Get(key string) ([]byte, error) {
	*c.read++
	return c.Reader.Get(key)
}

func (c *meteredReader) List(prefix, after string, limit int) (keys []string, values [][]byte, err error) {
	keys, values, err = c.Reader.List(prefix, after, limit)
	*c.read += 1 + len(keys)
	return keys, values, err
}

func (c *meteredReader) Put(key string, value []byte) error { return c.w.Put(key, value) }
func (c *meteredReader) Delete(prefix string) error         { return c.w.Delete(prefix) }

// What a change costs does not grow with the number of APIs, and a list reads little more
// than it answers.
func TestServer_ManyAPIs(t *testing.T) {
	t.Parallel()
	store := &metered{memory: newMemory()}
	s, err := New(Config{Store: store})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Shutdown(context.Background())) })
	do := func(method, path, body string) document {
		status, text := serve(t, s, method, path, body)
		require.Less(t, status, 300, text)
		if text == "" {
			return nil
		}
		return parse[document](t, text)
	}
	// life makes an API with ten routes and a stage, and deletes it unless it is to stay.
	life := func(stay bool) (read int) {
		before := store.read
		api := "/apis/" + textOf(do("POST", "/apis", `{"name":"n","protocolType":"WEBSOCKET","routeSelectionExpression":"$request.body.action"}`), "apiId")
		integration := textOf(do("POST", api+"/integrations", `{"integrationType":"MOCK"}`), "integrationId")
		for n := range 10 {
			do("POST", api+"/routes", fmt.Sprintf(`{"routeKey":"%d","target":"integrations/%s"}`, n, integration))
		}
		do("POST", api+"/stages", `{"stageName":"prod"}`)
		do("POST", api+"/deployments", `{"stageName":"prod"}`)
		if !stay {
			do("DELETE", api, "")
		}
		return store.read - before
	}
	few := life(false)
	for range 200 {
		life(true)
	}
	require.Equal(t, few, life(false))
	before := store.read
	require.Len(t, do("GET", "/apis", "")["items"], 200)
	require.Less(t, store.read-before, 200*5)
}
