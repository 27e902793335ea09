// Package controlplane answers the REST API of API Gateway V2 (version 2018-11-29) for
// WebSocket APIs, and serves the stages that are made through it. SDKs, the AWS CLI and
// Terraform create APIs, routes, integrations, deployments and stages here as they do on
// AWS, and clients connect to the stages at once.
//
//	server, err := controlplane.New(controlplane.Config{
//		Endpoint:  "ws://127.0.0.1:4567",
//		Functions: controlplane.Functions{"chat": lambda.NewInvoker(handle)},
//	})
//	…
//	http.ListenAndServe("127.0.0.1:4567", server)
//
// A resource is a JSON document. One table says which members each kind of resource has,
// and five verbs read the table. What HTTP APIs have and WebSocket APIs do not is refused
// with 400 BadRequestException.
//
// The server is closed by default. It answers callers of the same machine only, unless
// [Config].ControlAuth decides who may call; never a request whose Host header is none of
// its names, as after DNS rebinding; and never a request from a page of another origin.
package controlplane

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"example.com/gateway"
)

// Config says how a [Server] answers. The zero value has no functions, and keeps its state
// in memory.
type Config struct {
	// Store keeps the documents. nil means in memory, until the process ends. The Server
	// does not close it.
	Store Store
	// Functions finds the functions that integrations and authorizers name. nil means
	// that there are none: every call of a function fails.
	Functions FunctionResolver
	// VPCLinks are the base URLs behind VPC links, by the connection ID of the
	// integration: "http://127.0.0.1:8080". Scheme and host of the integration's URI are
	// replaced by it.
	VPCLinks map[string]string
	// Region and AccountID are those of ARNs. "" means us-east-1 and 123456789012.
	Region, AccountID string
	// Endpoint is the base of apiEndpoint: "ws://127.0.0.1:4567". "" means that
	// apiEndpoint is the address that the API would have on AWS.
	Endpoint string
	// Hosts are names that the Host header of a request may have, without a port, in
	// addition to those of Endpoint and of this machine: localhost and loopback addresses.
	// Each is a suffix of default endpoints, too:
	// {API ID}.execute-api.{region}.{suffix}.
	Hosts []string
	// TLSPort is the port at which the Server is served with TLS, for the domain name in
	// events: functions put https:// before it. 0 means that the domain name is the Host
	// header of the client.
	TLSPort int
	// Strict refuses what the service refuses although published examples have it, such
	// as payloadFormatVersion 2.0. Otherwise it is accepted, and the log has a warning.
	Strict bool
	// NoQuotas lifts the service's quotas of resources: 600 APIs and 120 custom domain
	// names, and for each API 300 routes, 300 integrations, 10 stages and 10 authorizers.
	// It lifts our own, too: 10,000 resources for each API, 100 MiB for each API with its
	// deployments, and 1 GiB for all.
	NoQuotas bool
	// Auth decides who may call @connections. A call whose URL names another stage than
	// that of the connection is decided for both. If Auth is a [gateway.Authorizer], too,
	// as *iam.Auth is, it also decides who may connect to a route with the authorization
	// type AWS_IAM. nil means that callers on this machine may call @connections, and that
	// nobody may connect to such a route.
	Auth gateway.ManagementAuth
	// ControlAuth decides who may call the REST API. A *sigv4.Verifier whose Service is
	// "apigateway" checks the signatures of SDKs. nil means that callers on this machine
	// may call it, and nobody else.
	//
	// The Action of a call is "apigateway:" and its HTTP method, as in IAM policies. APIID
	// is the API that the path of the call names, or "". Stage and ConnectionID are empty.
	ControlAuth gateway.ManagementAuth
	// Gateway are options of all stages. With [gateway.WithUsageStore] they have API keys.
	Gateway []gateway.Option
	// Logger gets warnings, and what goes wrong. nil means no log.
	Logger *slog.Logger
}

// Server is the REST API, the stages and @connections behind one handler. It is safe for
// concurrent use.
type Server struct {
	cfg    Config
	log    *slog.Logger
	store  Store
	table  *table
	tokens pageTokens
	ids    sequence
	plane  *stages
	advice advice

	// visible is held from the commit of a change until the stages have learned of it. The
	// answers of reads wait for that, so that a stage does what an answer says: see view.
	visible sync.RWMutex

	// mu is held while a change is made and the stages learn of it, so that they learn
	// of changes in their order. Reads do not take it.
	mu      sync.Mutex
	closed  bool
	pending map[string]*autoDeployment // automatic deployments to be made, by API
	running sync.WaitGroup             // of those
	rooms   rooms                      // of what the store holds
	stored  int                        // the bytes of all of them
}

// errShutdown is the error of a change after Shutdown. SDKs try again after a 503.
var errShutdown error = &apiError{http.StatusServiceUnavailable, "ServiceUnavailableException", "The server is shutting down"}

// New returns a Server that has built the stages of its store. A stage that cannot be
// built is logged, and the others run. The error is one of the store.
func New(c Config) (*Server, error) {
	s := &Server{cfg: c, log: c.Logger, store: c.Store, table: newTable(), pending: map[string]*autoDeployment{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.store == nil {
		s.store = newMemory()
	}
	if s.cfg.Region == "" {
		s.cfg.Region = "us-east-1"
	}
	if s.cfg.AccountID == "" {
		s.cfg.AccountID = "123456789012"
	}
	if _, err := rand.Read(s.tokens.key[:]); err != nil {
		return nil, fmt.Errorf("controlplane: making a key for page tokens: %w", err)
	}
	s.plane = newStages(&s.cfg, s.log)
	s.plane.advise = s.adviseAbout
	all := newEffects()
	err := s.store.View(func(r Reader) (err error) {
		if s.rooms, err = measure(r); err != nil {
			return err
		}
		if err := everyStage(r, all); err != nil {
			return err
		}
		return eachValue(r, "domainnames", "", func(key string, _ []byte) (bool, error) {
			all.domains[strings.TrimPrefix(key, "domainnames/")] = true
			return true, nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("controlplane: reading the store: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored = s.rooms.bytes()
	s.settle(all)
	return s, nil
}

// everyStage notes all stages of a store.
func everyStage(r Reader, all *effects) error {
	apis, err := listDocuments(r, "apis", "", 0)
	for _, api := range apis {
		stages, err := listDocuments(r, api.key+"/stages", "", 0)
		if err != nil {
			return err
		}
		for _, stage := range stages {
			all.stages[stageKey{api.id(), stage.id()}] = true
			all.drafts[api.id()] = true
		}
	}
	return err
}

// ServeHTTP answers a request for the REST API, whose paths start with /v2/, an upgrade,
// or a call of @connections. It tells them apart by the Host header and the escaped path.
// Give the Server to an [http.Server] itself: an [http.ServeMux] before it redirects some
// of these paths.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if at := s.plane.hostOf(r); s.plane.owns(r, at) {
		s.plane.serve(w, r, at)
		return
	}
	s.serveAPI(w, r)
}

// Shutdown closes all stages as [gateway.Gateway.Shutdown] does, and refuses changes from
// then on. It waits for stages that were removed before, and for functions that were invoked
// asynchronously: without a deadline in ctx, as long as these functions run. The end of ctx
// cuts off what still runs. The error is that of ctx if something was cut off, or of a stage
// that did not close in time.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	for apiID := range s.pending {
		s.stopDeployment(apiID)
	}
	s.mu.Unlock()
	s.running.Wait()
	return s.plane.shutdown(ctx)
}

// update runs a change in one Update of the store, and tells the stages what it means.
func (s *Server) update(f func(Writer, *effects) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.updateLocked(f)
}

func (s *Server) updateLocked(f func(Writer, *effects) error) error {
	if s.closed {
		return errShutdown
	}
	e := newEffects()
	var changes rooms
	committing := false
	defer func() {
		if committing {
			s.visible.Unlock()
		}
	}()
	err := s.store.Update(func(w Writer) error {
		m := newMeter(w)
		changes = m.changes
		if err := f(m, e); err != nil {
			return err
		}
		if err := s.checkRoom(changes); err != nil {
			return err
		}
		s.visible.Lock() // the last step before the commit, because answers wait from here on
		committing = true
		return nil
	})
	if err != nil {
		return err
	}
	s.settleRoom(changes)
	for _, note := range e.notes { // a slow log must not hold up the store
		s.log.Warn(note.message, note.args...) //nolint:sloglint // note has literals only
	}
	s.settle(e)
	return nil
}

// view reads the store for an answer. If it has seen a change of which the stages have not
// learned, it returns when they have.
func (s *Server) view(f func(Reader) error) error {
	defer func() { // after the store is free again: a change that commits holds it and takes visible
		s.visible.RLock()
		s.visible.RUnlock() //nolint:staticcheck // that the lock was free is all that matters
	}()
	return s.store.View(f)
}

// settle brings the stages up to date after a commit. The caller holds s.mu.
func (s *Server) settle(e *effects) {
	s.advice.forget()
	for key, there := range e.stages {
		if !there {
			s.plane.remove(key.apiID, key.name)
			continue
		}
		if err := s.settleStage(key); err != nil {
			s.log.Error("a stage could not be brought up to date, and serves what it did before",
				"api_id", key.apiID, "stage", key.name, "error", err)
		}
	}
	if err := s.settleDomains(e.domains); err != nil {
		s.log.Error("the custom domain names could not be brought up to date", "error", err)
	}
	for apiID := range e.drafts {
		s.deployLater(apiID)
	}
}

func (s *Server) settleStage(key stageKey) error {
	var api, doc document
	var snap *snapshot
	err := s.store.View(func(r Reader) (err error) {
		if api, err = readDocument(r, "apis/"+key.apiID); err != nil {
			return err
		}
		if doc, err = readDocument(r, "apis/"+key.apiID+"/stages/"+key.name); err != nil {
			return err
		}
		if id := textOf(doc, "deploymentId"); id != "" {
			snap, err = readSnapshot(r, key.apiID, id)
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.plane.sync(api, doc, snap)
}

func (s *Server) settleDomains(changed map[string]bool) error {
	if len(changed) == 0 {
		return nil
	}
	mappings := make(map[string][]document, len(changed)) // nil: the domain name is gone
	err := s.store.View(func(r Reader) error {
		for name := range changed {
			key := "domainnames/" + name
			value, err := r.Get(key)
			if err != nil {
				return err
			}
			if mappings[name] = nil; value == nil {
				continue
			}
			entries, err := listDocuments(r, key+"/apimappings", "", 0)
			if err != nil {
				return err
			}
			mappings[name] = documentsOf(entries)
		}
		return nil
	})
	if err == nil {
		s.plane.syncDomains(mappings)
	}
	return err
}
