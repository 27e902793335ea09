package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"example.com/gateway"
	"example.com/gateway/cmd/gateway/internal/config"
)

// front chooses the handler of a request by its path.
type front struct {
	path                 string
	upgrades, management http.Handler
	ready                atomic.Bool
}

// clients serves upgrades at the path and, if withManagement, @connections below it.
func (f *front) clients(withManagement bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == f.path, r.URL.Path == f.path+"/":
			f.upgrades.ServeHTTP(w, r)
		case withManagement:
			f.serveManagement(w, r)
		default:
			notFound(w)
		}
	})
}

// serveManagement serves the calls of @connections below the path. Some clients write two
// slashes before @connections.
func (f *front) serveManagement(w http.ResponseWriter, r *http.Request) {
	rest, ok := strings.CutPrefix(r.URL.Path, strings.TrimSuffix(f.path, "/"))
	if ok && strings.HasPrefix(strings.TrimLeft(rest, "/")+"/", "@connections/") && strings.HasPrefix(rest, "/") {
		f.management.ServeHTTP(w, r)
		return
	}
	notFound(w)
}

func notFound(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte(`{"message":"Not Found"}`))
}

// health says that the process lives, and whether it takes new connections.
func (f *front) health() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !f.ready.Load() {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ready\n"))
	})
	return mux
}

// access decides who may call @connections. The decision can be replaced.
type access struct {
	auth       atomic.Pointer[gateway.ManagementAuth]
	extensions atomic.Bool // the calls that the service does not have are open
}

func (a *access) set(auth gateway.ManagementAuth, extensions bool) {
	a.extensions.Store(extensions)
	a.auth.Store(&auth)
}

// AuthorizeManagement implements gateway.ManagementAuth.
func (a *access) AuthorizeManagement(ctx context.Context, call *gateway.ManagementCall) error {
	auth := a.auth.Load()
	if auth == nil || *auth == nil || call.Action.IsExtension() && !a.extensions.Load() {
		return gateway.ErrForbidden
	}
	return (*auth).AuthorizeManagement(ctx, call)
}

// door is one address with its server.
type door struct {
	server      *http.Server
	files       *config.TLS
	certificate atomic.Pointer[tls.Certificate]
}

func newDoor(l config.Listener, h http.Handler, log *slog.Logger) (*door, error) {
	d := &door{files: l.TLS}
	if err := d.reload(); err != nil {
		return nil, err
	}
	d.server = &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // what strangers send
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){},
		TLSConfig: &tls.Config{
			MinVersion:     tls.VersionTLS12,
			NextProtos:     []string{"http/1.1"}, // upgrades need it
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return d.certificate.Load(), nil },
		},
	}
	return d, nil
}

// reload reads the certificate again.
func (d *door) reload() error {
	if d.files == nil {
		return nil
	}
	c, err := tls.LoadX509KeyPair(d.files.Certificate, d.files.Key)
	if err != nil {
		return fmt.Errorf("%s, %s: %w", d.files.Certificate, d.files.Key, err)
	}
	d.certificate.Store(&c)
	return nil
}

func (d *door) serve(l net.Listener) error {
	if d.files == nil {
		return d.server.Serve(l)
	}
	return d.server.ServeTLS(l, "", "")
}

// shutdown waits for the requests that run, and cuts them when ctx ends.
func (d *door) shutdown(ctx context.Context) error {
	err := d.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, d.server.Close())
	}
	return err
}
