package controlplane

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"example.com/gateway/internal/connid"
)

// This file is the REST API as HTTP: paths, bodies and answers.

const (
	mostBody  = 1 << 20 // bytes of a body
	mostDepth = 64      // nested objects and lists in a body
)

// call is a request for the REST API.
type call struct {
	*http.Request
	path []string // the segments after /v2/, unescaped
	data []byte   // the body
	body document // its JSON object; empty if there is no body
	page pageRequest
	vals url.Values
}

// reply is an answer: a status, and a JSON value unless it is nil.
type reply struct {
	status int
	value  any
}

func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	ids := connid.NewAnswer(time.Now())
	header := w.Header()
	header["x-amzn-RequestId"] = []string{ids.UUID}
	header["x-amz-apigw-id"] = []string{ids.Request}
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	answer, err := s.answerCall(w, r) //nolint:contextcheck // a removed stage closes after the call has been answered
	if err != nil {
		refused, known := answerOf(err)
		if !known {
			s.log.ErrorContext(r.Context(), "a call of the control plane failed", "method", r.Method, "path", r.URL.EscapedPath(), "request_id", ids.UUID, "error", err)
		}
		header["x-amzn-ErrorType"] = []string{refused.name}
		answer = reply{refused.status, document{refused.textMember(): refused.message}}
	}
	s.write(w, answer)
}

func (s *Server) write(w http.ResponseWriter, answer reply) {
	if answer.value == nil {
		w.Header().Del("Content-Type")
		w.WriteHeader(answer.status)
		return
	}
	text, err := encodeJSON(answer.value)
	if err != nil {
		s.log.Error("an answer of the control plane could not be encoded", "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.WriteHeader(answer.status)
	_, _ = w.Write(text) // the client may be gone
}

// answerCall reads and checks a request in the order in which it costs least: who calls,
// the path, the body.
func (s *Server) answerCall(w http.ResponseWriter, r *http.Request) (reply, error) {
	if err := s.admit(r); err != nil {
		return reply{}, err
	}
	c := &call{Request: r}
	var err error
	if c.path, err = pathOf(r.URL); err != nil {
		return reply{}, err
	}
	if c.data, err = io.ReadAll(http.MaxBytesReader(w, r.Body, mostBody)); err != nil {
		return reply{}, badBody(err)
	}
	if err := s.authorize(r, c); err != nil {
		return reply{}, err
	}
	if c.vals, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return reply{}, badRequest("The query string cannot be read")
	}
	c.page = pageOf(c.vals)
	if c.body, err = decodeBody(c.data); err != nil {
		return reply{}, err
	}
	return s.dispatch(c)
}

func badBody(err error) error {
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		return &apiError{http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "The body has more than 1048576 bytes"}
	}
	return badRequest("The body could not be read")
}

// errOperation is the answer to a method and a path that are no operation.
var errOperation error = &apiError{http.StatusNotFound, "UnknownOperationException", "The API Gateway V2 API has no operation with this method and path"}

// pathOf splits the escaped path, and then unescapes each segment: an ARN is one segment
// with %2F in it. It leaves out one empty segment at the end.
func pathOf(u *url.URL) (segments []string, err error) {
	escaped, found := strings.CutPrefix(u.EscapedPath(), "/v2/")
	if !found {
		return nil, errOperation
	}
	segments = strings.Split(escaped, "/")
	if last := len(segments) - 1; last > 0 && segments[last] == "" {
		segments = segments[:last]
	}
	for n, segment := range segments {
		if segments[n], err = url.PathUnescape(segment); err != nil {
			return nil, badRequest("The path cannot be unescaped: %s", clip(segment))
		}
	}
	return segments, nil
}

// decodeBody reads a JSON object. No body at all is an empty object.
func decodeBody(data []byte) (document, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return document{}, nil
	}
	if depthOf(data) > mostDepth {
		return nil, badRequest("The body has more than %d nested objects and lists", mostDepth)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var body document
	if err := decoder.Decode(&body); err != nil {
		return nil, badRequest("The body must be a JSON object")
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, badRequest("The body must be one JSON object, and nothing after it")
	}
	if body == nil { // null is as absent here as in a member
		body = document{}
	}
	return body, nil
}

// depthOf returns how deep JSON is nested, or more if it is not valid.
func depthOf(data []byte) (deepest int) {
	depth, quoted, escaped := 0, false, false
	for _, b := range data {
		switch {
		case escaped:
			escaped = false
		case quoted:
			escaped, quoted = b == '\\', b != '"'
		case b == '"':
			quoted = true
		case b == '{' || b == '[':
			depth++
			deepest = max(deepest, depth)
		case b == '}' || b == ']':
			depth--
		}
	}
	return deepest
}

// dispatch finds the operation of a call and runs it.
func (s *Server) dispatch(c *call) (reply, error) {
	if c.path[0] == "tags" && len(c.path) > 1 {
		return s.serveTags(c)
	}
	if operation := unsupported(c.Method, c.path); operation != "" {
		return s.refuse(c, operation)
	}
	res, ids, rest := s.table.find(c.path)
	switch {
	case res == nil:
		return reply{}, errOperation
	case len(rest) > 0:
		return s.serveExtra(c, res, ids, rest)
	case len(c.path) == len(res.segments)-1:
		return s.serveCollection(c, res, ids)
	}
	return s.serveDocument(c, res, ids)
}

func (s *Server) serveCollection(c *call, res *resource, ids map[string]string) (reply, error) {
	switch c.Method {
	case http.MethodGet, http.MethodHead:
		return s.look(func(r Reader) (any, error) { return s.list(r, res, ids, c.page) })
	case http.MethodPost:
		return s.change(http.StatusCreated, res, ids, c.body, func(change *change) (any, error) {
			d, err := change.create("")
			return s.answer(res, d, true), err
		})
	}
	return reply{}, errOperation
}

func (s *Server) serveDocument(c *call, res *resource, ids map[string]string) (reply, error) {
	switch c.Method {
	case http.MethodGet, http.MethodHead:
		return s.look(func(r Reader) (any, error) { return s.get(r, res, ids) })
	case http.MethodPatch:
		return s.change(http.StatusOK, res, ids, c.body, func(change *change) (any, error) {
			d, err := change.update()
			return s.answer(res, d, false), err
		})
	case http.MethodDelete:
		return s.change(http.StatusNoContent, res, ids, nil, func(change *change) (any, error) {
			return nil, change.remove()
		})
	}
	return reply{}, errOperation
}

// look answers from the present state.
func (s *Server) look(f func(Reader) (any, error)) (answer reply, err error) {
	answer.status = http.StatusOK
	err = s.view(func(r Reader) (err error) {
		answer.value, err = f(r)
		return err
	})
	return answer, err
}

// change answers with what a change of a document returns.
func (s *Server) change(status int, res *resource, ids map[string]string, body document, f func(*change) (any, error)) (answer reply, err error) {
	answer.status = status
	err = s.update(func(w Writer, e *effects) (err error) {
		answer.value, err = f(&change{s: s, w: w, res: res, ids: ids, body: body, at: time.Now(), effects: e})
		return err
	})
	return answer, err
}

// unsupported returns the name of an operation that belongs to HTTP APIs or to portals,
// or "".
func unsupported(method string, path []string) string {
	at := func(n int) string {
		if n < len(path) {
			return path[n]
		}
		return ""
	}
	switch {
	case method == http.MethodPut && at(0) == "apis" && len(path) == 1:
		return "ImportApi"
	case method == http.MethodPut && at(0) == "apis" && len(path) == 2:
		return "ReimportApi"
	case method == http.MethodGet && at(0) == "apis" && at(2) == "exports" && len(path) == 4:
		return "ExportApi"
	case method == http.MethodDelete && at(0) == "apis" && at(2) == "cors" && len(path) == 3:
		return "DeleteCorsConfiguration"
	case method == http.MethodDelete && at(0) == "apis" && at(2) == "stages" && at(4) == "cache" && at(5) == "authorizers" && len(path) == 6:
		return "ResetAuthorizersCache"
	case at(0) == "vpclinks" && len(path) <= 2:
		return "The operation on VPC links"
	case at(0) == "portals" || at(0) == "portalproducts":
		return "The operation on portals"
	case at(0) == "domainnames" && at(2) == "routingrules":
		return "The operation on routing rules"
	}
	return ""
}

// refuse answers an operation that WebSocket APIs do not have. An API that does not exist
// is 404 all the same.
func (s *Server) refuse(c *call, operation string) (reply, error) {
	if len(c.path) > 1 && c.path[0] == "apis" {
		err := s.view(func(r Reader) error {
			_, err := s.read(r, s.table.named("Api"), map[string]string{"apiId": c.path[1]})
			return err
		})
		if err != nil {
			return reply{}, err
		}
	}
	return reply{}, badRequest("%s is not supported for WEBSOCKET protocol Apis.", operation)
}

// serveExtra answers the operations below a document that are not of a resource.
func (s *Server) serveExtra(c *call, res *resource, ids map[string]string, rest []string) (reply, error) {
	member, key := rest[0], strings.Join(rest[1:], "/")
	switch {
	case c.Method == http.MethodGet && res.name == "Model" && member == "template" && key == "":
		return s.look(func(r Reader) (any, error) {
			model, err := s.get(r, res, ids)
			return document{"value": sampleTemplate(textOf(model, "schema"))}, err
		})
	case c.Method != http.MethodDelete:
	case res.name == "Route" && member == "requestparameters" && key != "":
		return s.removeEntry(res, ids, "requestParameters", key, "Invalid request parameter key specified")
	case res.name == "Stage" && member == "routesettings" && key != "":
		return s.removeEntry(res, ids, "routeSettings", key, "Unable to find Route by key "+clip(key)+" within the provided RouteSettings")
	case res.name == "Stage" && member == "accesslogsettings" && key == "":
		return s.removeEntry(res, ids, "accessLogSettings", "", "")
	}
	return reply{}, errOperation
}

// removeEntry removes a key of a member that is a map, or the whole member if key is "".
func (s *Server) removeEntry(res *resource, ids map[string]string, member, key, missing string) (reply, error) {
	return s.change(http.StatusNoContent, res, ids, nil, func(c *change) (any, error) {
		if err := c.load(); err != nil {
			return nil, err
		}
		d := copyDocument(c.before)
		if key == "" {
			delete(d, member)
		} else {
			entries, _ := d[member].(map[string]any)
			if _, there := entries[key]; !there {
				return nil, notFound("%s", missing)
			}
			delete(entries, key)
			res.field(member).set(d, entries)
		}
		c.setDate(d, "lastUpdatedDate")
		return nil, c.finish(d)
	})
}
