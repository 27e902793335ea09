package boltstore

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
)

// routesEach is how many routes each API of these benchmarks has.
const routesEach = 10

// BenchmarkManyAPIs makes APIs through the REST API, each with an integration, ten routes, a
// deployment and a stage. Then it opens the file again. Compare the sizes: each figure but
// that of the start must be the same, and that of the start must grow as the number of APIs
// does.
func BenchmarkManyAPIs(b *testing.B) {
	for _, apis := range []int{100, 1000} {
		for _, kept := range []bool{false, true} {
			b.Run(fmt.Sprintf("apis=%d/kept=%v", apis, kept), func(b *testing.B) {
				for b.Loop() {
					m := newMany(b, kept)
					m.create(b, apis)
					m.report(b, apis)
				}
			})
		}
	}
}

// BenchmarkApplyManyAPIs does the same with one call of Apply.
func BenchmarkApplyManyAPIs(b *testing.B) {
	for _, apis := range []int{100, 1000} {
		for _, kept := range []bool{false, true} {
			b.Run(fmt.Sprintf("apis=%d/kept=%v", apis, kept), func(b *testing.B) {
				for b.Loop() {
					m := newMany(b, kept)
					m.apply(b, apis, "apply-calls/s")
					m.apply(b, apis, "again-calls/s")
					m.report(b, apis)
				}
			})
		}
	}
}

// many is a server with many APIs.
type many struct {
	*controlplane.Server

	file   string // "": in memory
	store  controlplane.Store
	before uint64 // bytes of the heap before there was an API
}

func newMany(b *testing.B, kept bool) *many {
	b.Helper()
	m := &many{store: controlplane.NewMemory()}
	if kept {
		m.file = filepath.Join(b.TempDir(), "gateway.db")
	}
	m.before = heap()
	m.open(b)
	return m
}

func (m *many) open(b *testing.B) {
	b.Helper()
	var err error
	if m.file != "" {
		m.store, err = Open(m.file)
		require.NoError(b, err)
	}
	m.Server, err = controlplane.New(controlplane.Config{Store: m.store, NoQuotas: true})
	require.NoError(b, err)
}

func (m *many) close(b *testing.B) {
	b.Helper()
	require.NoError(b, m.Shutdown(context.Background())) // that of the benchmark has ended
	require.NoError(b, m.store.Close())
}

// heap returns the bytes of the heap that are in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // now, what pools held is free
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc + s.StackInuse
}

// report tells the memory of each API, and how long a start takes.
func (m *many) report(b *testing.B, apis int) {
	b.Helper()
	b.ReportMetric(float64(heap()-m.before)/1024/float64(apis), "KB/API")
	b.ReportMetric(float64(runtime.NumGoroutine())/float64(apis), "goroutines/API")
	m.close(b)
	if m.file == "" {
		return
	}
	began := time.Now()
	m.open(b)
	b.ReportMetric(float64(time.Since(began).Microseconds())/1e3, "start-ms")
	m.close(b)
}

// create makes APIs, and tells how fast: on the whole, and the last tenth.
func (m *many) create(b *testing.B, apis int) {
	b.Helper()
	began, last := time.Now(), time.Now()
	calls, before := 0, 0
	for n := range apis {
		if n == apis*9/10 {
			last, before = time.Now(), calls
		}
		calls += m.createOne(b, n)
	}
	b.ReportMetric(float64(calls)/time.Since(began).Seconds(), "calls/s")
	b.ReportMetric(float64(calls-before)/time.Since(last).Seconds(), "last-calls/s")
}

func (m *many) createOne(b *testing.B, n int) (calls int) {
	b.Helper()
	post := func(path, body, id string) string {
		calls++
		r := httptest.NewRequest(http.MethodPost, "http://localhost"+path, strings.NewReader(body))
		r.RemoteAddr = "127.0.0.1:1"
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r)
		require.Equal(b, http.StatusCreated, w.Code, "%s", w.Body)
		var d map[string]any
		require.NoError(b, json.Unmarshal(w.Body.Bytes(), &d))
		return d[id].(string)
	}
	api := "/v2/apis/" + post("/v2/apis", fmt.Sprintf(`{"name":"chat%d","protocolType":"WEBSOCKET","routeSelectionExpression":"$request.body.action"}`, n), "apiId")
	integration := post(api+"/integrations", `{"integrationType":"MOCK"}`, "integrationId")
	for route := range routesEach {
		post(api+"/routes", fmt.Sprintf(`{"routeKey":"route%d","target":"integrations/%s"}`, route, integration), "routeId")
	}
	deployment := post(api+"/deployments", `{}`, "deploymentId")
	post(api+"/stages", `{"stageName":"prod","deploymentId":"`+deployment+`"}`, "stageName")
	return calls
}

// apply gives all APIs to Apply.
func (m *many) apply(b *testing.B, apis int, unit string) {
	b.Helper()
	var calls []controlplane.Call
	add := func(path string, body map[string]any) {
		calls = append(calls, controlplane.Call{Path: path, Body: body})
	}
	for n := range apis {
		api := fmt.Sprintf("/v2/apis/chat%06d", n)
		add(api, map[string]any{"name": "chat", "protocolType": "WEBSOCKET", "routeSelectionExpression": "$request.body.action"})
		add(api+"/integrations/mock", map[string]any{"integrationType": "MOCK"})
		for route := range routesEach {
			key := fmt.Sprintf("route%d", route)
			add(api+"/routes/"+key, map[string]any{"routeKey": key, "target": "integrations/mock"})
		}
		add(api+"/deployments/first", map[string]any{})
		add(api+"/stages/prod", map[string]any{"deploymentId": "first"})
	}
	began := time.Now()
	require.NoError(b, m.Apply(b.Context(), calls))
	b.ReportMetric(float64(len(calls))/time.Since(began).Seconds(), unit)
}
