package controlplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"example.com/gateway"
	"example.com/gateway/internal/caller"
	"example.com/gateway/internal/connid"
)

// stages are all stages, and the addresses at which clients and backends find them. The
// control plane calls sync, remove and syncDomains after a change is committed. Calls about
// one API come one after the other; everything else may run at the same time.
type stages struct {
	cfg   *Config
	log   *slog.Logger
	hosts map[string]bool // from Config.Hosts and Config.Endpoint, in lower case; localhost and loopback addresses are not in it
	// advise says in the log why a client cannot connect to a stage. It may be nil.
	advise func(apiID, stageName string)

	mu      sync.RWMutex // guards the fields below
	byAPI   map[string]map[string]*stage
	byTag   map[uint32][]*stage // by the node tag in the IDs of their connections
	domains map[string]map[string]mapping
	closed  bool // no stage comes
	ended   bool // no asynchronous function starts

	running sync.WaitGroup // stages that were removed and still close their connections, and asynchronous functions
	async   atomic.Int64   // how many of them are asynchronous functions
	cutOff  func()         // makes them break off
	wasCut  atomic.Bool    // one of them has broken off
	// within returns a context that ends after d, or with cutOff. onCutOff runs f at cutOff.
	within   func(d time.Duration) (context.Context, context.CancelFunc)
	onCutOff func(f func()) (stop func() bool)
}

// stage is one stage of an API. It has a Gateway from its first deployment on.
type stage struct {
	apiID, name string
	served      atomic.Pointer[served] // nil: not deployed
	tagged      atomic.Bool            // byTag has it

	mu      sync.Mutex // held while the stage changes; guards the fields below
	gw      *gateway.Gateway
	warned  map[string]bool // what the log has said of it as it is
	removed bool
}

// served is what a stage serves.
type served struct {
	upgrades, management http.Handler
	gw                   *gateway.Gateway
	apiID, stageName     string
	endpointDisabled     bool // only custom domain names lead to the stage
}

func newStages(cfg *Config, log *slog.Logger) *stages {
	s := &stages{cfg: cfg, log: log, hosts: caller.Names(cfg.Hosts), byAPI: map[string]map[string]*stage{}, byTag: map[uint32][]*stage{}, domains: map[string]map[string]mapping{}}
	cut, cutOff := context.WithCancel(context.Background()) //nolint:forbidigo // removed stages outlive the request that removes them
	s.cutOff = cutOff
	s.within = func(d time.Duration) (context.Context, context.CancelFunc) { return context.WithTimeout(cut, d) }
	s.onCutOff = func(f func()) func() bool { return context.AfterFunc(cut, f) }
	if u, err := url.Parse(cfg.Endpoint); err == nil && u.Hostname() != "" {
		s.hosts[strings.ToLower(u.Hostname())] = true
	}
	return s
}

// sync makes a stage, or changes it, so that it serves snap with the settings of doc. snap
// is nil while the stage has no deployment: then its clients get 403. Open connections
// stay, and follow with their next event. After an error the stage is as it was.
func (s *stages) sync(api, doc document, snap *snapshot) error {
	st := s.stage(textOf(api, "apiId"), textOf(doc, "stageName"))
	if st == nil {
		return gateway.ErrClosed
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case st.removed:
		return fmt.Errorf("controlplane: stage %q was removed", st.name)
	case snap == nil:
		st.served.Store(nil)
		return nil
	}
	d, warnings, err := build(s.cfg, snap, doc, s.background)
	if err != nil {
		return err
	}
	if st.gw == nil {
		if st.gw, err = gateway.New(stageOptions(s.cfg, st.apiID, st.name, s.log, gateway.WithObserver(s.observer(st)))...); err != nil {
			return err
		}
	}
	refused, err := deployTo(st.gw, s.cfg, d)
	if err != nil {
		return err
	}
	st.served.Store(&served{
		upgrades: st.gw.Handler(), management: st.gw.ManagementHandler(), gw: st.gw,
		apiID: st.apiID, stageName: st.name,
		endpointDisabled: boolOf(snap.API, "disableExecuteApiEndpoint"),
	})
	s.warn(st, append(warnings, refused...))
	return nil
}

// stage returns a stage, and makes it if it is new. It returns nil after shutdown.
func (s *stages) stage(apiID, name string) *stage {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	if s.byAPI[apiID] == nil {
		s.byAPI[apiID] = map[string]*stage{}
	}
	st := s.byAPI[apiID][name]
	if st == nil {
		st = &stage{apiID: apiID, name: name}
		s.byAPI[apiID][name] = st
	}
	return st
}

// warn logs what does not work here, unless it has done so when the stage changed last.
func (s *stages) warn(st *stage, warnings []string) {
	before := st.warned
	st.warned = make(map[string]bool, len(warnings))
	for _, text := range warnings {
		st.warned[text] = true
		if !before[text] {
			s.log.Warn("a part of the deployment does not work here", "api_id", st.apiID, "stage", st.name, "reason", text)
		}
	}
}

// observer returns the observer that learns the node tag of a stage's Gateway from its
// first connection.
func (s *stages) observer(st *stage) *gateway.Observer {
	return &gateway.Observer{ConnectionOpened: func(_ context.Context, c gateway.Connection) {
		if st.tagged.Load() {
			return
		}
		tag, ok := connid.Parse(c.ID)
		s.mu.Lock()
		defer s.mu.Unlock()
		if ok && !st.tagged.Load() && s.byAPI[st.apiID][st.name] == st {
			s.byTag[tag] = append(s.byTag[tag], st)
			st.tagged.Store(true)
		}
	}}
}

// stageOptions returns the options of a stage's Gateway. Stage variables and the default
// throttle are not among them: Deploy would take them where a deployment has none, so that
// they could not be removed.
func stageOptions(cfg *Config, apiID, name string, log *slog.Logger, more ...gateway.Option) []gateway.Option {
	keys := &noAPIKeys{}
	opts := []gateway.Option{gateway.WithUsageStore(keys)}
	if log != nil {
		log = log.With("api_id", apiID) // the Gateway adds the stage
		keys.log = log.With("stage", name)
		opts = append(opts, gateway.WithLogger(log))
	}
	opts = append(opts, cfg.Gateway...)
	if log == nil {
		opts = append(opts, gateway.WithLogger(slog.New(slog.DiscardHandler)))
	}
	auth := gateway.ManagementAuth(gateway.ManagementAuthFunc(loopbackOnly))
	if cfg.Auth != nil {
		opts = append(opts, gateway.WithManagementAuth(cfg.Auth)) // which checks it
		auth = bothStages{cfg.Auth}
	}
	opts = append(opts, gateway.WithAPI(apiID, ""), gateway.WithStage(name, nil), gateway.WithManagementAuth(auth))
	return append(opts, more...)
}

// loopbackOnly allows the calls of @connections that come from this machine.
func loopbackOnly(_ context.Context, call *gateway.ManagementCall) error {
	if !caller.IsHere(call.Request) {
		return fmt.Errorf("%w: the call comes from another machine: set Config.Auth to decide about such calls", gateway.ErrForbidden)
	}
	return nil
}

// closeWait is how long a stage that was removed waits for the integrations of its
// connections.
const closeWait = 5 * time.Second

// remove removes a stage. Its connections are closed with 1001; remove does not wait for
// that.
func (s *stages) remove(apiID, stageName string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.byAPI[apiID][stageName]
	if st == nil || s.closed {
		return
	}
	delete(s.byAPI[apiID], stageName)
	if len(s.byAPI[apiID]) == 0 {
		delete(s.byAPI, apiID)
	}
	for tag, tagged := range s.byTag {
		if tagged = slices.DeleteFunc(tagged, func(other *stage) bool { return other == st }); len(tagged) == 0 {
			delete(s.byTag, tag)
		} else {
			s.byTag[tag] = tagged
		}
	}
	s.running.Go(func() {
		ctx, cancel := s.within(closeWait)
		defer cancel()
		if err := st.close(ctx); err != nil {
			s.noteCut(ctx)
			s.log.Warn("a removed stage did not close in time", "api_id", apiID, "stage", stageName, "error", err)
		}
	})
}

// close closes the connections of a stage.
func (st *stage) close(ctx context.Context) error {
	st.mu.Lock()
	st.removed = true
	gw := st.gw
	st.mu.Unlock()
	if gw == nil {
		return nil
	}
	return gw.Shutdown(ctx)
}

// mostAsync is how many asynchronous functions may run or wait at the same time: their
// clients are answered at once, and could send events faster than the functions end.
const mostAsync = 1000

// background runs an asynchronous function until shutdown ends its context. It returns
// false if too many run already.
func (s *stages) background(ctx context.Context, f func(context.Context) error) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.ended {
		return true
	}
	if s.async.Add(1) > mostAsync {
		s.async.Add(-1)
		return false
	}
	s.running.Go(func() {
		defer s.async.Add(-1)
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		defer s.onCutOff(cancel)()
		defer func() {
			if p := recover(); p != nil { // of a function of the program: it must not end the others
				s.log.ErrorContext(ctx, "an asynchronous function panicked", "panic", p, "stack", string(debug.Stack()))
			}
		}()
		if err := f(ctx); err != nil {
			s.noteCut(ctx)
			s.log.ErrorContext(ctx, "an asynchronous function failed", "error", err)
		}
	})
	return true
}

// noteCut notes that something has broken off, if its context has ended by cutOff.
func (s *stages) noteCut(ctx context.Context) {
	if errors.Is(ctx.Err(), context.Canceled) { // and not by a timeout of its own
		s.wasCut.Store(true)
	}
}

// shutdown closes all stages, as [gateway.Gateway.Shutdown] does, at the same time. It
// waits for those that were removed before, and for asynchronous functions, too.
func (s *stages) shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	var all []*stage
	for _, byName := range s.byAPI {
		for _, st := range byName {
			all = append(all, st)
		}
	}
	s.mu.Unlock()
	failed := make([]error, len(all))
	var group sync.WaitGroup
	for n, st := range all {
		group.Go(func() {
			if err := st.close(ctx); err != nil {
				failed[n] = fmt.Errorf("stage %s/%s: %w", st.apiID, st.name, err)
			}
		})
	}
	group.Wait()
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	defer s.cutOff()
	defer context.AfterFunc(ctx, s.cutOff)()
	s.running.Wait()
	if s.wasCut.Load() {
		failed = append(failed, ctx.Err())
	}
	return errors.Join(failed...)
}
