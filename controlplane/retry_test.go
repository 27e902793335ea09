package controlplane

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/testutil"
)

// frail is a Store that counts its Updates, and fails while it is full.
type frail struct {
	*memory
	full    atomic.Bool
	updates atomic.Int64
	within  atomic.Bool // an Update or a View runs
}

var errFull = errors.New("the disk is full")

func (f *frail) Update(change func(Writer) error) error {
	f.updates.Add(1)
	f.within.Store(true)
	defer f.within.Store(false)
	return f.memory.Update(func(w Writer) error {
		if err := change(w); err != nil || !f.full.Load() {
			return err
		}
		return errFull
	})
}

func (f *frail) View(read func(Reader) error) error {
	f.within.Store(true)
	defer f.within.Store(false)
	return f.memory.View(read)
}

// outside is a log that fails the test if the store is held while it is written.
type outside struct {
	slog.Handler
	t     *testing.T
	store *frail
}

func (o *outside) Handle(ctx context.Context, r slog.Record) error {
	if o.store.within.Load() {
		o.t.Errorf("%q is logged while the store is held", r.Message)
	}
	return o.Handler.Handle(ctx, r)
}

func newFrail(t *testing.T) (*frail, *testutil.LockedBuffer, Config) {
	store, log := &frail{memory: newMemory()}, &testutil.LockedBuffer{}
	return store, log, Config{Store: store, Logger: slog.New(&outside{slog.NewTextHandler(log, nil), t, store})}
}

// An automatic deployment that cannot be stored is made later, without a further change. A
// start and a change without an effect on the deployment write nothing.
func TestAutoDeploy_Retry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, log, cfg := newFrail(t)
		s := newServer(t, cfg)
		_, text := serve(t, s, "POST", "/apis", apiBody)
		api := "/apis/" + textOf(parse[document](t, text), "apiId")
		serve(t, s, "POST", api+"/routes", `{"routeKey":"a"}`)
		serve(t, s, "POST", api+"/stages", `{"stageName":"prod","autoDeploy":true}`)
		store.full.Store(true)
		time.Sleep(10 * time.Minute) //nolint:forbidigo // in a bubble
		failed := strings.Count(log.String(), "the disk is full")
		require.Greater(t, failed, 10)
		require.Less(t, failed, 30, "less and less often")
		store.full.Store(false)
		status, _ := serve(t, s, "PATCH", api, `{"description":"x"}`)
		require.Equal(t, 200, status)
		time.Sleep(2 * autoDeployDelay) //nolint:forbidigo // a change is a reason to try again at once
		_, text = serve(t, s, "GET", api+"/stages/prod", "")
		require.Contains(t, text, "Successfully deployed stage")

		store.full.Store(true)
		status, _ = serve(t, s, "PATCH", api, `{"description":"y"}`)
		require.Equal(t, 500, status)
		store.full.Store(false)
		before := store.updates.Load()
		serve(t, s, "PATCH", api+"/stages/prod", `{"stageVariables":{"a":"b"}}`)
		newServer(t, cfg)
		time.Sleep(time.Second) //nolint:forbidigo // in a bubble
		require.EqualValues(t, 1, store.updates.Load()-before)
	})
}

// Without a further change, too, a deployment is made when the store works again.
func TestAutoDeploy_RetryAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, _, cfg := newFrail(t)
		s := newServer(t, cfg)
		calls := []Call{
			{Path: "/v2/apis/a", Body: parse[document](t, apiBody)},
			{Path: "/v2/apis/a/routes/r", Body: document{"routeKey": "a"}},
			{Path: "/v2/apis/a/stages/prod", Body: document{"autoDeploy": true}},
		}
		require.NoError(t, s.Apply(t.Context(), calls[:2]))
		status, _ := serve(t, s, "POST", "/apis/a/stages", `{"stageName":"prod","autoDeploy":true}`)
		require.Equal(t, 201, status)
		store.full.Store(true)
		time.Sleep(time.Second) //nolint:forbidigo // in a bubble
		store.full.Store(false)
		time.Sleep(longestDelay) //nolint:forbidigo // in a bubble
		_, text := serve(t, s, "GET", "/apis/a/stages/prod", "")
		require.Contains(t, text, "Successfully deployed stage")
	})
}

// The log is written when the store is free, and only of what was committed.
func TestLog_AfterTheCommit(t *testing.T) {
	t.Parallel()
	store, log, cfg := newFrail(t)
	s := newServer(t, cfg)
	_, text := serve(t, s, "POST", "/apis", apiBody)
	id := textOf(parse[document](t, text), "apiId")
	api := "/apis/" + id
	serve(t, s, "POST", api+"/routes", `{"routeKey":"a","modelSelectionExpression":"\\$default","requestModels":{}}`)
	status, text := serve(t, s, "POST", api+"/models", `{"name":"bad","schema":"{"}`)
	require.Equal(t, 201, status, text)
	store.full.Store(true)
	for path, body := range map[string]string{"/integrations": `{"integrationType":"MOCK","payloadFormatVersion":"2.0"}`, "/deployments": "{}"} {
		status, _ = serve(t, s, "POST", api+path, body)
		require.Equal(t, 500, status)
	}
	for _, text := range []string{"payloadFormatVersion", "the deployment has failed"} {
		require.NotContains(t, log.String(), text)
	}
	store.full.Store(false)
	for path, body := range map[string]string{"/integrations": `{"integrationType":"MOCK","payloadFormatVersion":"2.0"}`, "/deployments": "{}"} {
		status, _ = serve(t, s, "POST", api+path, body)
		require.Equal(t, 201, status)
	}
	for _, text := range []string{"payloadFormatVersion", "the deployment has failed"} {
		require.Contains(t, log.String(), text)
	}
	// A stage cannot use a deployment that has failed, so the advice is to make one.
	s.adviseAbout(id, "prod")
	require.Contains(t, log.String(), "create-deployment")
	require.Contains(t, log.String(), "--deployment-id {deploymentId}")
}
