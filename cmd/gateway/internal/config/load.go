package config

import (
	"cmp"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/token"

	"example.com/gateway"
)

// Options say how a file is read.
type Options struct {
	// WithoutSecrets checks a configuration without the environment variables and files
	// that have its secrets and certificates. What is built of it must not be used.
	WithoutSecrets bool
}

// Load reads and checks a file, and builds what it describes, by b. The error is an Error, if
// the file could be read, and has everything that is wrong. The warnings are about what is
// allowed but probably a mistake; there are none beside an error.
func Load(file string, o Options, b *Builder) (built *Built, warnings []Problem, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, Error{{File: file, Text: "cannot be read: " + reason(err)}}
	}
	c := &Config{dir: filepath.Dir(file)}
	r := &reader{decoder: decoder{file: file, places: map[string]*token.Position{}}, Config: c, options: o}
	r.secret = r.readSecret
	r.decode(text, c)
	if len(r.places) == 0 { // it is not YAML
		return nil, nil, Error(r.problems)
	}
	r.check()
	built = r.build(b)
	if len(r.problems) > 0 {
		return nil, nil, Error(sorted(r.problems))
	}
	return built, sorted(r.warnings), nil
}

// reader checks a configuration, and knows where each value stands.
type reader struct {
	decoder
	*Config
	options  Options
	warnings []Problem
}

// warn is report for what is allowed.
func (r *reader) warn(path, text string) {
	problems := r.problems
	r.problems = nil
	r.report(path, "%s", text)
	r.warnings, r.problems = append(r.warnings, r.problems...), problems
}

// has reports whether the file has a value at path, a wrong one included.
func (r *reader) has(path string) bool { return r.places[path] != nil }

// reason is an error of the file system without the name of the file.
func reason(err error) string {
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		return pathError.Err.Error()
	}
	return err.Error()
}

// readSecret reads a secret from where the configuration says it is.
func (r *reader) readSecret(s *Secret, path string) {
	if (s.Environment == "") == (s.File == "") {
		r.report(path, "write either environment or file: where the secret is")
		return
	}
	if r.options.WithoutSecrets {
		s.value = strings.Repeat("-", 32) + path // long enough for every use
		return
	}
	if s.Environment != "" {
		if s.value = os.Getenv(s.Environment); s.value == "" {
			r.report(under(path, "environment"), "the environment variable %s is not set", s.Environment)
		}
		return
	}
	text, err := os.ReadFile(r.within(s.File))
	if err != nil {
		r.report(under(path, "file"), "%s: %s", s.File, reason(err))
		return
	}
	if s.value = strings.TrimRight(string(text), "\r\n"); s.value == "" {
		r.report(under(path, "file"), "%s is empty", s.File)
	}
}

// check checks all that is not part of a deployment, and sets the defaults.
func (r *reader) check() {
	c := r.Config
	if c.Stage == "" && !r.has("stage") {
		r.report("", "stage is missing: name the stage, as in \"stage: prod\"")
	} else {
		r.option("stage", gateway.WithStage(c.Stage, nil))
	}
	r.option("api", gateway.WithAPI(c.API.ID, c.API.DomainName))
	r.checkPath()
	if len(c.Listen) == 0 && !r.has("listen") {
		r.report("", "listen is missing: write at least one address that clients reach, as in \"listen: [{address: :8080}]\"")
	}
	for n := range c.Listen {
		r.checkListener(&c.Listen[n], under("listen", strconv.Itoa(n+1)))
	}
	if c.Health != "" {
		r.checkAddress(c.Health, "health")
	}
	c.Log.Level = r.oneOf("log.level", cmp.Or(c.Log.Level, "info"), "debug", "info", "warn", "error")
	c.Log.Format = r.oneOf("log.format", cmp.Or(c.Log.Format, "text"), "text", "json")
	if !r.has("shutdown.timeout") {
		c.Shutdown.Timeout = 25 * time.Second
	}
	for n, pattern := range c.Origins {
		r.option(under("origins", strconv.Itoa(n+1)), gateway.WithOriginPatterns(pattern))
	}
	for n, proxy := range c.Proxies {
		at := under("proxies", strconv.Itoa(n+1))
		network, err := prefix(proxy)
		if err != nil {
			r.report(at, "%q is not an address or a network: write one as 10.0.0.7 or 10.0.0.0/8", proxy)
			continue
		}
		r.option(at, gateway.WithTrustedProxies(network))
	}
	for _, text := range slices.Sorted(maps.Keys(c.AutoResponse)) {
		r.option(under("autoResponse", text), gateway.WithAutoResponse(text, c.AutoResponse[text]))
	}
	if c.Compression != nil {
		r.option("compression", c.Compression.option())
	}
	r.option("quotas", gateway.WithQuotas(c.Quotas.quotas()))
	if c.RouteSelectionExpression != "" {
		r.option("routeSelectionExpression", gateway.WithRouteSelectionExpression(c.RouteSelectionExpression))
	}
	c.APIKeySource = r.oneOf("apiKeySource", cmp.Or(c.APIKeySource, "header"), "header", "authorizer")
	if c.Management != nil {
		r.checkManagement(c.Management)
	}
}

// option reports what package gateway says against an option.
func (r *reader) option(path string, o gateway.Option) {
	if _, err := gateway.New(o); err != nil {
		r.report(path, "%s", plain(err))
	}
}

// plain is the text of an error of package gateway without what only programmers know.
func plain(err error) string {
	text := strings.TrimPrefix(err.Error(), gateway.ErrInvalidOption.Error()+": ")
	if name, rest, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(name, "With") {
		return rest
	}
	return text
}

func (r *reader) checkPath() {
	c := r.Config
	if !r.has("path") {
		c.Path = "/" + c.Stage
	}
	u, err := url.Parse(c.Path)
	switch {
	case err != nil || u.Path != c.Path || !strings.HasPrefix(c.Path, "/") || strings.Contains(c.Path, "//"):
		r.report("path", "%q is not a path: write one as /prod", c.Path)
	case c.Path != "/" && strings.HasSuffix(c.Path, "/"):
		r.report("path", "%q ends in a slash: remove it", c.Path)
	case strings.Contains(c.Path, "@connections"):
		r.report("path", "@connections has its own path below this one: choose another path")
	}
}

func (r *reader) checkListener(l *Listener, path string) {
	if l.Address == "" {
		r.report(path, "address is missing: write one as :8080 or 127.0.0.1:8080")
	} else {
		r.checkAddress(l.Address, under(path, "address"))
	}
	if l.TLS == nil {
		return
	}
	at := under(path, "tls")
	if l.TLS.Certificate == "" || l.TLS.Key == "" {
		r.report(at, "write both certificate and key: the names of two PEM files")
		return
	}
	l.TLS.Certificate, l.TLS.Key = r.within(l.TLS.Certificate), r.within(l.TLS.Key)
	if r.options.WithoutSecrets { // a key is one
		return
	}
	if _, err := tls.LoadX509KeyPair(l.TLS.Certificate, l.TLS.Key); err != nil {
		r.report(at, "%s", strings.TrimPrefix(err.Error(), "tls: "))
	}
}

func (r *reader) checkAddress(address, path string) {
	_, port, err := net.SplitHostPort(address)
	if n, bad := strconv.Atoi(port); err != nil || bad != nil || n < 0 || n > 65535 {
		r.report(path, "%q is not an address with a port: write one as :8080, 127.0.0.1:8080 or [::1]:8080", address)
	}
}

func (r *reader) oneOf(path, value string, allowed ...string) string {
	if !slices.Contains(allowed, value) {
		r.report(path, "%q is not possible: write %s", value, strings.Join(allowed, " or "))
	}
	return value
}

func (r *reader) checkManagement(m *Management) {
	if m.Access == "" {
		r.report("management", "access is missing: write signed, and keys, or open")
	} else {
		r.oneOf("management.access", m.Access, "signed", "open")
	}
	if m.Access == "open" && len(m.Keys) > 0 {
		r.report("management.keys", "with access: open nobody is asked for a key: remove keys, or write access: signed")
	}
	if m.Listen != nil {
		r.checkListener(m.Listen, "management.listen")
	}
}

// prefix is a network, or the network of one address.
func prefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return a.Prefix(a.BitLen())
	}
	return netip.ParsePrefix(text)
}

// quotas makes those of package gateway.
func (q Quotas) quotas() gateway.Quotas {
	newConnections := gateway.Throttle{RateLimit: q.NewConnections.Rate, BurstLimit: q.NewConnections.Burst}
	return gateway.Quotas{
		FrameBytes: int(q.FrameBytes), MessageBytes: int(q.MessageBytes),
		IdleTimeout: time.Duration(q.IdleTimeout), PingsResetIdle: q.PingsResetIdle, PongsResetIdle: q.PongsResetIdle,
		ConnectionDuration: time.Duration(q.ConnectionDuration), IntegrationTimeout: time.Duration(q.IntegrationTimeout),
		WriteTimeout: time.Duration(q.WriteTimeout), SendBufferBytes: int(q.SendBufferBytes),
		SendBufferMessages: int(q.SendBufferMessages), InFlight: int(q.InFlight),
		PingInterval: time.Duration(q.PingInterval), NewConnections: newConnections,
		Connections: int(q.Connections), ConnectionsPerSourceIP: int(q.ConnectionsPerSourceIP),
		HeaderBytes: int(q.HeaderBytes), URLBytes: int(q.URLBytes), StateBytes: int(q.StateBytes),
		GroupsPerConnection: int(q.GroupsPerConnection),
	}
}
