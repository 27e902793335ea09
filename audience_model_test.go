package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/internal/testutil"
)

// TestAudience_Model compares the gateway with a model, step by step: actors at the same
// gateway dial, hang up, join, leave, post, close, count, list and change states at random. Each has
// connections, groups and users of its own, of which its model knows everything; and there
// is one group for all, of which it knows its own part. At the end each connection must have
// got exactly what the model says, in order.
func TestAudience_Model(t *testing.T) {
	t.Parallel()
	steps, seed := 20_000, uint64(time.Now().UnixNano())
	if testutil.Long() {
		steps = 100_000
	}
	if asked := os.Getenv("GATEWAY_STEPS"); asked != "" {
		var err error
		steps, err = strconv.Atoi(asked)
		require.NoError(t, err)
	}
	t.Logf("seed %d", seed)
	w := newModelWorld(t)
	const actors = 4
	var all sync.WaitGroup
	for n := range actors {
		a := &actor{world: w, name: "a" + strconv.Itoa(n), rand: rand.New(rand.NewPCG(seed, uint64(n))), open: map[string]*modelConn{}}
		all.Go(func() {
			t := inGoroutine{t}
			for range steps / actors {
				a.step(t)
				if t.Failed() {
					return
				}
			}
			a.end(t)
		})
	}
	all.Wait()
	if !t.Failed() {
		require.NoError(t, w.gw.Shutdown(t.Context()))
		require.Equal(t, gateway.IndexSizes{}, w.gw.IndexSizes())
		require.Empty(t, w.backend.members)
		require.Empty(t, w.backend.wrong)
	}
}

// inGoroutine is a test in another goroutine than its own: a requirement that fails ends that one.
type inGoroutine struct{ testing.TB }

func (t inGoroutine) FailNow() {
	t.Fail()
	runtime.Goexit()
}

// modelSteps are what an actor can do, and how often. A step for what connections have in
// addition can be added here.
func modelSteps() []modelStep {
	return []modelStep{
		{4, (*actor).dial},
		{2, (*actor).hangUp},
		{20, (*actor).join},
		{14, (*actor).leave},
		{16, (*actor).post},
		{2, (*actor).closeSome},
		{8, (*actor).count},
		{6, (*actor).list},
		{8, (*actor).get},
		{10, (*actor).setState},
		{2, (*actor).useGone},
		{1, (*actor).crashBackend},
	}
}

type modelStep struct {
	weight int
	do     func(*actor, testing.TB)
}

const sharedGroup = "shared"

// modelWorld is the gateway that all actors share.
type modelWorld struct {
	gw      *gateway.Gateway
	backend backend
	opened  sync.Map // connection IDs by User-Agent
	ended   sync.Map // by connection ID: a channel that is closed when the connection has closed
	states  sync.Map // by connection ID: the last state of a connection that has closed
}

func newModelWorld(t *testing.T) *modelWorld {
	t.Helper()
	w := &modelWorld{backend: backend{members: map[string]idSet{}}}
	var err error
	w.gw, err = gateway.New(
		gateway.WithLogger(slog.New(slog.DiscardHandler)),
		gateway.WithQuotas(gateway.Quotas{
			NewConnections: gateway.Throttle{RateLimit: -1}, SendBufferBytes: -1, SendBufferMessages: -1,
		}),
		gateway.WithObserver(&gateway.Observer{
			ConnectionOpened: func(_ context.Context, c gateway.Connection) { w.opened.Store(c.Identity.UserAgent, c.ID) },
			ConnectionClosed: func(_ context.Context, c gateway.Connection, _ int, _ string) {
				w.states.Store(c.ID, string(c.State))
				close(w.end(c.ID))
			},
		}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.gw.Close() })
	w.gw.Handle("$connect", &gateway.MockIntegration{}, gateway.WithAuthorizer(principalOfQuery()))
	for _, key := range []string{gateway.RouteKeyJoin, gateway.RouteKeyLeave, gateway.RouteKeyDisconnect} {
		w.gw.HandleFunc(key, w.backend.told)
	}
	return w
}

// backend keeps lists of the members of groups, by $join and $leave alone.
type backend struct {
	mu      sync.Mutex // guards the fields below
	members map[string]idSet
	wrong   []string
}

type idSet map[string]bool

func (b *backend) told(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch req.EventType {
	case gateway.EventJoin:
		if b.members[req.Group] == nil {
			b.members[req.Group] = idSet{}
		}
		b.members[req.Group][req.ConnectionID] = true
	case gateway.EventLeave:
		delete(b.members[req.Group], req.ConnectionID)
		if len(b.members[req.Group]) == 0 {
			delete(b.members, req.Group)
		}
	default: // the last event of a connection
		for group, members := range b.members {
			if members[req.ConnectionID] {
				b.wrong = append(b.wrong, group+" "+req.ConnectionID)
			}
		}
	}
	if rand.IntN(50) == 0 {
		panic("what an integration has done counts, however it ends")
	}
	return nil, nil
}

// of returns the list of a group.
func (b *backend) of(group string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.members[group]))
}

// crashBackend lets the backend lose the list of a group, and begin again with a snapshot. The events
// that follow keep that right.
func (a *actor) crashBackend(t testing.TB) {
	b, group := &a.world.backend, a.group()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.members, group)
	for _, id := range walk(t, a.world.gw, gateway.Group(group), 0, func() {}) {
		if b.members[group] == nil {
			b.members[group] = idSet{}
		}
		b.members[group][id] = true
	}
}

// checkBackend waits until the backend has heard of all that has happened.
func (a *actor) checkBackend(t testing.TB) {
	want := map[string][]string{}
	for _, c := range a.open {
		for _, group := range c.groups {
			want[group] = append(want[group], c.id)
		}
	}
	for n := range 4 {
		group := a.name + "-g" + strconv.Itoa(n)
		slices.Sort(want[group])
		require.Eventually(t, func() bool { return slices.Equal(want[group], a.world.backend.of(group)) }, 10*time.Second, time.Millisecond, group)
	}
}

func (w *modelWorld) end(id string) chan struct{} {
	value, _ := w.ended.LoadOrStore(id, make(chan struct{}))
	ended, _ := value.(chan struct{})
	return ended
}

// modelConn is a client, and what the model knows of its connection.
type modelConn struct {
	id, user string
	owner    string // name of the actor
	groups   []string
	state    string
	expected []string // messages of its own actor
	last     any      // its last state, as the observer has seen it
	cut      bool     // not all that was expected may have come
	code     int      // of the Close frame; 0: none

	once   sync.Once
	closed chan struct{}
	mu     sync.Mutex // guards the fields below
	input  []byte
	began  bool // the 101 has come
	got    []string
	gotEnd int // the code of the Close frame
}

func (c *modelConn) Read([]byte) (int, error) {
	<-c.closed
	return 0, io.EOF
}

func (c *modelConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func (*modelConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*modelConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*modelConn) SetDeadline(time.Time) error      { return nil }
func (*modelConn) SetReadDeadline(time.Time) error  { return nil }
func (*modelConn) SetWriteDeadline(time.Time) error { return nil }

// Write reads the frames that the gateway sends. All are short.
func (c *modelConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.input = append(c.input, b...)
	if !c.began {
		_, rest, ok := bytes.Cut(c.input, []byte("\r\n\r\n"))
		if !ok {
			return len(b), nil
		}
		c.began, c.input = true, rest
	}
	for len(c.input) >= 2 && len(c.input) >= 2+int(c.input[1]) {
		payload := c.input[2 : 2+int(c.input[1])]
		if c.input[0] == 0x88 {
			c.gotEnd = int(binary.BigEndian.Uint16(payload))
			_ = c.Close() // as a client does
		} else {
			c.got = append(c.got, string(payload))
		}
		c.input = c.input[2+len(payload):]
	}
	return len(b), nil
}

type modelWriter struct {
	http.ResponseWriter

	conn *modelConn
}

// Hijack implements [http.Hijacker].
func (w modelWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.conn, nil, nil }

// actor does steps, and has the model of its own connections.
type actor struct {
	world *modelWorld
	name  string
	rand  *rand.Rand
	open  map[string]*modelConn
	gone  []*modelConn
	dials int
	posts int
}

func (a *actor) step(t testing.TB) {
	sum := 0
	for _, s := range modelSteps() {
		sum += s.weight
	}
	at := a.rand.IntN(sum)
	for _, s := range modelSteps() {
		if at -= s.weight; at < 0 {
			s.do(a, t)
			return
		}
	}
}

func (a *actor) dial(t testing.TB) {
	if len(a.open) >= 12 {
		return
	}
	c := &modelConn{closed: make(chan struct{}), user: a.user(), owner: a.name}
	if a.rand.IntN(3) == 0 {
		c.user = ""
	}
	a.dials++
	r := httptest.NewRequest(http.MethodGet, "/?who="+c.user, nil)
	agent := a.name + " " + strconv.Itoa(a.dials)
	h := handshake("User-Agent", agent)
	for k := 0; k < len(h); k += 2 {
		r.Header.Set(h[k], h[k+1])
	}
	w := httptest.NewRecorder()
	a.world.gw.Handler().ServeHTTP(modelWriter{w, c}, r)
	id, ok := a.world.opened.LoadAndDelete(agent)
	require.True(t, ok, w.Body.String())
	c.id, _ = id.(string)
	a.open[c.id] = c
}

func (a *actor) user() string  { return a.name + "-u" + strconv.Itoa(a.rand.IntN(3)) }
func (a *actor) group() string { return a.name + "-g" + strconv.Itoa(a.rand.IntN(4)) }

// some returns one of the open connections, or nil.
func (a *actor) some() *modelConn {
	if len(a.open) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(a.open))
	return a.open[ids[a.rand.IntN(len(ids))]]
}

// left moves a connection to those that are gone, and waits until its $disconnect may run.
func (a *actor) left(c *modelConn) {
	delete(a.open, c.id)
	a.gone = append(a.gone, c)
	<-a.world.end(c.id)
	c.last, _ = a.world.states.LoadAndDelete(c.id)
	if len(a.gone) > 50 {
		a.gone = a.gone[1:]
	}
}

func (a *actor) hangUp(t testing.TB) {
	if c := a.some(); c != nil {
		c.cut = true
		_ = c.Close()
		a.left(c)
		c.check(t)
	}
}

func (a *actor) join(t testing.TB) {
	c, group := a.some(), a.groupOrShared()
	if c == nil {
		return
	}
	require.NoError(t, a.world.gw.Join(t.Context(), c.id, group))
	if !slices.Contains(c.groups, group) {
		c.groups = append(c.groups, group)
	}
}

func (a *actor) leave(t testing.TB) {
	c, group := a.some(), a.groupOrShared()
	if c == nil {
		return
	}
	require.NoError(t, a.world.gw.Leave(t.Context(), c.id, group))
	c.groups = slices.DeleteFunc(c.groups, func(name string) bool { return name == group })
}

func (a *actor) groupOrShared() string {
	if a.rand.IntN(5) == 0 {
		return sharedGroup
	}
	return a.group()
}

// modelAudience is an audience, and the own connections in it.
type modelAudience struct {
	gateway.Audience

	members []*modelConn
	gone    int
	shared  bool // others may be in it, too
}

// audience returns a random audience.
func (a *actor) audience() (of modelAudience) {
	in := func(*modelConn) bool { return false }
	switch a.rand.IntN(6) {
	case 0: // nobody
	case 1:
		of = a.named()
	case 2, 3:
		group := a.groupOrShared()
		of.Audience, of.shared = gateway.Group(group), group == sharedGroup
		in = func(c *modelConn) bool { return slices.Contains(c.groups, group) }
	case 4:
		user := a.user()
		of.Audience = gateway.User(user)
		in = func(c *modelConn) bool { return c.user == user }
	case 5:
		of.Audience, of.shared = gateway.Everyone(), true
		in = func(*modelConn) bool { return true }
	}
	for _, c := range a.open {
		if in(c) {
			of.members = append(of.members, c)
		}
	}
	for range a.rand.IntN(3) {
		c := a.some()
		if c == nil {
			break
		}
		of.Audience = of.Except(c.id)
		of.members = slices.DeleteFunc(of.members, func(m *modelConn) bool { return m == c })
	}
	return of
}

// named returns an audience of IDs, some of them twice, some of them gone.
func (a *actor) named() (of modelAudience) {
	var ids []string
	for range a.rand.IntN(5) {
		if c := a.some(); c != nil {
			ids = append(ids, c.id)
			if !slices.Contains(of.members, c) {
				of.members = append(of.members, c)
			}
		}
	}
	if len(a.gone) > 0 && a.rand.IntN(2) == 0 {
		id := a.gone[a.rand.IntN(len(a.gone))].id
		ids = append(ids, id, id)
		of.gone = 1
	}
	of.Audience = gateway.Connections(ids...)
	return of
}

// delivered compares a Delivery with the model.
func (of *modelAudience) delivered(t testing.TB, d gateway.Delivery, err error) {
	require.NoError(t, err)
	require.Nil(t, d.Missing)
	require.Zero(t, d.Refused)
	if of.shared {
		require.GreaterOrEqual(t, d.Accepted, len(of.members))
		return
	}
	require.Equal(t, [2]int{len(of.members), of.gone}, [2]int{d.Accepted, d.Gone})
	require.Len(t, d.Errors, of.gone)
}

func (a *actor) post(t testing.TB) {
	of := a.audience()
	a.posts++
	text := fmt.Sprintf("%s %d", a.name, a.posts)
	for _, c := range of.members {
		c.expected = append(c.expected, text)
	}
	d, err := a.world.gw.PostTo(t.Context(), of.Audience, []byte(text))
	of.delivered(t, d, err)
}

func (a *actor) closeSome(t testing.TB) {
	of := a.audience()
	if of.shared || len(of.members) > 4 {
		return
	}
	code, opts := 4000+a.rand.IntN(1000), []gateway.CloseOption(nil)
	cut := a.rand.IntN(3) == 0
	if cut {
		opts = append(opts, gateway.Cut())
	}
	d, err := a.world.gw.CloseAll(t.Context(), of.Audience, code, "by the model", opts...)
	of.delivered(t, d, err)
	for _, c := range of.members {
		if c.cut = cut; !cut {
			c.code = code
		}
		require.ErrorIs(t, a.world.gw.Join(t.Context(), c.id, sharedGroup), gateway.ErrGone)
		a.left(c)
		c.check(t)
	}
}

func (a *actor) count(t testing.TB) {
	of := a.audience()
	n, err := a.world.gw.Count(t.Context(), of.Audience)
	require.NoError(t, err)
	if of.shared {
		require.GreaterOrEqual(t, n, len(of.members))
	} else {
		require.Equal(t, len(of.members), n)
	}
}

func (a *actor) list(t testing.TB) {
	of := a.audience()
	var want, got []string
	for _, c := range of.members {
		want = append(want, c.id)
	}
	for _, id := range walk(t, a.world.gw, of.Audience, 1+a.rand.IntN(10), func() {}) {
		if a.open[id] != nil {
			got = append(got, id)
		} else {
			require.True(t, of.shared, "%s is not of this audience", id)
		}
	}
	require.ElementsMatch(t, want, got)
}

func (a *actor) get(t testing.TB) {
	c := a.some()
	if c == nil {
		return
	}
	got, err := a.world.gw.GetConnection(t.Context(), c.id)
	require.NoError(t, err)
	require.Equal(t, c.user, got.PrincipalID)
	require.Equal(t, c.state, string(got.State))
	if len(c.groups) == 0 {
		require.Nil(t, got.Groups)
	} else {
		require.Equal(t, c.groups, got.Groups)
	}
}

// setState changes a state, with a condition that holds, with one that does not, or with none.
func (a *actor) setState(t testing.TB) {
	c := a.some()
	if c == nil {
		return
	}
	state, opts, want := strings.Repeat("s", a.rand.IntN(4)), []gateway.StateOption(nil), error(nil)
	switch a.rand.IntN(4) {
	case 0:
		opts = append(opts, gateway.IfState([]byte(c.state)))
	case 1:
		opts, want = append(opts, gateway.IfState([]byte(c.state+"x"))), gateway.ErrConflict
	}
	require.ErrorIs(t, a.world.gw.SetState(t.Context(), c.id, []byte(state), opts...), want)
	if want == nil {
		c.state = state
	}
}

func (a *actor) useGone(t testing.TB) {
	if len(a.gone) == 0 {
		return
	}
	id := a.gone[a.rand.IntN(len(a.gone))].id
	for _, err := range []error{
		a.world.gw.Join(t.Context(), id, a.group()), a.world.gw.Leave(t.Context(), id, a.group()),
		a.world.gw.SetState(t.Context(), id, []byte("x")), a.world.gw.SetState(t.Context(), id, nil, gateway.IfState([]byte("x"))),
		a.world.gw.PostToConnection(t.Context(), id, nil), a.world.gw.DeleteConnection(t.Context(), id),
	} {
		if !errors.Is(err, gateway.ErrGone) {
			require.ErrorIs(t, err, gateway.ErrGone)
		}
	}
}

// end closes what is still open.
func (a *actor) end(t testing.TB) {
	a.checkBackend(t)
	for _, c := range a.open {
		c.code = 1000
		require.NoError(t, a.world.gw.DeleteConnection(t.Context(), c.id))
		a.left(c)
		c.check(t)
	}
}

// check compares what the client has got with the model, after the connection has closed.
// What others have posted may come in between, in the order of each of them.
func (c *modelConn) check(t testing.TB) {
	c.mu.Lock()
	defer c.mu.Unlock()
	own, newest := []string{}, map[string]int{}
	for _, text := range c.got {
		name, number, _ := strings.Cut(text, " ")
		n, err := strconv.Atoi(number)
		require.NoError(t, err)
		require.Greater(t, n, newest[name], "each message comes once, and in order")
		newest[name] = n
		if name == c.owner {
			own = append(own, text)
		}
	}
	if c.cut { // the last ones may be lost
		require.LessOrEqual(t, len(own), len(c.expected))
		c.expected = c.expected[:len(own)]
	}
	require.Equal(t, append([]string{}, c.expected...), own)
	require.Equal(t, c.code, c.gotEnd)
	require.Equal(t, c.state, c.last)
}
