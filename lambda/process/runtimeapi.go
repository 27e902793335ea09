package process

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"example.com/gateway/internal/clip"
	"example.com/gateway/lambda"
)

// runtimeAPI is Lambda's runtime API, version 2018-06-01, for one process. It has a port
// of its own on loopback: several of AWS's runtimes expect "host:port" as its address, and
// nothing behind it (docs/adr/0032-port-for-each-process.md).
//
// One thing is our own: a process that adds "?next" to the path of a response or of an
// error gets the next event as the answer. So our bootstraps need one exchange for an
// event in the place of two.
type runtimeAPI struct {
	process *process
	address string
	server  *http.Server
}

// listen opens the runtime API of a process. serve serves it.
func listen(p *process) (*runtimeAPI, net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it does not wait
	if err != nil {
		return nil, nil, err
	}
	a := &runtimeAPI{process: p, address: l.Addr().String()}
	const version = "/2018-06-01/runtime"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+version+"/invocation/next", a.next)
	mux.HandleFunc("POST "+version+"/invocation/{id}/response", a.response)
	mux.HandleFunc("POST "+version+"/invocation/{id}/error", a.failed)
	mux.HandleFunc("POST "+version+"/init/error", a.initFailed)
	a.server = &http.Server{
		Handler: a.guard(mux), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, strangerKey{}, !sameUser(c.RemoteAddr(), c.LocalAddr()))
		},
	}
	return a, l, nil
}

// serve serves the process until its end.
func (a *runtimeAPI) serve(l net.Listener) { _ = a.server.Serve(l) }

// close ends serve. The process has ended.
func (a *runtimeAPI) close() { _ = a.server.Close() }

// strangerKey is the key of a connection that another user of this machine has opened.
type strangerKey struct{}

// guard refuses who is not the process: other users of this machine, and pages in a
// browser. A browser sends Origin or Sec-Fetch-Site, or another Host.
func (a *runtimeAPI) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stranger, _ := r.Context().Value(strangerKey{}).(bool)
		switch {
		case stranger:
			refuse(w, http.StatusForbidden, "Forbidden", "The connection belongs to another user")
		case r.Host != a.address, r.Header.Get("Origin") != "", r.Header.Get("Sec-Fetch-Site") != "":
			refuse(w, http.StatusForbidden, "Forbidden", "The request is not one of a runtime")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// next answers with the next event of a process, which is free from now on.
func (a *runtimeAPI) next(w http.ResponseWriter, r *http.Request) {
	p := a.process
	f, ctx := p.fn, lifetime()
	p.output.begin(ctx, "") //nolint:contextcheck // see lifetime
	f.mu.Lock()
	f.askedForEvent(ctx, p, r.UserAgent()) //nolint:contextcheck // see lifetime
	f.mu.Unlock()
	select {
	case <-p.gone:
		return
	case <-r.Context().Done():
		return
	case inv := <-p.events:
		p.output.begin(ctx, inv.id) //nolint:contextcheck // see lifetime
		p.reportStart(ctx, inv)     //nolint:contextcheck // see lifetime
		f.mu.Lock()
		inv.delivered = !p.ended
		f.mu.Unlock()
		if !inv.delivered {
			return // another process gets it
		}
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", strconv.Itoa(len(inv.payload)))
		h.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(inv.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", f.cfg.ARN)
		h.Set("Lambda-Runtime-Trace-Id", traceID(inv))
		_, _ = w.Write(inv.payload)
	}
}

// traceID makes the X-Ray trace ID of an event from its request ID.
func traceID(inv *invocation) string {
	digits := strings.ReplaceAll(inv.id, "-", "")
	return "Root=1-" + strconv.FormatInt(inv.deadline.Unix(), 16) + "-" + digits[:24] + ";Parent=" + digits[16:] + ";Sampled=0"
}

// askedForEvent notes that a process asks for an event. The caller holds the lock.
func (f *Function) askedForEvent(ctx context.Context, p *process, userAgent string) {
	switch inv := p.current; {
	case p.starting:
		p.starting = false
		p.startTook = time.Since(p.began)
		f.starting--
		p.timer.Stop()
		f.compareVersion(ctx, p, userAgent)
		f.release(ctx, p)
	case inv != nil && inv.delivered:
		inv.finish(nil, f.sandboxError(inv.id, "Runtime.InvalidState", "the runtime asked for the next event without an answer"))
		f.release(ctx, p)
	default: // it asks again: it is free, or its event waits already
	}
}

// compareVersion warns if the interpreter is not of the version that the runtime's name
// says. The bootstraps name their version as "node/20.20.2". The caller holds the lock.
func (f *Function) compareVersion(ctx context.Context, p *process, userAgent string) {
	want := f.runtime.version
	_, version, ok := strings.Cut(userAgent, "/")
	if want == "" || !ok || len(f.runtime.script) == 0 || p.code.warned {
		return
	}
	p.code.warned = true
	if version != want && !strings.HasPrefix(version, want+".") {
		f.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "function runs on another version than its runtime says",
			slog.String("runtime", f.cfg.Runtime), slog.String("program", p.name()), slog.String("version", version))
	}
}

// response takes the answer of a function.
func (a *runtimeAPI) response(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(r)
	raised := a.process.fn.noAnswer(body, err, r.Trailer)
	known := a.finish(r.PathValue("id"), body, raised) //nolint:contextcheck // see lifetime
	switch {
	case err != nil: // nobody waits for an answer
	case known && len(body) > maxAnswer && !wantsNext(r):
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "Exceeded maximum allowed payload size ("+strconv.Itoa(maxAnswer)+" bytes).")
	default:
		a.accept(w, r, known)
	}
}

// noAnswer returns what is wrong with an answer, or nil. The trailer tells of a stream that
// failed in the middle.
func (f *Function) noAnswer(body []byte, err error, trailer http.Header) *lambda.FunctionError {
	kind := trailer.Get("Lambda-Runtime-Function-Error-Type")
	switch {
	case err != nil:
		return f.sandboxError("", "Runtime.TruncatedResponse", "the runtime sent a part of its answer, and then closed the connection")
	case len(body) > maxAnswer:
		return f.sandboxError("", "Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed payload size ("+strconv.Itoa(maxAnswer)+" bytes).")
	case kind != "":
		report, _ := base64.StdEncoding.DecodeString(trailer.Get("Lambda-Runtime-Function-Error-Body"))
		return f.raised(report, kind)
	}
	return nil
}

// failed takes the error of a function.
func (a *runtimeAPI) failed(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(r)
	if err != nil {
		return // the process has ended in between
	}
	f, id := a.process.fn, r.PathValue("id")
	raised := f.raised(body, r.Header.Get("Lambda-Runtime-Function-Error-Type"))
	known := a.finish(id, nil, raised) //nolint:contextcheck // see lifetime
	if known {
		f.cfg.Logger.LogAttrs(r.Context(), slog.LevelError, "function raised an error", slog.String("request_id", id),
			slog.String("error_type", raised.Type), slog.String("error_message", clip.To(raised.Message, mostLogged)), slog.String("trace", clip.To(strings.Join(raised.Trace, "\n"), mostLogged)))
	}
	a.accept(w, r, known)
}

// initFailed takes the error of a function that does not start. The process ends after
// it.
func (a *runtimeAPI) initFailed(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(r)
	if err != nil {
		return
	}
	p := a.process
	p.fn.mu.Lock()
	starting := p.starting
	if starting && p.failure == nil {
		p.timer.Reset(time.Second) // for one that does not end by itself
		p.failure = p.fn.raised(body, r.Header.Get("Lambda-Runtime-Function-Error-Type"))
	}
	p.fn.mu.Unlock()
	if !starting {
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "The runtime has asked for an event already")
		return
	}
	a.accept(w, r, true)
}

func (f *Function) raised(report []byte, kind string) *lambda.FunctionError {
	err := lambda.Raised(f.cfg.Name, report)
	if err.Type == "" {
		err.Type = kind
	}
	return err
}

// finish ends the event of a process, and reports whether it is the event with this ID.
// What the function has printed is in the log before its caller has the answer.
func (a *runtimeAPI) finish(id string, answer []byte, raised *lambda.FunctionError) bool {
	p := a.process
	p.fn.mu.Lock()
	inv := p.current
	known := inv != nil && inv.id == id && !inv.answering && !inv.answered && p.failure == nil
	if !known {
		p.fn.mu.Unlock()
		return false
	}
	inv.answering = true
	start := p.startTime()
	p.fn.mu.Unlock()
	p.output.catchUp(lifetime())
	p.reportEnd(lifetime(), inv, start, "")
	p.fn.mu.Lock()
	defer p.fn.mu.Unlock()
	if inv.answered { // it has just run into its timeout
		return false
	}
	p.fn.took(inv)
	if raised != nil {
		inv.finish(nil, raised)
	} else {
		inv.finish(answer, nil)
	}
	return true
}

// wantsNext reports whether a process wants the next event as the answer.
func wantsNext(r *http.Request) bool { return r.URL.RawQuery == "next" }

// accept answers a runtime that has sent the outcome of an event.
func (a *runtimeAPI) accept(w http.ResponseWriter, r *http.Request, known bool) {
	if wantsNext(r) {
		a.next(w, r)
		return
	}
	if !known {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`+"\n")
}

func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"errorMessage":"`+message+`","errorType":"`+kind+`"}`+"\n")
}

// readBody reads what a runtime sends, up to one byte above the bound. More is read and
// dropped, up to a bound of its own, so that the runtime can read the answer.
func readBody(r *http.Request) ([]byte, error) {
	const most = 64 << 20
	var b bytes.Buffer
	if n := r.ContentLength; n > 0 && n <= maxAnswer {
		b.Grow(int(n) + bytes.MinRead)
	}
	if _, err := b.ReadFrom(io.LimitReader(r.Body, maxAnswer+1)); err != nil {
		return nil, err
	}
	if b.Len() > maxAnswer {
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, most))
	}
	return b.Bytes(), nil
}

// mostLogged is how many bytes of a text are in the log.
const mostLogged = 8 << 10
