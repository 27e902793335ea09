package server

import (
	"errors"
	"reflect"
	"slices"

	"github.com/coreos/go-systemd/v22/daemon"

	"example.com/gateway/cmd/gateway/internal/config"
)

// reload reads the file again. If anything in it is wrong, nothing changes.
func (s *server) reload() {
	s.notify(reloading())
	defer s.notify(daemon.SdNotifyReady)
	earlier := *s.builder
	built, warnings, err := config.Load(s.file, config.Options{}, s.builder)
	if err != nil {
		*s.builder = earlier
		var problems config.Error
		if !errors.As(err, &problems) {
			problems = config.Error{{File: s.file, Text: err.Error()}}
		}
		for _, p := range problems {
			s.log.Error("not reloaded: the configuration is not valid", "problem", p.String())
		}
		return
	}
	for _, w := range warnings {
		s.log.Warn("the configuration may have a mistake", "problem", w.String())
	}
	for _, d := range s.doors { // also if the names of the files are the same
		if err := d.reload(); err != nil {
			s.log.Error("the certificate was not reloaded", "error", err)
		}
	}
	keys := fixed(s.started, built.Config)
	for _, key := range keys {
		s.log.Warn("a change needs a restart", "key", key)
	}
	if built.Management != nil && slices.Contains(keys, "management.listen") {
		built.Auth = s.now.Auth // the new one is meant for another port than the one that is open
	}
	if err := s.deploy(built); err != nil {
		*s.builder = earlier
		s.log.Error("not reloaded", "error", err)
		return
	}
	s.remove(s.builder.Removed(&earlier))
	s.log.Info("reloaded", "file", s.file, "routes", len(built.Deployment.Routes), "connections", s.gateway.Len())
}

// reloading is the message that begins a reload, for a unit of Type=notify-reload.
func reloading() string { return daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec() }

// parts are the parts of a configuration that only a restart can change.
func parts(c *config.Config) map[string]any {
	var listen *config.Listener
	extensions := false
	if c.Management != nil {
		listen, extensions = c.Management.Listen, c.Management.Extensions
	}
	return map[string]any{
		"stage": c.Stage, "api": c.API, "path": c.Path, "listen": c.Listen, "health": c.Health, "log.format": c.Log.Format,
		"origins": c.Origins, "proxies": c.Proxies, "autoResponse": c.AutoResponse, "compression": c.Compression, "answerCommands": c.AnswerCommands,
		"binaryMessages": c.BinaryMessages, "quotas": c.Quotas, "management.listen": listen, "management.extensions": extensions,
	}
}

// fixed returns the keys of what has changed since the start, but needs a restart.
func fixed(started, now *config.Config) (keys []string) {
	a, b := parts(started), parts(now)
	for _, key := range []string{"stage", "api", "path", "listen", "health", "log.format", "origins", "proxies", "autoResponse", "compression", "answerCommands", "binaryMessages", "quotas", "management.listen", "management.extensions"} {
		if !reflect.DeepEqual(a[key], b[key]) {
			keys = append(keys, key)
		}
	}
	return keys
}
