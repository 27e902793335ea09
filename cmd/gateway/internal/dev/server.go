package dev

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"example.com/gateway"
	"example.com/gateway/cmd/gateway/internal/body"
	"example.com/gateway/controlplane"
	"example.com/gateway/controlplane/boltstore"
	"example.com/gateway/definition"
	"example.com/gateway/lambda/api"
	"example.com/gateway/usageplan"
)

// server is everything that runs.
type server struct {
	o     Options
	print *printer
	log   *slog.Logger
	dir   string // state, or a temporary folder
	store *boltstore.Store
	keys  keys
	ports ports

	certificates *certificates
	plane        *controlplane.Server
	functions    *functions
	lambda       *api.Server // functions that clients make
	doors        []*door
	bodies       body.Limit
	failed       chan error

	wanted *definition.Definition // what was read last; nil without a file
	now    *definition.Definition // what was applied last
	files  watched                // the files that the definition was read from
}

// newServer makes everything, and opens the ports. Nobody is served before serve.
func newServer(ctx context.Context, o Options) (_ *server, err error) {
	s := &server{o: o, print: newPrinter(o.Out, o.Color)}
	s.log = slog.New(&handler{print: s.print, level: s.level()})
	defer func() {
		if err != nil {
			s.close(ctx)
		}
	}()
	if err := s.openState(); err != nil {
		return nil, err
	}
	if err := s.read(ctx); err != nil {
		return nil, err
	}
	if s.ports, err = listen(ctx, o); err != nil {
		return nil, err
	}
	if s.keys, err = newKeys(s.o.VerifySignatures); err != nil {
		return nil, err
	}
	if s.certificates, err = newCertificates(filepath.Join(s.dir, "tls"), s.region()); err != nil {
		return nil, fmt.Errorf("the certificate for TLS: %w", err)
	}
	s.functions = &functions{
		log: s.log, env: s.environment(), more: o.Env, pass: o.PassEnv,
		address: "localhost:" + strconv.Itoa(s.ports.tlsPort),
	}
	if state, err := os.Stat(s.dir); err == nil { // it may be a folder of the project
		s.functions.unwatched = append(s.functions.unwatched, state)
	}
	if s.lambda, err = api.New(s.lambdaConfig()); err != nil {
		return nil, err
	}
	c, err := s.config()
	if err != nil {
		return nil, err
	}
	functions := s.prepare() // before the stages of the state look for them
	if s.plane, err = controlplane.New(c); err != nil {
		return nil, err
	}
	if err := s.apply(ctx, functions); err != nil {
		return nil, err
	}
	s.makeDoors()
	return s, nil
}

func (s *server) makeDoors() {
	for _, l := range s.ports.plain {
		s.doors = append(s.doors, newDoor(l, s.bodies.Handler(s.handler()), nil, s.log))
	}
	for _, l := range s.ports.tls {
		s.doors = append(s.doors, newDoor(l, s.bodies.Handler(s.handler()), s.certificates, s.log))
	}
	s.failed = make(chan error, len(s.doors)) // one of each
}

func (s *server) level() slog.Level {
	if s.o.Debug {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// region is the one of the flag, or of the functions of the definition.
func (s *server) region() string {
	if s.o.Region == "" && s.wanted != nil && len(s.wanted.Functions) > 0 {
		if name, err := controlplane.ParseFunctionName(s.wanted.Functions[0].ARN); err == nil {
			return cmp.Or(name.Region, "us-east-1")
		}
	}
	return cmp.Or(s.o.Region, "us-east-1")
}

// openState opens the folder of the state, or makes a temporary one.
func (s *server) openState() error {
	if s.o.State == "" {
		dir, err := os.MkdirTemp("", "gateway-dev-")
		s.dir = dir
		return err
	}
	dir, err := filepath.Abs(s.o.State)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("--state: %w", err)
	}
	s.dir = dir
	s.store, err = boltstore.Open(filepath.Join(dir, "gateway.db"))
	switch {
	case errors.Is(err, boltstore.ErrCorrupt): // what the file lacks helps nobody
		return fmt.Errorf("--state %s: gateway.db is damaged: restore a backup of it, or move it away to begin without APIs", s.o.State)
	case errors.Is(err, boltstore.ErrInUse):
		return fmt.Errorf("--state %s: %w", s.o.State, err)
	}
	return err
}

func (s *server) config() (controlplane.Config, error) {
	options, err := s.stageOptions()
	c := controlplane.Config{
		Functions: resolvers{s.functions, s.lambda},
		Region:    s.region(), AccountID: s.o.AccountID,
		Endpoint: "ws://" + s.address(),
		Hosts:    s.ports.names(s.o.Hosts),
		TLSPort:  s.ports.tlsPort,
		Strict:   s.o.Strict, NoQuotas: s.o.NoQuotas,
		Auth: s.keys.access(s.o.VerifySignatures), ControlAuth: s.keys.control(s.o.VerifySignatures),
		Gateway: options,
		Logger:  s.log,
	}
	if s.store != nil {
		c.Store = s.store
	}
	return c, err
}

func (s *server) lambdaConfig() api.Config {
	c := api.Config{
		Store:  controlplane.NewMemory(),
		Dir:    filepath.Join(s.dir, "functions"),
		Region: s.region(), AccountID: s.o.AccountID,
		Hosts: s.ports.names(s.o.Hosts),
		Env:   s.environment(), Overrides: s.o.Env, PassEnv: s.o.PassEnv,
		Auth:   s.keys.lambda(s.o.VerifySignatures),
		Others: s.functions,
		Logger: s.log,
	}
	if s.store != nil {
		c.Store = s.store
	}
	return c
}

// stageOptions are the options of all stages. A page that this machine serves at another port
// may connect: that is where the page of an application is while it is made.
func (s *server) stageOptions() ([]gateway.Option, error) {
	plan := usageplan.Plan{ID: "dev", APIKeys: map[string]string{}}
	for n, value := range s.o.APIKeys {
		plan.APIKeys["key-"+strconv.Itoa(n+1)] = value
	}
	keys, err := usageplan.New(plan)
	if err != nil {
		return nil, usage("--api-key: %w", err)
	}
	origins := []string{"localhost", "*.localhost", "127.0.0.1", "[::1]"}
	for _, address := range s.ports.addresses {
		if strings.Contains(address, ":") {
			address = "[" + address + "]"
		}
		origins = append(origins, address)
	}
	options := []gateway.Option{
		gateway.WithObserver(s.observer()), gateway.WithUsageStore(keys),
		gateway.WithOriginPatterns(append(origins, s.o.Origins...)...),
	}
	g, err := gateway.New(options...) // now, and not with the first stage
	if err != nil {
		return nil, usage("--origin: %w", err)
	}
	more, err := s.o.extensions()
	return append(options, more...), errors.Join(err, g.Close())
}

// address is where the clients of this machine reach the plain port.
func (s *server) address() string { return "127.0.0.1:" + strconv.Itoa(s.ports.port) }

// handler serves every request of both ports.
func (s *server) handler() http.Handler {
	return s.calls(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.isPage(r):
			s.servePage(w)
		case api.Owns(r):
			s.lambda.ServeHTTP(w, r)
		default:
			s.plane.ServeHTTP(w, r)
		}
	}))
}

func (s *server) serve() {
	for _, d := range s.doors {
		go func() {
			if err := d.serve(); !errors.Is(err, http.ErrServerClosed) {
				s.failed <- fmt.Errorf("serving %s: %w", d.listener.Addr(), err)
			}
		}()
	}
}

// close ends at once what still runs, and removes what was only for this run.
func (s *server) close(ctx context.Context) {
	if s.plane != nil {
		cut, cancel := context.WithCancel(context.WithoutCancel(ctx))
		cancel() // nothing may wait here
		_ = s.plane.Shutdown(cut)
	}
	for _, d := range s.doors {
		_ = d.server.Close()
	}
	s.ports.close()
	if s.functions != nil {
		s.functions.close()
	}
	if s.lambda != nil {
		_ = s.lambda.Close()
	}
	if s.store != nil {
		_ = s.store.Close()
	}
	if s.o.State == "" && s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
	s.print.close()
}
