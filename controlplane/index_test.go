package controlplane

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// many returns an API with n of each kind whose rules look at the others.
func many(t *testing.T, n int) []Call {
	t.Helper()
	calls := []Call{
		{Path: "/v2/apis/chat", Body: parse[document](t, apiBody)},
		{Path: "/v2/apis/chat/integrations/mock", Body: document{"integrationType": "MOCK"}},
		{Path: "/v2/domainnames/ws.example.com", Body: document{}},
	}
	for i := range n {
		id := fmt.Sprintf("%04d", i)
		calls = append(calls,
			Call{Path: "/v2/apis/chat/routes/" + id, Body: document{"routeKey": "k" + id, "target": "integrations/i" + id, "requestModels": document{"$default": "m" + id}}},
			Call{Path: "/v2/apis/chat/integrations/i" + id, Body: document{"integrationType": "MOCK"}},
			Call{Path: "/v2/apis/chat/integrations/mock/integrationresponses/" + id, Body: document{"integrationResponseKey": "/" + id + "/"}},
			Call{Path: "/v2/apis/chat/models/" + id, Body: document{"name": "m" + id, "schema": "{}"}},
			Call{Path: "/v2/apis/chat/stages/s" + id, Body: document{"autoDeploy": true, "routeSettings": document{"k" + id: document{"dataTraceEnabled": true}}}},
			Call{Path: "/v2/domainnames/d" + id + ".example.com", Body: document{}},
			Call{Path: "/v2/domainnames/ws.example.com/apimappings/" + id, Body: document{"apiId": "chat", "stage": "s" + id, "apiMappingKey": id}},
		)
	}
	return calls
}

// reads is a Store that counts the values that are read within an Update, and calls each
// with the number so far.
type reads struct {
	*memory
	n    atomic.Int64
	each func(int64)
}

func (r *reads) Update(change func(Writer) error) error {
	return r.memory.Update(func(w Writer) error { return change(&readsOf{w, r}) })
}

type readsOf struct {
	Writer
	*reads
}

func (r *readsOf) Get(key string) ([]byte, error) {
	r.count(1)
	return r.Writer.Get(key)
}

func (r *readsOf) List(prefix, after string, limit int) ([]string, [][]byte, error) {
	keys, values, err := r.Writer.List(prefix, after, limit)
	r.count(len(keys))
	return keys, values, err
}

func (r *readsOf) count(n int) {
	if all := r.n.Add(int64(n)); r.each != nil {
		r.each(all)
	}
}

// An Apply reads about as often for each call when there are many, and so does the one that
// deletes everything.
func TestApply_Linear(t *testing.T) {
	t.Parallel()
	store := &reads{memory: newMemory()}
	s := newServer(t, Config{Store: store, NoQuotas: true})
	read := func(calls []Call) int64 {
		store.n.Store(0)
		require.NoError(t, s.Apply(t.Context(), calls))
		return store.n.Load()
	}
	few, fewGone := read(many(t, 30)), read(nil)
	lot, lotGone := read(many(t, 300)), read(nil)
	require.Less(t, lot, 15*few)
	require.Less(t, lotGone, 15*fewGone)
	require.Empty(t, s.rooms)
}

// An Apply ends when its context does, and changes nothing.
func TestApply_Context(t *testing.T) {
	t.Parallel()
	calls := many(t, 20)
	whole := &reads{memory: newMemory()}
	require.NoError(t, newServer(t, Config{Store: whole, NoQuotas: true}).Apply(t.Context(), calls))
	for _, part := range []int64{10, 5, 2} {
		ctx, cancel := context.WithCancel(t.Context())
		store := &reads{memory: newMemory()}
		s := newServer(t, Config{Store: store, NoQuotas: true})
		end := whole.n.Load() / part
		store.each = func(n int64) {
			if n >= end {
				cancel()
			}
		}
		require.ErrorIs(t, s.Apply(ctx, calls), context.Canceled)
		require.Empty(t, keysIn(t, store, ""))
		require.Less(t, store.n.Load(), end+whole.n.Load()/10)
		cancel()
	}
}

// The quotas of the service hold for an Apply, too.
func TestApply_Quotas(t *testing.T) {
	t.Parallel()
	base := []Call{{Path: "/v2/apis/chat", Body: parse[document](t, apiBody)}, {Path: "/v2/domainnames/ws.example.com", Body: document{}}}
	tests := map[string]struct {
		most int
		call func(id string) Call
		says string
	}{
		"routes": {300, func(id string) Call { return Call{Path: "/v2/apis/chat/routes/" + id, Body: document{"routeKey": id}} }, "Routes for this API"},
		"stages": {10, func(id string) Call { return Call{Path: "/v2/apis/chat/stages/" + id, Body: document{}} }, "Stages for this API"},
		"authorizers": {10, func(id string) Call {
			return Call{Path: "/v2/apis/chat/authorizers/" + id, Body: document{"authorizerType": "REQUEST", "name": id, "authorizerUri": "x"}}
		}, "Authorizers for this API"},
		"domain names": {119, func(id string) Call { return Call{Path: "/v2/domainnames/" + id + ".example.com", Body: document{}} }, "DomainNames for this account"},
		"APIs":         {mostAPIs - 1, func(id string) Call { return Call{Path: "/v2/apis/" + id, Body: base[0].Body} }, "Apis for this account"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newMemory()
			s := newServer(t, Config{Store: store})
			calls := append([]Call{}, base...)
			for n := range tt.most {
				calls = append(calls, tt.call(fmt.Sprintf("a%03d", n)))
			}
			require.NoError(t, s.Apply(t.Context(), calls))
			another := append(append([]Call{}, calls...), tt.call("another"))
			err := s.Apply(t.Context(), another)
			require.ErrorContains(t, err, "Maximum number of "+tt.says+" has been reached")
			if name != "APIs" {
				require.ErrorContains(t, err, "another")
			}
			require.NoError(t, s.Apply(t.Context(), append(another[:2:2], another[3:]...)), "one is gone, so there is room")
			free := newServer(t, Config{Store: store, NoQuotas: true})
			require.NoError(t, free.Apply(t.Context(), another))
			require.NoError(t, newServer(t, Config{Store: store}).Apply(t.Context(), another), "those that are there stay")
		})
	}
}

// noCopies is a Store that takes no frozen copies while it is full.
type noCopies struct {
	*memory
	full atomic.Bool
}

func (n *noCopies) Update(change func(Writer) error) error {
	return n.memory.Update(func(w Writer) error { return change(&noCopiesOf{w, n}) })
}

type noCopiesOf struct {
	Writer
	store *noCopies
}

func (n *noCopiesOf) Put(key string, value []byte) error {
	if n.store.full.Load() && strings.HasPrefix(key, "snapshots/") {
		return errFull
	}
	return n.Writer.Put(key, value)
}

// An Apply whose automatic deployment cannot be stored says so, and it is made later.
func TestApply_DeploymentFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &noCopies{memory: newMemory()}
		s := newServer(t, Config{Store: store})
		calls := []Call{
			{Path: "/v2/apis/chat", Body: parse[document](t, apiBody)},
			{Path: "/v2/apis/chat/routes/a", Body: document{"routeKey": "a"}},
			{Path: "/v2/apis/chat/stages/prod", Body: document{"autoDeploy": true}},
		}
		require.NoError(t, s.Apply(t.Context(), calls))
		_, before := serve(t, s, "GET", "/apis/chat/stages/prod", "")
		store.full.Store(true)
		calls[1].Body = document{"routeKey": "b"}
		err := s.Apply(t.Context(), calls)
		require.ErrorIs(t, err, errFull)
		require.ErrorContains(t, err, "the automatic deployment of the API chat")
		store.full.Store(false)
		time.Sleep(longestDelay) //nolint:forbidigo // in a bubble
		_, after := serve(t, s, "GET", "/apis/chat/stages/prod", "")
		require.NotEqual(t, textOf(parse[document](t, before), "deploymentId"), textOf(parse[document](t, after), "deploymentId"))
	})
}
