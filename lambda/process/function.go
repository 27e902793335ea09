package process

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"example.com/gateway/internal/clip"
	"example.com/gateway/lambda"
)

// timedOut is the type of the error of a function that takes too long.
const timedOut = "Sandbox.Timedout"

const (
	maxRequest  = 6 << 20     // bytes of an event
	maxAnswer   = 6<<20 + 100 // bytes of an answer
	idleAfter   = 5 * time.Minute
	startWithin = 10 * time.Second // the init phase of Lambda
	// drainEvery is how often Shutdown looks whether events still run.
	drainEvery = 20 * time.Millisecond
)

// Function is a function that runs in processes of this machine. Make it with [New], and
// call Close at the end. It is safe for concurrent use.
type Function struct {
	cfg     Config
	runtime runtime
	version string        // of the function: $LATEST, or a number
	idle    time.Duration // idleAfter, but in tests
	startup time.Duration // how long a process may take until it asks for its first event
	stop    chan struct{} // closed by Close
	left    chan struct{} // closed by Retire and Shutdown
	looked  chan struct{} // closed after the first look at the files
	running sync.WaitGroup
	gone    sync.Once // the end of Close
	alone   sync.Once // the warning that there is no warden

	mu     sync.Mutex // guards the fields below, and the state of each process
	closed bool
	// draining is set by Shutdown: there are no new events.
	draining bool
	// retired is set by Retire: no process waits for an event.
	retired bool
	// prepares is set by Prepare: new code is built at once.
	prepares bool
	watches  bool // the code is watched for changes
	code     *code
	// processes is how many processes there are, with those that are being started.
	processes int
	starting  int        // of these have not asked for an event yet
	free      []*process // wait for an event; the last one is used first
	queue     []*invocation
	waits     int           // bytes of the events in queue
	usual     time.Duration // how long an event takes, about
	again     *time.Timer   // looks at the queue again
	all       map[*process]struct{}
}

var _ lambda.Invoker = (*Function)(nil)

// New checks c, and finds the interpreter. The first process starts with the first event.
// The error wraps [ErrConfig].
func New(c Config) (*Function, error) {
	c, r, err := complete(c)
	if err != nil {
		return nil, err
	}
	c.Logger = c.Logger.With(slog.String("function", c.Name))
	f := &Function{
		cfg: c, runtime: r, version: versionOf(c.Env), idle: idleAfter, startup: max(startWithin, c.Timeout),
		stop: make(chan struct{}), left: make(chan struct{}), looked: make(chan struct{}), all: map[*process]struct{}{},
	}
	f.cfg.Unwatched = append(ownOutput(), c.Unwatched...)
	if c.Unchanging {
		close(f.looked) // nothing looks
	}
	f.code = f.newCode()
	return f, nil
}

func (f *Function) newCode() *code { return &code{cfg: f.cfg, runtime: f.runtime} }

// FunctionName returns the name of the function.
func (f *Function) FunctionName() string { return f.cfg.Name }

// Validate returns an error if f was not made with [New].
func (f *Function) Validate() error {
	if f == nil || f.stop == nil {
		return invalid("the Function is empty: make it with New")
	}
	return nil
}

// invocation is an event, and what becomes of it.
type invocation struct {
	id        string
	payload   []byte
	arrived   time.Time
	deadline  time.Time
	delivered bool // the process has it
	answering bool // the process has sent an answer
	answered  bool
	done      chan outcome // of one
}

type outcome struct {
	answer []byte
	err    error
}

// InvokeFunction gives an event to an idle process, or starts one. If all are busy, it
// waits. An error that the handler raised, an answer above 6 MB, a timeout and a crash
// are a *[lambda.FunctionError] with the type and the message that Lambda has for it. An
// *[lambda.InvokeError] says that the function did not run; its status is 429 if too many
// events wait already.
func (f *Function) InvokeFunction(ctx context.Context, payload []byte) ([]byte, error) {
	return f.Invoke(ctx, newUUID(), payload)
}

// Invoke is InvokeFunction with a request ID that the caller has chosen: a UUID as those
// of Lambda, which no other event has. Another one is an error.
func (f *Function) Invoke(ctx context.Context, requestID string, payload []byte) ([]byte, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	if !isUUID(requestID) {
		return nil, &lambda.InvokeError{
			Function: f.cfg.Name, StatusCode: http.StatusBadRequest, Type: "InvalidParameterValueException",
			Message: fmt.Sprintf("the request ID %q is not a UUID", clip.To(requestID, mostLogged)),
		}
	}
	if len(payload) > maxRequest {
		return nil, &lambda.InvokeError{
			Function: f.cfg.Name, StatusCode: http.StatusRequestEntityTooLarge, Type: "RequestTooLargeException",
			Message: fmt.Sprintf("Request must be smaller than %d bytes for the InvokeFunction operation", maxRequest),
		}
	}
	inv := &invocation{id: requestID, payload: payload, arrived: time.Now(), done: make(chan outcome, 1)}
	if err := f.submit(lifetime(), inv); err != nil { //nolint:contextcheck // see lifetime
		return nil, err
	}
	select {
	case o := <-inv.done:
		return o.answer, o.err
	case <-ctx.Done():
		f.abandon(inv)
		return nil, ctx.Err()
	}
}

// lifetime is the context of the processes and of what they print. They belong to no
// call: they live longer than the one that started them.
func lifetime() context.Context {
	return context.Background() //nolint:forbidigo // as the comment says
}

// submit gives an event to a process, or lets it wait for one.
func (f *Function) submit(ctx context.Context, inv *invocation) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.draining {
		return f.notRun(errClosed)
	}
	f.watchCode(ctx)
	if err := f.room(inv); err != nil {
		return err
	}
	f.enqueue(len(f.queue), inv)
	f.advance(ctx)
	return nil
}

// abandon takes an event back that no process has got yet.
func (f *Function) abandon(inv *invocation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := slices.Index(f.queue, inv); n >= 0 {
		f.dequeue(n)
	}
}

// watchCode begins to watch the code, once. The caller holds the lock.
func (f *Function) watchCode(ctx context.Context) {
	if !f.watches && !f.cfg.Unchanging {
		f.watches = true
		f.running.Go(func() { f.watch(ctx) })
	}
}

// untilStop calls do with a context that Close ends.
func (f *Function) untilStop(ctx context.Context, do func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f.running.Go(func() {
		select {
		case <-f.stop:
			cancel()
		case <-ctx.Done():
		}
	})
	do(ctx)
}

// Prepare builds a function that is a Go program now, and not with the first event, and
// builds it again when its code changes. It does not wait for that. What is wrong with the
// program is in the log, and the error of events. Other functions have nothing to build.
func (f *Function) Prepare() {
	if f.Validate() != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.prepares {
		return
	}
	f.prepares = true
	ctx := lifetime()
	f.watchCode(ctx)
	f.prepare(ctx)
}

// prepare builds the present code. The caller holds the lock.
func (f *Function) prepare(ctx context.Context) {
	code := f.code
	f.running.Go(func() {
		f.untilStop(ctx, func(ctx context.Context) {
			if _, err := f.command(ctx, code); err != nil {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.tell(ctx, code, err, nil)
			}
		})
	})
}

// command returns the command that runs code, after the first look at its files: a change
// that comes while they are read for the first time is seen.
func (f *Function) command(ctx context.Context, code *code) ([]string, error) {
	select {
	case <-f.looked:
		return code.prepare(ctx)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// tell logs once for each state of the code why it does not start. The caller holds the
// lock.
func (f *Function) tell(ctx context.Context, code *code, err error, tail []string) {
	if code.told || f.closed || code != f.code {
		return
	}
	code.told = true
	attrs := []slog.Attr{slog.String("error", firstLine(err.Error()))}
	if len(tail) > 0 {
		attrs = append(attrs, slog.Any("last_lines", tail))
	}
	f.cfg.Logger.LogAttrs(ctx, slog.LevelError, "function does not start", attrs...)
}

// start starts a process and waits until it ends.
func (f *Function) start(ctx context.Context, code *code) {
	var command []string
	var err error
	f.untilStop(ctx, func(ctx context.Context) { command, err = f.command(ctx, code) })
	var p *process
	if err == nil {
		p, err = f.spawn(ctx, code, command)
	}
	if err != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.starting--
		f.startFailed(ctx, code, f.notRun(err), nil)
		return
	}
	state, tail := p.wait()
	f.ended(ctx, p, state, tail)
}

// startFailed tells an event that its process did not start: all events, if there is no
// other process. If the code has changed meanwhile, the events get another process. The
// caller holds the lock.
func (f *Function) startFailed(ctx context.Context, code *code, err error, tail []string) {
	f.processes--
	if f.closed || code != f.code {
		f.advance(ctx)
		return
	}
	f.tell(ctx, code, err, tail)
	told := min(len(f.queue), 1)
	if f.processes == 0 {
		told = len(f.queue)
	}
	for n := told - 1; n >= 0; n-- {
		f.dequeue(n).finish(nil, err)
	}
	f.advance(ctx)
}

// ended takes a process away that has ended.
func (f *Function) ended(ctx context.Context, p *process, state string, tail []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p.timer.Stop()
	p.ended = true
	close(p.gone)
	delete(f.all, p)
	p.api.close()
	if n := slices.Index(f.free, p); n >= 0 {
		f.free = slices.Delete(f.free, n, n+1)
	}
	if p.starting {
		f.starting--
		err := p.failure
		if err == nil {
			err = f.exitError("", state)
			err.Trace = tail
		}
		f.startFailed(ctx, p.code, err, tail)
		return
	}
	f.processes--
	inv := p.current
	switch {
	case inv != nil && !inv.delivered && p.failure == nil: // it died before: another process can have the event
		f.enqueue(0, inv)
	case inv != nil && !inv.answered:
		err := p.failure
		if err == nil {
			err = f.exitError(inv.id, state)
		}
		p.reportEnd(ctx, inv, p.startTime(), err.Type)
		f.cfg.Logger.LogAttrs(ctx, slog.LevelError, "function ended", slog.String("request_id", inv.id), slog.String("error", err.Message))
		inv.finish(nil, err)
	case p.failure == nil && !p.retired:
		f.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "function ended between two events", slog.String("state", state))
	}
	f.advance(ctx)
}

// release takes a process back that asks for an event. The caller holds the lock.
func (f *Function) release(ctx context.Context, p *process) {
	p.current = nil
	if f.closed || p.code != f.code {
		p.retire()
		return
	}
	p.timer.Reset(f.idle)
	p.freeUntil = time.Now().Add(f.idle)
	f.free = append(f.free, p)
	f.advance(ctx)
	if f.retired && len(f.free) > 0 {
		f.retireFree()
	}
}

// retireFree ends the processes that have no event. The caller holds the lock.
func (f *Function) retireFree() {
	for _, p := range f.free {
		p.retire()
	}
	f.free = nil
}

// reload makes the next events start on fresh processes.
func (f *Function) reload(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.retired || f.draining {
		return
	}
	old := f.code
	f.code = f.newCode()
	f.retireFree()
	if f.ran(old) {
		f.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "function code changed: the next event starts new processes")
	}
	if f.prepares {
		f.prepare(ctx)
	}
	f.running.Go(func() { f.removeUnused(old) })
}

// ran reports whether anything came of code: a process, or an error. The caller holds the
// lock.
func (f *Function) ran(code *code) bool {
	for p := range f.all {
		if p.code == code {
			return true
		}
	}
	return code.told
}

// removeUnused removes what was built for code, after its last process has ended.
func (f *Function) removeUnused(old *code) {
	f.mu.Lock()
	var last []*process
	for p := range f.all {
		if p.code == old {
			last = append(last, p)
		}
	}
	f.mu.Unlock()
	for _, p := range last {
		<-p.gone
	}
	old.remove()
}

// Shutdown takes no more events, waits until those that run or wait have ended, and then
// closes the function. Changed files are not seen any more. When ctx ends, it waits no longer: the error is that of ctx, and the
// events that are left fail, as after Close.
func (f *Function) Shutdown(ctx context.Context) error {
	if f == nil || f.stop == nil {
		return nil
	}
	f.mu.Lock()
	f.draining = true
	f.leaveCode()
	f.mu.Unlock()
	look := time.NewTicker(drainEvery)
	defer look.Stop()
	for f.busy() && ctx.Err() == nil {
		select {
		case <-look.C:
		case <-ctx.Done():
		}
	}
	err := ctx.Err()
	if !f.busy() {
		err = nil
	}
	return errors.Join(err, f.Close())
}

// busy reports whether an event runs or waits.
func (f *Function) busy() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	for p := range f.all {
		if p.current != nil && !p.current.answered {
			return true
		}
	}
	return len(f.queue) > 0
}

// Retire makes each process end as soon as it has no event, those without one at once.
// Events are still served, but changed files are not seen any more. Call it when no more
// events should come, and Close some time later.
func (f *Function) Retire() {
	if f.Validate() != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.retired = true
	f.leaveCode()
	f.retireFree()
}

// leaveCode ends the watch of the code. The caller holds the lock.
func (f *Function) leaveCode() {
	select {
	case <-f.left:
	default:
		close(f.left)
	}
}

// Close kills all processes and their children, and returns when they have ended. Events
// that run or wait fail. A second call only waits for the end of the first.
func (f *Function) Close() error {
	if f == nil || f.stop == nil {
		return nil
	}
	f.mu.Lock()
	if !f.closed {
		f.closed = true
		close(f.stop)
		for _, inv := range f.queue {
			inv.finish(nil, f.notRun(errClosed))
		}
		f.queue, f.waits = nil, 0
		if f.again != nil {
			f.again.Stop()
		}
		for p := range f.all {
			p.failure = &lambda.FunctionError{Function: f.cfg.Name, Type: "Runtime.ExitError", Message: errClosed.Error()}
			p.retire()
		}
	}
	f.mu.Unlock()
	f.gone.Do(func() { // a second call waits for it
		f.running.Wait()
		f.code.remove()
	})
	return nil
}

var errClosed = errors.New("the function is closed")

// notRun is the error of an event that no process got.
func (f *Function) notRun(err error) error {
	return &lambda.InvokeError{Function: f.cfg.Name, StatusCode: http.StatusInternalServerError, Type: "ServiceException", Message: err.Error()}
}

// exitError is the error of a process that ended by itself, as Lambda gives it.
func (f *Function) exitError(requestID, state string) *lambda.FunctionError {
	message := "Runtime exited with error: " + state
	if state == "exit status 0" {
		message = "Runtime exited without providing a reason"
	}
	return f.sandboxError(requestID, "Runtime.ExitError", message)
}

// sandboxError is an error that Lambda makes in the place of the function.
func (f *Function) sandboxError(requestID, kind, message string) *lambda.FunctionError {
	if requestID != "" {
		message = "RequestId: " + requestID + " Error: " + message
	}
	return &lambda.FunctionError{Function: f.cfg.Name, Type: kind, Message: message}
}

func (f *Function) timeoutError(requestID, what string, limit time.Duration) *lambda.FunctionError {
	return f.sandboxError(requestID, timedOut, what+" timed out after "+strconv.FormatFloat(limit.Seconds(), 'f', 2, 64)+" seconds")
}

// finish tells the caller what became of its event. Only the first call counts. The
// caller holds the lock of the Function.
func (inv *invocation) finish(answer []byte, err error) {
	if !inv.answered {
		inv.answered = true
		inv.done <- outcome{answer, err}
	}
}

// newUUID returns a random UUID, as the request IDs of Lambda are.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// isUUID reports whether a request ID has the form of newUUID.
func isUUID(id string) bool {
	for n := range len(id) {
		switch c := id[n]; {
		case n == 8 || n == 13 || n == 18 || n == 23:
			if c != '-' {
				return false
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F'):
			return false
		}
	}
	return len(id) == 36
}
