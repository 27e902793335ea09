package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"example.com/gateway"
	"example.com/gateway/controlplane"
	"example.com/gateway/internal/caller"
	"example.com/gateway/internal/connid"
)

// document is a JSON object. Numbers are json.Number.
type document = map[string]any

// Server is the Lambda API and the functions that were made by it. It is safe for
// concurrent use.
type Server struct {
	cfg        Config
	hosts      map[string]bool // names of this server
	log        *slog.Logger
	store      controlplane.Store
	operations []operation
	code       *codeFolder
	runner     runner
	tails      tails
	downloads  signer
	// uploads bounds how many calls with code are read at a time: each may need 200 MB.
	uploads chan struct{}
	most    int // of functions, versions and aliases
	// changes is held from the beginning of a change until the runner knows of it.
	changes sync.Mutex
}

var (
	_ http.Handler                  = (*Server)(nil)
	_ controlplane.FunctionResolver = (*Server)(nil)
)

const (
	mostCodeBytes = 75 << 30
	// mostDocuments bounds what the store and the memory keep: Lambda bounds it by the bytes
	// of the code alone.
	mostDocuments = 50000

	mostUploads  = 2               // calls with code that are read at a time
	uploadWithin = 2 * time.Minute // how long one may take to send it
)

// New checks c, and returns a Server with the functions of its store. The error may be one of
// the store or of Dir.
func New(c Config) (*Server, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	s := &Server{cfg: c, hosts: caller.Names(c.Hosts), log: c.Logger, store: c.Store, operations: operations(), most: mostDocuments, uploads: make(chan struct{}, mostUploads)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.store == nil {
		s.store = controlplane.NewMemory()
	}
	if s.cfg.Region == "" {
		s.cfg.Region = "us-east-1"
	}
	if s.cfg.AccountID == "" {
		s.cfg.AccountID = "123456789012"
	}
	s.runner.init()
	s.downloads.init()
	var err error
	if s.code, err = openCode(c.Dir, cmp.Or(c.CodeBytes, mostCodeBytes), s.log); err != nil {
		return nil, fmt.Errorf("lambda/api: opening the folder for code: %w", err)
	}
	if err = s.load(); err == nil {
		err = s.code.collect(s.runner.usedCode())
	}
	if err != nil {
		_ = s.code.close()
		return nil, fmt.Errorf("lambda/api: reading the functions of the store: %w", err)
	}
	return s, nil
}

// Close ends all functions: events that run fail. It returns when their processes have
// ended. A second call does nothing.
func (s *Server) Close() error {
	s.changes.Lock()
	s.runner.close()
	s.changes.Unlock()
	s.runner.running.Wait()
	return s.code.close()
}

// call is a call of an operation.
type call struct {
	*http.Request
	op     *operation
	params []string // those in the path
	query  url.Values
	data   []byte // the body
	id     string // the request ID
	header http.Header
}

// name returns the function that the first parameter of the path names, with the
// qualifier of the query or of the name itself.
func (c *call) name() (function, qualifier string, err error) {
	return parseName(c.params[0], c.query.Get("Qualifier"))
}

// reply is what the answer has: a status, and a JSON value, or bytes. Or it is a file.
type reply struct {
	status int
	value  any
	bytes  []byte
	file   *os.File // in the place of all that
}

// ServeHTTP answers a call of the Lambda API. Give it the requests for which [Owns] is
// true.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := connid.NewAnswer(time.Now()).UUID
	header := w.Header()
	header["x-amzn-RequestId"] = []string{id}
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	answer, err := s.answer(w, r, id)
	if err != nil {
		refused, known := answerOf(err)
		if !known && r.Context().Err() == nil {
			s.log.ErrorContext(r.Context(), "a call of the lambda api failed", "method", r.Method, "path", r.URL.EscapedPath(), "request_id", id, "error", err)
		}
		header["x-amzn-ErrorType"] = []string{refused.name}
		answer = reply{status: refused.status, value: refused.body()}
	}
	if answer.file != nil {
		defer answer.file.Close()
		http.ServeContent(w, r, "", time.Time{}, answer.file)
		return
	}
	body := answer.bytes
	if answer.value != nil {
		if body, err = encodeJSON(answer.value); err != nil {
			s.log.ErrorContext(r.Context(), "an answer of the lambda api could not be encoded", "request_id", id, "error", err)
			answer.status = http.StatusInternalServerError
		}
	}
	if body == nil {
		header.Del("Content-Type")
	}
	w.WriteHeader(answer.status)
	_, _ = w.Write(body) // the client may be gone
}

// answer checks a request in the order in which it costs least: who calls, the path, the
// body.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, id string) (reply, error) {
	if err := s.admit(r); err != nil {
		return reply{}, err
	}
	if answer, found, err := s.download(w, r); found {
		return answer, err
	}
	c := &call{Request: r, id: id, header: w.Header()}
	var err error
	if c.op, c.params, err = s.find(r.Method, r.URL); err != nil {
		return reply{}, err
	}
	if c.query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return reply{}, invalid("The query string cannot be read")
	}
	if err := s.authorizeHeaders(c); err != nil {
		return reply{}, err
	}
	if c.op.limit == mostCode {
		select {
		case s.uploads <- struct{}{}:
			defer func() { <-s.uploads }()
		case <-r.Context().Done():
			return reply{}, r.Context().Err()
		}
		// Who sends slowly must not keep others from it. Not every server has deadlines.
		connection := http.NewResponseController(w)
		_ = connection.SetReadDeadline(time.Now().Add(uploadWithin))
		defer func() { _ = connection.SetReadDeadline(time.Time{}) }()
	}
	if c.data, err = readBody(w, r, c.op); err != nil {
		return reply{}, err
	}
	if err := s.authorize(r.Context(), c); err != nil {
		return reply{}, err
	}
	return c.op.run(s, c)
}

// readBody reads a body of up to the limit of an operation.
func readBody(w http.ResponseWriter, r *http.Request, op *operation) ([]byte, error) {
	if r.ContentLength > op.limit {
		return nil, tooLarge(op.limit, op.name)
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, op.limit))
	if errors.As(err, new(*http.MaxBytesError)) {
		return nil, tooLarge(op.limit, op.name)
	}
	if err != nil {
		return nil, malformed("The body could not be read")
	}
	return data, nil
}

// admit refuses what a hostile page could send, and, without Auth, other machines.
func (s *Server) admit(r *http.Request) error {
	name := caller.Hostname(r.Host)
	ours := caller.IsLocalName(name) || caller.IsBelowLocalhost(name) || s.hosts[name]
	if why := caller.Barred(r, ours, s.cfg.Auth != nil); why != "" {
		return accessDenied("%s", why)
	}
	return nil
}

// headerAuth is an Auth that can refuse some calls before their body is read, such as a
// *sigv4.Verifier.
type headerAuth interface {
	CheckHeaders(r *http.Request) error
}

// authorizeHeaders asks Auth, if it can tell, whether it makes sense to read the body.
func (s *Server) authorizeHeaders(c *call) error {
	if auth, ok := s.cfg.Auth.(headerAuth); ok {
		return ask(func() error { return auth.CheckHeaders(c.Request) })
	}
	return nil
}

// authorize asks Auth.
func (s *Server) authorize(ctx context.Context, c *call) error {
	if s.cfg.Auth == nil {
		return nil
	}
	asked := &gateway.ManagementCall{Action: gateway.ManagementAction("lambda:" + c.op.name), Request: c.Request, Body: c.data}
	return ask(func() error { return s.cfg.Auth.AuthorizeManagement(ctx, asked) })
}

// ask returns what a caller gets for the verdict of Auth. A panic is an error of this program.
func ask(auth func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("lambda/api: Config.Auth panicked: %v\n%s", p, debug.Stack())
		}
	}()
	if err := auth(); err != nil {
		status, name, message := caller.Refusal(err, gateway.ErrUnauthorized)
		return &apiError{status, name, message}
	}
	return nil
}

// body reads the JSON object of a call. No body at all is an empty object.
func (c *call) body() (document, error) {
	if len(bytes.TrimSpace(c.data)) == 0 {
		return document{}, nil
	}
	body, err := decodeJSON(c.data)
	if err != nil {
		return nil, malformed("The body must be one JSON object: %v", err)
	}
	return body, nil
}

// decodeJSON reads one JSON object. A member that is null is as one that is not there.
func decodeJSON(data []byte) (document, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var d document
	if err := decoder.Decode(&d); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("there is something after it")
	}
	if d == nil {
		d = document{}
	}
	for name, value := range d {
		if value == nil {
			delete(d, name)
		}
	}
	return d, nil
}

// encodeJSON is json.Marshal which leaves "<", ">" and "&" as they are.
func encodeJSON(value any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
