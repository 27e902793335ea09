package controlplane

import (
	"cmp"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"example.com/gateway/internal/apicall"
	"example.com/gateway/internal/caller"
	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/domain"
)

// This file finds the stage of a request. Clients come by one of these addresses:
//
//	ws://{host of ours}/{API ID}/{stage}
//	ws://{API ID}.execute-api.{region}.{host of ours}/{stage}
//	ws://{custom domain name}/{API mapping key}
//
// Backends call @connections behind each of them, and behind any name of a stage: the ID of
// the connection finds its stage. A call for an audience has no ID, so its address has to
// lead to one stage.

// hostKind says what the Host header of a request names.
type hostKind int

const (
	foreign    hostKind = iota // nothing of ours
	ours                       // the server
	executeAPI                 // the default endpoint of an API
	custom                     // a custom domain name
)

// host is what the Host header of a request names.
type host struct {
	kind     hostKind
	name     string // without a port, in lower case
	apiID    string // of executeAPI
	mappings map[string]mapping
}

// mapping is an API mapping of a custom domain name.
type mapping struct{ apiID, stageName string }

// syncDomains replaces the API mappings of custom domain names, and makes names that are
// new. A name whose mappings are nil is removed.
func (s *stages) syncDomains(mappings map[string][]document) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, all := range mappings {
		if all == nil {
			delete(s.domains, strings.ToLower(name))
		}
	}
	for name, all := range mappings { // which may be one of those, in other letters
		if all == nil {
			continue
		}
		byKey := make(map[string]mapping, len(all))
		for _, m := range all {
			byKey[textOf(m, "apiMappingKey")] = mapping{textOf(m, "apiId"), textOf(m, "stage")}
		}
		s.domains[strings.ToLower(name)] = byKey
	}
}

// hostOf reads the Host header of a request.
func (s *stages) hostOf(r *http.Request) host {
	name := caller.Hostname(r.Host)
	if s.isOurs(name) {
		return host{kind: ours, name: name}
	}
	if apiID, rest, ok := strings.Cut(name, ".execute-api."); ok && apiID != "" && !strings.Contains(apiID, ".") {
		if _, suffix, ok := strings.Cut(rest, "."); ok && s.isOurs(suffix) {
			return host{kind: executeAPI, name: name, apiID: apiID}
		}
	}
	s.mu.RLock()
	mappings, ok := s.domains[name]
	if !ok {
		if _, parent, found := strings.Cut(name, "."); found {
			mappings, ok = s.domains["*."+parent]
		}
	}
	s.mu.RUnlock()
	switch {
	case ok:
		return host{kind: custom, name: name, mappings: mappings}
	case caller.IsBelowLocalhost(name):
		return host{kind: ours, name: name}
	}
	return host{kind: foreign, name: name}
}

// isOurs reports whether name is a name of the server. Any other name could be one that a
// hostile page has made point to this machine.
func (s *stages) isOurs(name string) bool {
	return caller.IsLocalName(name) || s.hosts[name]
}

// owns reports whether a request is for the data plane: an upgrade, a call of @connections,
// anything for the host of an API or a custom domain name, and anything for a host that is
// not ours, which ServeHTTP refuses.
func (s *stages) owns(r *http.Request, at host) bool {
	if at.kind != ours {
		return true
	}
	path := segments(r)
	switch {
	case len(path) == 0:
		return r.Header.Get("Upgrade") != ""
	case path[0] == "v2":
		return false
	case isConnections(path) || r.Header.Get("Upgrade") != "":
		return true
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byAPI[path[0]] != nil
}

// segments returns the segments of a path, unescaped and without empty ones; nil if one
// cannot be unescaped.
func segments(r *http.Request) []string {
	var path []string
	for segment := range strings.SplitSeq(r.URL.EscapedPath(), "/") {
		text, err := url.PathUnescape(segment)
		switch {
		case err != nil:
			return nil
		case text != "":
			path = append(path, text)
		}
	}
	return path
}

// isConnections reports whether a path is one of @connections.
func isConnections(path []string) bool {
	_, resource := apicall.Find(path)
	return resource.Kind != apicall.None
}

// ServeHTTP serves upgrades and calls of @connections, at any address of a stage.
func (s *stages) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.serve(w, r, s.hostOf(r)) }

func (s *stages) serve(w http.ResponseWriter, r *http.Request, at host) {
	path := segments(r)
	switch {
	case at.kind == foreign:
		forbid(w, "Forbidden: "+strconv.Quote(at.name)+" is not a name of this server: if it should be, add it to its hosts")
	case isConnections(path):
		s.serveConnections(w, r, at, path)
	default:
		s.serveUpgrade(w, r, at, path)
	}
}

// forbid answers as the service does for a stage that does not exist.
func forbid(w http.ResponseWriter, message string) {
	header, id := w.Header(), connid.NewRequest()
	header.Set("Content-Type", "application/json")
	header["x-amzn-RequestId"] = []string{id}
	header["x-amz-apigw-id"] = []string{id}
	header["x-amzn-ErrorType"] = []string{"ForbiddenException"}
	body, _ := json.Marshal(map[string]string{"message": message}) // strings: cannot fail
	w.WriteHeader(http.StatusForbidden)
	_, _ = w.Write(body)
}

func (s *stages) serveUpgrade(w http.ResponseWriter, r *http.Request, at host, path []string) {
	target := s.target(at, path).deployed()
	if target == nil {
		s.explain(at, path)
	}
	if target == nil || target.endpointDisabled && at.kind != custom {
		forbid(w, "Forbidden")
		return
	}
	if name := s.domainName(r, at); name != "" {
		r = r.WithContext(domain.NewContext(r.Context(), name))
	}
	target.upgrades.ServeHTTP(w, r)
}

// explain tells the log about a client whose address has no stage that serves.
func (s *stages) explain(at host, path []string) {
	apiID := at.apiID
	if at.kind == ours && len(path) > 0 {
		apiID, path = path[0], path[1:]
	}
	if s.advise != nil && at.kind != custom {
		s.advise(apiID, strings.Join(path, "/"))
	}
}

// target returns the stage that an upgrade is for, or nil.
func (s *stages) target(at host, path []string) *stage {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch {
	case at.kind == custom:
		m := longestMapping(at.mappings, path)
		return s.byAPI[m.apiID][m.stageName]
	case at.kind == executeAPI && len(path) == 1:
		return s.byAPI[at.apiID][path[0]]
	case at.kind == ours && len(path) == 2:
		return s.byAPI[path[0]][path[1]]
	}
	return nil
}

// longestMapping returns the mapping whose key is a beginning of the path, by whole
// segments. If there are several, it is the one with the longest key. The empty key is the
// beginning of every path. If there is none, it is the zero mapping, which names no stage.
func longestMapping(mappings map[string]mapping, path []string) mapping {
	for n := len(path); n >= 0; n-- {
		if m, ok := mappings[strings.Join(path[:n], "/")]; ok {
			return m
		}
	}
	return mapping{}
}

// deployed returns what the stage serves, or nil. The stage may be nil.
func (st *stage) deployed() *served {
	if st == nil {
		return nil
	}
	return st.served.Load()
}

// domainName returns the domain name for events, or "" for the Host header. Functions put
// https:// before it.
func (s *stages) domainName(r *http.Request, at host) string {
	if s.cfg.TLSPort == 0 || r.TLS != nil {
		return ""
	}
	name := at.name
	if caller.IsLocalName(name) {
		name = "localhost" // which every certificate for this machine has
	}
	if s.cfg.TLSPort == 443 && !strings.Contains(name, ":") {
		return name
	}
	return net.JoinHostPort(name, strconv.Itoa(s.cfg.TLSPort))
}

// serveConnections serves a call of @connections. It refuses one that a page of another
// origin makes, and one at the default endpoint of an API that has disabled it. A path
// without an API, /@connections/{ID}, is not such an endpoint, so it works for every API.
//
// The gateway of the stage reads the path with its empty segments. It must read the same
// resource from it: a stage that was found for a connection must not serve a call for
// an audience. If the gateway finds no resource at all, it says so in its answer.
func (s *stages) serveConnections(w http.ResponseWriter, r *http.Request, at host, path []string) {
	before, resource := apicall.Find(path)
	prefix := path[:before]
	if read := apicall.ParsePath(r.URL.EscapedPath()); read.Kind != apicall.None && read != resource {
		forbid(w, "Forbidden")
		return
	}
	var target *served
	if resource.Kind == apicall.Collection {
		target = s.onlyStage(at, prefix)
	} else {
		target = s.connectionsTarget(r, at, prefix, resource.ConnectionID)
	}
	defaultEndpoint := at.kind == executeAPI || at.kind == ours && len(prefix) > 1 // {API ID}/{stage}/@connections/{ID}
	if target == nil || target.endpointDisabled && defaultEndpoint || !caller.SameOrigin(r) {
		forbid(w, "Forbidden")
		return
	}
	if name := s.stageOfURL(target, at, prefix); name != "" {
		r = r.WithContext(context.WithValue(r.Context(), stageOfURL{}, name))
	}
	target.management.ServeHTTP(w, r)
}

// onlyStage returns the stage whose connections an address names: the one that it leads to
// as for an upgrade, but without further segments, or the only one that serves under this
// name. If several APIs have a stage with this name, the address names none of them: a
// message for all connections of a stage must not reach those of another one.
func (s *stages) onlyStage(at host, prefix []string) *served {
	if _, exact := at.mappings[strings.Join(prefix, "/")]; at.kind == custom && !exact {
		return nil
	}
	if st := s.target(at, prefix); st != nil {
		return st.deployed()
	}
	if at.kind != ours || len(prefix) > 1 {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var only *served
	for _, byName := range s.byAPI {
		for name, st := range byName {
			found := st.deployed()
			switch {
			case found == nil || len(prefix) == 1 && prefix[0] != name:
			case only != nil:
				return nil
			default:
				only = found
			}
		}
	}
	return only
}

// stageOfURL is the key of the stage that the URL of a call of @connections names, in the
// context of the call, if it is another one than that of the connection.
type stageOfURL struct{}

// stageOfURL returns the name of the stage that a URL of @connections leads to, if it is
// another one of the same API.
func (s *stages) stageOfURL(target *served, at host, prefix []string) string {
	if len(prefix) == 0 || prefix[len(prefix)-1] == target.stageName {
		return ""
	}
	name := prefix[len(prefix)-1]
	if at.kind == custom {
		name = longestMapping(at.mappings, prefix).stageName
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if name == target.stageName || s.byAPI[target.apiID][name] == nil {
		return ""
	}
	return name
}

// connectionsTarget returns the stage that a call of @connections is for: that of the
// connection, if the address allows its API. If there is no such connection, it is a stage
// that the address leads to: that stage says what is wrong with the ID.
func (s *stages) connectionsTarget(r *http.Request, at host, prefix []string, id string) *served {
	s.mu.RLock()
	defer s.mu.RUnlock()
	allowed := s.allowedAPIs(at, prefix)
	if st := s.holder(r, id); st != nil && (allowed == nil || allowed[st.apiID]) {
		if gw := st.deployed(); gw != nil {
			return gw
		}
	}
	return s.first(allowed, prefix).deployed()
}

// first returns the first stage of the allowed APIs, by its ID: one with the name at the end
// of the path if there is one, else any. It returns nil if there is none.
func (s *stages) first(allowed map[string]bool, prefix []string) *stage {
	var named, other *stage
	for apiID, byName := range s.byAPI {
		if allowed != nil && !allowed[apiID] {
			continue
		}
		for name, st := range byName {
			best := &other
			if len(prefix) > 0 && name == prefix[len(prefix)-1] {
				best = &named
			}
			if st.deployed() != nil && (*best == nil || apiID+"/"+name < (*best).apiID+"/"+(*best).name) {
				*best = st
			}
		}
	}
	return cmp.Or(named, other)
}

// allowedAPIs returns the APIs that an address of @connections leads to. nil means all.
func (s *stages) allowedAPIs(at host, prefix []string) map[string]bool {
	switch {
	case at.kind == executeAPI:
		return map[string]bool{at.apiID: true}
	case at.kind == ours && len(prefix) > 1:
		return map[string]bool{prefix[0]: true}
	case at.kind == custom:
		allowed := make(map[string]bool, len(at.mappings))
		for _, m := range at.mappings {
			allowed[m.apiID] = true
		}
		return allowed
	}
	return nil
}

// holder returns the stage whose connection has an ID, or nil.
func (s *stages) holder(r *http.Request, id string) *stage {
	tag, ok := connid.Parse(id)
	if !ok {
		return nil
	}
	tagged := s.byTag[tag]
	for _, st := range tagged {
		if gw := st.deployed(); gw != nil && len(tagged) > 1 { // by chance, two have the same tag
			if _, err := gw.gw.GetConnection(r.Context(), id); err != nil {
				continue
			}
		}
		return st
	}
	return nil
}
