package process

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"example.com/gateway/lambda"
)

// runtimeAPI is Lambda's runtime API, version 2018-06-01, on loopback. Each process has
// paths of its own, which begin with a secret.
//
// One thing is our own: a process that adds "?next" to the path of a response or of an
// error gets the next event as the answer. So our bootstraps need one exchange for an
// event in the place of two.
type runtimeAPI struct {
	fn      *Function
	address string
	server  *http.Server
	served  sync.WaitGroup

	mu        sync.RWMutex // guards processes
	processes map[string]*process
}

// listen starts the runtime API of a function.
func listen(f *Function) (*runtimeAPI, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it does not wait
	if err != nil {
		return nil, err
	}
	api := &runtimeAPI{fn: f, address: l.Addr().String(), processes: map[string]*process{}}
	const version = "/{secret}/2018-06-01/runtime"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+version+"/invocation/next", api.known(api.next))
	mux.HandleFunc("POST "+version+"/invocation/{id}/response", api.known(api.response))
	mux.HandleFunc("POST "+version+"/invocation/{id}/error", api.known(api.failed))
	mux.HandleFunc("POST "+version+"/init/error", api.known(api.initFailed))
	api.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	api.served.Go(func() { _ = api.server.Serve(l) })
	return api, nil
}

// close ends the server. All processes have ended.
func (a *runtimeAPI) close() {
	_ = a.server.Close()
	a.served.Wait()
}

func newSecret() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func (a *runtimeAPI) add(p *process) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.processes[p.secret] = p
}

func (a *runtimeAPI) forget(p *process) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.processes, p.secret)
}

// known finds the process of a request.
func (a *runtimeAPI) known(serve func(http.ResponseWriter, *http.Request, *process)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a.mu.RLock()
		p := a.processes[r.PathValue("secret")]
		a.mu.RUnlock()
		if p == nil {
			refuse(w, http.StatusForbidden, "Forbidden", "There is no such process")
			return
		}
		serve(w, r, p)
	}
}

// next answers with the next event of a process, which is free from now on.
func (a *runtimeAPI) next(w http.ResponseWriter, r *http.Request, p *process) {
	f := a.fn
	ctx := lifetime()
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
func (a *runtimeAPI) response(w http.ResponseWriter, r *http.Request, p *process) {
	f := a.fn
	body, err := readBody(r)
	if err != nil {
		return // the process has ended in between
	}
	id := r.PathValue("id")
	known := false
	switch kind := r.Trailer.Get("Lambda-Runtime-Function-Error-Type"); {
	case len(body) > maxAnswer:
		_ = a.finish(p, id, nil, f.sandboxError("", "Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed payload size ("+strconv.Itoa(maxAnswer)+" bytes)."))
		if wantsNext(r) {
			break
		}
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "Exceeded maximum allowed payload size ("+strconv.Itoa(maxAnswer)+" bytes).")
		return
	case kind != "": // a stream that failed in the middle
		report, _ := base64.StdEncoding.DecodeString(r.Trailer.Get("Lambda-Runtime-Function-Error-Body"))
		known = a.finish(p, id, nil, f.raised(report, kind))
	default:
		known = a.finish(p, id, body, nil)
	}
	a.accept(w, r, p, known)
}

// failed takes the error of a function.
func (a *runtimeAPI) failed(w http.ResponseWriter, r *http.Request, p *process) {
	body, err := readBody(r)
	if err != nil {
		return
	}
	raised := a.fn.raised(body, r.Header.Get("Lambda-Runtime-Function-Error-Type"))
	id := r.PathValue("id")
	known := a.finish(p, id, nil, raised) //nolint:contextcheck // see lifetime
	if known {
		a.fn.cfg.Logger.LogAttrs(r.Context(), slog.LevelError, "function raised an error", slog.String("request_id", id),
			slog.String("error_type", raised.Type), slog.String("error_message", clip(raised.Message)), slog.String("trace", clip(strings.Join(raised.Trace, "\n"))))
	}
	a.accept(w, r, p, known)
}

// initFailed takes the error of a function that does not start. The process ends after
// it.
func (a *runtimeAPI) initFailed(w http.ResponseWriter, r *http.Request, p *process) {
	body, err := readBody(r)
	if err != nil {
		return
	}
	a.fn.mu.Lock()
	if p.starting && p.failure == nil {
		p.timer.Reset(time.Second) // for one that does not end by itself
		p.failure = a.fn.raised(body, r.Header.Get("Lambda-Runtime-Function-Error-Type"))
	}
	a.fn.mu.Unlock()
	a.accept(w, r, p, true)
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
func (a *runtimeAPI) finish(p *process, id string, answer []byte, raised *lambda.FunctionError) bool {
	p.output.catchUp(lifetime())
	a.fn.mu.Lock()
	defer a.fn.mu.Unlock()
	inv := p.current
	if inv == nil || inv.id != id || inv.answered {
		return false
	}
	a.fn.took(inv)
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
func (a *runtimeAPI) accept(w http.ResponseWriter, r *http.Request, p *process, known bool) {
	if wantsNext(r) {
		a.next(w, r, p)
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

// clip shortens text for a log.
func clip(s string) string {
	const most = 8 << 10
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
