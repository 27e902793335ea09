package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/testutil"
	"example.com/gateway/internal/wsconn"
)

// A program that is killed at any moment while a client creates, changes and deletes keeps
// each write that it has answered. The one under way is there as a whole or not at all. The
// stages answer at once after a start.
func TestDev_Killed(t *testing.T) {
	t.Parallel()
	rounds := 5
	if testutil.Long() {
		rounds = 100
	}
	dir := filepath.Join(t.TempDir(), "state")
	w := &writer{t: t, random: rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))}
	writes, dialed := 0, 0
	for round := range rounds {
		p := runDev(t, nil, "--state", dir)
		w.base = p.await(`^ready in \d+ ms +(http://\S+),`)[1]
		w.learn(round)
		dialed += w.dialStages()
		most := int64(w.random.IntN(40)) // many rounds reach a thousand writes
		killed := make(chan struct{})
		go func() {
			defer close(killed)
			for w.done.Load() < most {
				time.Sleep(100 * time.Microsecond) //nolint:forbidigo // until the client has got so far
			}
			_ = p.cmd.Process.Kill()
		}()
		w.done.Store(0)
		for w.write() {
			w.done.Add(1)
		}
		<-killed
		<-p.ended
		writes += int(w.done.Load())
	}
	p := runDev(t, nil, "--state", dir)
	w.base = p.await(`^ready in \d+ ms +(http://\S+),`)[1]
	w.learn(rounds)
	t.Logf("killed %d times, %d answered writes, %d connections to kept stages", rounds, writes, dialed)
	require.Positive(t, dialed)
}

// A program that is killed while functions run leaves no process of them, also not of one
// that never ends, and its state opens again.
func TestDev_KilledWithFunctions(t *testing.T) {
	t.Parallel()
	file, dir := project(t, template()), filepath.Join(t.TempDir(), "state")
	for range 2 {
		p := runDev(t, nil, file, "--state", dir)
		c := dial(t, p.url(), wsconn.DialOptions{})
		c.send(`{"action":"pid"}`)
		pid := c.receive()
		c.send(`{"action":"hang"}`)
		p.await(`event hang$`)
		other := dial(t, p.url(), wsconn.DialOptions{})
		other.send(`{"action":"pid"}`)
		second := other.receive()
		require.NotEqual(t, pid, second)
		require.NoError(t, p.cmd.Process.Kill())
		ends(t, pid)
		ends(t, second)
		<-p.ended
	}
}

// model is what the control plane has to hold: APIs by name.
type model map[string]*modelAPI

type modelAPI struct {
	id, description string
	routes          map[string]string // IDs by route key
	stages          map[string]string // values of a stage variable by name
}

// text is the model without the IDs, to compare.
func (m model) text() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m)) {
		a := m[name]
		fmt.Fprintf(&b, "%s %q routes %v stages %v\n", name, a.description, slices.Sorted(maps.Keys(a.routes)), a.stages)
	}
	return b.String()
}

func (m model) clone() model {
	c := model{}
	for name, a := range m {
		c[name] = &modelAPI{a.id, a.description, maps.Clone(a.routes), maps.Clone(a.stages)}
	}
	return c
}

// writer is a client that writes one change after the other.
type writer struct {
	t      *testing.T
	base   string
	random *rand.Rand
	number int          // makes names unique
	done   atomic.Int64 // answered writes of this round

	state model // after the last answered write
	after model // after the one under way
}

// learn compares what the program has with the model, and takes the IDs from it.
func (w *writer) learn(round int) {
	w.t.Helper()
	got := model{}
	for _, d := range w.list("/v2/apis") {
		a := &modelAPI{id: d["apiId"].(string), routes: map[string]string{}, stages: map[string]string{}}
		a.description, _ = d["description"].(string)
		for _, route := range w.list("/v2/apis/" + a.id + "/routes") {
			a.routes[route["routeKey"].(string)] = route["routeId"].(string)
		}
		for _, stage := range w.list("/v2/apis/" + a.id + "/stages") {
			variables, _ := stage["stageVariables"].(map[string]any)
			a.stages[stage["stageName"].(string)], _ = variables["number"].(string)
			w.get("/v2/apis/" + a.id + "/deployments/" + stage["deploymentId"].(string)) // it is there
		}
		got[d["name"].(string)] = a
	}
	if text := got.text(); round > 0 && text != w.state.text() {
		require.Equal(w.t, w.after.text(), text, "round %d: neither the state after the last answered write nor the one after the write under way", round)
	}
	w.state = got
}

// dialStages connects to some stages.
func (w *writer) dialStages() (dialed int) {
	w.t.Helper()
	for _, a := range w.state {
		for name := range a.stages {
			c := dial(w.t, "ws"+strings.TrimPrefix(w.base, "http")+"/"+a.id+"/"+name, wsconn.DialOptions{})
			c.send("hello") // no route takes it
			require.Contains(w.t, c.receive(), `"Forbidden"`)
			c.c.CloseNow()
			if dialed++; dialed == 3 {
				return dialed
			}
		}
	}
	return dialed
}

func (w *writer) get(path string) map[string]any {
	w.t.Helper()
	status, answer, err := w.call(http.MethodGet, path, "")
	require.NoError(w.t, err)
	require.Equal(w.t, http.StatusOK, status, answer)
	return answer
}

// list returns the items of all pages.
func (w *writer) list(path string) (items []map[string]any) {
	w.t.Helper()
	for token := ""; ; {
		page := w.get(path + "?maxResults=100" + token)
		for _, item := range page["items"].([]any) {
			items = append(items, item.(map[string]any))
		}
		next, more := page["nextToken"].(string)
		if !more {
			return items
		}
		token = "&nextToken=" + next
	}
}

// call calls the program. The error says that there was no answer.
func (w *writer) call(method, path, body string) (status int, answer map[string]any, err error) {
	r, err := http.NewRequestWithContext(context.Background(), method, w.base+path, strings.NewReader(body))
	require.NoError(w.t, err)
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err
	}
	if len(text) > 0 {
		require.NoError(w.t, json.Unmarshal(text, &answer), "%s", text)
	}
	return resp.StatusCode, answer, nil
}

// change makes one call that changes the model. It returns false if there was no answer.
func (w *writer) change(method, path, body string, change func(model, map[string]any)) bool {
	w.after = w.state.clone()
	change(w.after, nil)
	status, answer, err := w.call(method, path, body)
	if err != nil {
		return false
	}
	require.Less(w.t, status, 300, "%s %s %s: %v", method, path, body, answer)
	change(w.state, answer)
	return true
}

// idOf is an ID of an answer; "" without one.
func idOf(answer map[string]any, field string) string {
	id, _ := answer[field].(string)
	return id
}

// write does the next change. It returns false if there was no answer.
func (w *writer) write() bool {
	w.number++
	number := fmt.Sprint(w.number)
	names := slices.Sorted(maps.Keys(w.state))
	if len(names) < 3 || w.random.IntN(20) == 0 {
		return w.createAPI("api" + number)
	}
	name := names[w.random.IntN(len(names))]
	a := w.state[name]
	path := "/v2/apis/" + a.id
	switch n := w.random.IntN(20); {
	case n == 0:
		return w.change(http.MethodDelete, path, "", func(m model, _ map[string]any) { delete(m, name) })
	case n < 5:
		return w.change(http.MethodPatch, path, `{"description":"`+number+`"}`, func(m model, _ map[string]any) { m[name].description = number })
	case n < 8 && len(a.routes) > 1:
		keys := slices.Sorted(maps.Keys(a.routes))
		key := keys[w.random.IntN(len(keys))]
		return w.change(http.MethodDelete, path+"/routes/"+a.routes[key], "", func(m model, _ map[string]any) { delete(m[name].routes, key) })
	case n < 12 && len(a.routes) > 0:
		return w.writeStage(name, number)
	}
	return w.createRoute(name, number)
}

func (w *writer) createAPI(name string) bool {
	return w.change(http.MethodPost, "/v2/apis", `{"name":"`+name+`","protocolType":"WEBSOCKET","routeSelectionExpression":"$request.body.action"}`,
		func(m model, answer map[string]any) {
			m[name] = &modelAPI{id: idOf(answer, "apiId"), routes: map[string]string{}, stages: map[string]string{}}
		})
}

func (w *writer) createRoute(name, number string) bool {
	key := "route" + number
	return w.change(http.MethodPost, "/v2/apis/"+w.state[name].id+"/routes", `{"routeKey":"`+key+`"}`,
		func(m model, answer map[string]any) { m[name].routes[key] = idOf(answer, "routeId") })
}

// writeStage makes a stage, or changes one, or deletes one.
func (w *writer) writeStage(name, number string) bool {
	path := "/v2/apis/" + w.state[name].id
	variables := `"stageVariables":{"number":"` + number + `"}`
	set := func(stage string) func(model, map[string]any) {
		return func(m model, _ map[string]any) { m[name].stages[stage] = number }
	}
	for stage := range w.state[name].stages {
		switch w.random.IntN(3) {
		case 0:
			return w.change(http.MethodDelete, path+"/stages/"+stage, "", func(m model, _ map[string]any) { delete(m[name].stages, stage) })
		case 1:
			return w.change(http.MethodPatch, path+"/stages/"+stage, "{"+variables+"}", set(stage))
		}
	}
	if len(w.state[name].stages) > 5 {
		return true
	}
	deployment := ""
	return w.change(http.MethodPost, path+"/deployments", `{}`, func(_ model, answer map[string]any) { deployment = idOf(answer, "deploymentId") }) &&
		w.change(http.MethodPost, path+"/stages", `{"stageName":"stage`+number+`","deploymentId":"`+deployment+`",`+variables+`}`, set("stage"+number))
}
