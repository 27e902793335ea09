// Package server runs a gateway as its configuration says, until a signal ends it.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"example.com/gateway"
	"example.com/gateway/cmd/gateway/internal/body"
	"example.com/gateway/cmd/gateway/internal/config"
	"example.com/gateway/usageplan"
)

// Run serves what the configuration in file says, and logs to out. It returns after SIGTERM
// or SIGINT, when all connections are closed. SIGHUP makes it read the file again. The error
// is a config.Error if the configuration is not valid.
func Run(ctx context.Context, file string, out io.Writer) error {
	signals := make(chan os.Signal, 4) // before anything else, so that none is lost
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)

	s := &server{file: file, builder: &config.Builder{}}
	s.builder.NewLogger = func(l config.Log, level slog.Level) *slog.Logger { return s.logger(l, level, out) }
	built, warnings, err := config.Load(file, config.Options{}, s.builder)
	if err != nil {
		return err
	}
	defer s.closeFunctions()
	for _, w := range warnings {
		s.log.Warn("the configuration may have a mistake", "problem", w.String())
	}
	if err := s.start(ctx, built); err != nil {
		s.close()
		return err
	}
	return s.wait(ctx, signals)
}

type server struct {
	file    string
	builder *config.Builder
	now     *config.Built  // what is served
	started *config.Config // what the ports and everything else that only a restart changes are made of
	log     *slog.Logger
	level   slog.LevelVar
	gateway *gateway.Gateway
	usage   *usageplan.Store
	access  access
	front   front
	doors   []*door
	bodies  body.Limit
	failed  chan error
	removed []removed // functions, by reloads
}

// logger makes the log. Its level can change, its format cannot.
func (s *server) logger(l config.Log, level slog.Level, out io.Writer) *slog.Logger {
	s.level.Set(level)
	options := &slog.HandlerOptions{Level: &s.level, ReplaceAttr: inUserWords}
	if l.Format == "json" {
		s.log = slog.New(slog.NewJSONHandler(out, options))
	} else {
		s.log = slog.New(slog.NewTextHandler(out, options))
	}
	return s.log
}

// start opens all ports, and then says that it is ready.
func (s *server) start(ctx context.Context, built *config.Built) error {
	var err error
	if s.usage, err = usageplan.New(); err != nil {
		return err
	}
	options := append(built.Options, gateway.WithLogger(s.log), gateway.WithUsageStore(s.usage), gateway.WithManagementAuth(&s.access))
	if s.gateway, err = gateway.New(options...); err != nil {
		return err
	}
	if err := s.deploy(built); err != nil {
		return err
	}
	s.started = built.Config
	s.front = front{path: built.Path, upgrades: s.gateway.Handler(), management: s.gateway.ManagementHandler()}
	s.failed = make(chan error, len(built.Listen)+2)
	for _, l := range built.Listen {
		apart := built.Management != nil && built.Management.Listen != nil
		if err := s.open(ctx, "clients", l, s.front.clients(!apart)); err != nil {
			return err
		}
	}
	if m := built.Management; m != nil && m.Listen != nil {
		if err := s.open(ctx, "management", *m.Listen, http.HandlerFunc(s.front.serveManagement)); err != nil {
			return err
		}
	}
	if built.Health != "" {
		if err := s.open(ctx, "health", config.Listener{Address: built.Health}, s.front.health()); err != nil {
			return err
		}
	}
	s.front.ready.Store(true)
	s.log.Info("ready", "file", s.file, "stage", built.Stage, "routes", len(built.Deployment.Routes))
	s.notify(daemon.SdNotifyReady)
	return nil
}

// deploy replaces everything that can be replaced while the gateway runs. After an error all
// is as it was: config.Load has tried the plans, so that only Deploy can fail.
func (s *server) deploy(built *config.Built) error {
	if err := s.gateway.Deploy(built.Deployment); err != nil {
		return err
	}
	if err := s.usage.Replace(built.Plans...); err != nil {
		return err
	}
	s.access.set(built.Auth, built.Management != nil && built.Management.Extensions)
	s.level.Set(built.Level)
	s.now = built
	return nil
}

// open opens a port, and serves h there.
func (s *server) open(ctx context.Context, purpose string, l config.Listener, h http.Handler) error {
	d, err := newDoor(l, s.bodies.Handler(h), s.log)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.Address)
	if err != nil {
		return fmt.Errorf("cannot listen on %s for %s: %w: stop what uses it, or change the address in %s", l.Address, purpose, err, s.file)
	}
	s.doors = append(s.doors, d)
	s.log.Info("listening", "for", purpose, "address", listener.Addr().String(), "tls", l.TLS != nil)
	go func() {
		if err := d.serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("serving %s on %s: %w", purpose, l.Address, err)
		}
	}()
	return nil
}

// wait reloads and stops as signals say, and tells systemd that all is well.
func (s *server) wait(ctx context.Context, signals <-chan os.Signal) error {
	var alive <-chan time.Time
	if every, err := daemon.SdWatchdogEnabled(false); err == nil && every > 0 {
		ticker := time.NewTicker(every / 2)
		defer ticker.Stop()
		alive = ticker.C
	}
	for {
		select {
		case <-alive:
			s.notify(daemon.SdNotifyWatchdog)
		case err := <-s.failed:
			s.close()
			return err
		case <-ctx.Done():
			return s.drain(ctx, signals)
		case sig := <-signals:
			if sig == syscall.SIGHUP {
				s.reload()
				continue
			}
			s.log.Info("stopping", "signal", sig.String(), "connections", s.gateway.Len())
			return s.drain(context.WithoutCancel(ctx), signals)
		}
	}
}

// drain ends all connections: the gateway first, because an http.Server does not know of
// them. A second signal ends it at once.
func (s *server) drain(ctx context.Context, signals <-chan os.Signal) error {
	s.front.ready.Store(false)
	s.notify(daemon.SdNotifyStopping)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	over := make(chan struct{})
	defer close(over)
	go func() {
		for {
			select {
			case sig := <-signals:
				if sig != syscall.SIGHUP {
					s.log.Warn("stopping at once", "signal", sig.String())
					cancel()
				}
			case <-over:
				return
			}
		}
	}()
	select { // load balancers notice that the server is not ready
	case <-time.After(s.now.Shutdown.Delay):
	case <-ctx.Done():
	}
	ctx, stop := context.WithTimeout(ctx, s.now.Shutdown.Timeout)
	defer stop()
	s.bodies.Stop()
	err := s.gateway.Shutdown(ctx)
	for _, d := range s.doors {
		err = errors.Join(err, d.shutdown(ctx))
	}
	if err == nil {
		s.log.Info("stopped")
	}
	return err
}

// close ends everything at once.
func (s *server) close() {
	if s.gateway != nil {
		_ = s.gateway.Close()
	}
	for _, d := range s.doors {
		_ = d.server.Close()
	}
}

// notify tells systemd, if it has started this process and wants to know.
func (s *server) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		s.log.Warn("systemd was not told", "state", state, "error", err)
	}
}
