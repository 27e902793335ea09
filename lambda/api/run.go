package api

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/gateway/controlplane"
	"example.com/gateway/lambda"
	"example.com/gateway/lambda/process"
)

// instance runs one version of a function with one configuration.
type instance struct {
	server  *Server
	version string
	hash    string // of the code
	cfg     process.Config
	// fingerprint is different for each configuration that runs in another way.
	fingerprint string
	throttled   bool // its reserved concurrency is 0

	refs    int  // events that it has; the lock of the runner guards it
	retired bool // there are no new events; as above

	mu     sync.Mutex // guards the fields below
	fn     *process.Function
	closed bool
	failed error     // why it did not start
	until  time.Time // it is not tried again before
}

// ResolveFunction implements [controlplane.FunctionResolver]. It finds the functions of
// this Server by all forms of a name, with a version or an alias. Region and account of an
// ARN do not matter. The permissions of a function are not asked.
func (s *Server) ResolveFunction(uri string) (lambda.Invoker, error) {
	name, err := controlplane.ParseFunctionName(uri)
	if err != nil {
		return nil, err
	}
	t := target{name.Name, name.Qualifier}
	i, err := s.acquire(t)
	if err != nil {
		if answer, known := answerOf(err); known && answer.status == http.StatusNotFound {
			return nil, fmt.Errorf("%w: %s", controlplane.ErrUnknownFunction, answer.message)
		}
		return nil, err
	}
	s.release(i)
	return &invoker{s, t}, nil
}

// invoker is a function as an integration has it.
type invoker struct {
	server *Server
	target target
}

// FunctionName returns the name of the function for texts of errors.
func (i *invoker) FunctionName() string { return i.target.name }

// InvokeFunction implements [lambda.Invoker].
func (i *invoker) InvokeFunction(ctx context.Context, payload []byte) ([]byte, error) {
	answer, _, err := i.server.run(ctx, i.target, newRevision(), payload)
	return answer, err
}

// run gives an event to a function, and returns its answer and the version that made it.
func (s *Server) run(ctx context.Context, t target, id string, payload []byte) (answer []byte, on *instance, err error) {
	if o, found := s.other(t.name); found {
		return s.runOther(ctx, &o, t.qualifier, payload)
	}
	i, err := s.acquire(t)
	if err != nil {
		return nil, nil, refusal(t, err)
	}
	defer s.release(i) //nolint:contextcheck // an old instance ends when it likes
	if i.throttled {
		return nil, nil, &lambda.InvokeError{Function: t.name, StatusCode: http.StatusTooManyRequests, Type: "TooManyRequestsException", Message: "Rate Exceeded."}
	}
	fn, err := i.start()
	if err != nil {
		return nil, i, &lambda.FunctionError{Function: t.name, Type: "Runtime.InvalidEntrypoint", Message: "RequestId: " + id + " Error: " + err.Error()}
	}
	answer, err = fn.Invoke(ctx, id, payload)
	return answer, i, err
}

// refusal makes the error of a function that cannot be found.
func refusal(t target, err error) error {
	answer, known := answerOf(err)
	if !known {
		return err
	}
	return &lambda.InvokeError{Function: t.name, StatusCode: answer.status, Type: answer.name, Message: answer.message}
}

// newInstance makes an instance of a version that has not started.
func (s *Server) newInstance(t target, f *function) *instance {
	name, version, d, record := t.name, t.qualifier, f.versions[t.qualifier], f.record
	i := &instance{server: s, version: version, hash: hashOf(d)}
	qualifier := ""
	env := slices.Clone(s.cfg.Env)
	if version != latest {
		qualifier = version
		env = append(env, "AWS_LAMBDA_FUNCTION_VERSION="+version)
	}
	if logging, _ := d["LoggingConfig"].(document); textOf(logging, "LogGroup") != "" {
		env = append(env, "AWS_LAMBDA_LOG_GROUP_NAME="+textOf(logging, "LogGroup"))
	}
	environment, _ := d["Environment"].(document)
	variables, _ := environment["Variables"].(document)
	for _, key := range slices.Sorted(maps.Keys(variables)) {
		env = append(env, key+"="+textOf(variables, key))
	}
	env = append(env, s.cfg.Overrides...)
	i.cfg = process.Config{
		Name: name, ARN: s.arnOf(name, qualifier), Handler: textOf(d, "Handler"), Runtime: textOf(d, "Runtime"), Env: env, PassEnv: s.cfg.PassEnv,
		Timeout: time.Duration(numberOf(d, "Timeout")) * time.Second, MemoryMB: numberOf(d, "MemorySize"), Concurrency: s.cfg.Concurrency,
		Unchanging: true, Logger: s.log, Output: s.tails.add,
	}
	if i.cfg.Concurrency == 0 {
		i.cfg.Concurrency = defaultConcurrency
	}
	if record[reserved] != nil {
		n := numberOf(record, reserved)
		i.throttled = n == 0
		i.cfg.Concurrency = max(min(i.cfg.Concurrency, n), 1)
	}
	i.fingerprint = fmt.Sprintf("%q", []any{i.hash, i.cfg.Handler, i.cfg.Runtime, env, i.cfg.Timeout, i.cfg.MemoryMB, i.cfg.Concurrency, i.throttled})
	return i
}

const defaultConcurrency = 8

// retryAfter is how long after a failure an instance tries to start again. What was missing
// may be there then.
const retryAfter = 2 * time.Second

// start returns the function of an instance, and makes it for the first event. The log has
// the reason of a failure once.
func (i *instance) start() (*process.Function, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.closed:
		return nil, errClosed
	case i.fn != nil:
		return i.fn, nil
	case i.failed != nil && time.Now().Before(i.until):
		return nil, i.failed
	}
	dir, err := i.server.code.folder(i.hash)
	if err == nil {
		i.cfg.Dir = dir
		err = checkBootstrap(dir, i.cfg.Runtime)
	}
	if err == nil {
		i.fn, err = process.New(i.cfg)
	}
	if err != nil && (i.failed == nil || i.failed.Error() != err.Error()) {
		i.server.log.Error("function does not start", slog.String("function", i.cfg.Name), slog.Any("error", err))
	}
	i.failed, i.until = err, time.Now().Add(retryAfter)
	return i.fn, err
}

// checkBootstrap says what Lambda says about a bootstrap that cannot run.
func checkBootstrap(dir, runtime string) error {
	if !strings.HasPrefix(runtime, "provided") {
		return nil
	}
	info, err := os.Stat(filepath.Join(dir, "bootstrap"))
	switch {
	case err != nil || info.IsDir():
		return fmt.Errorf("Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]: put an executable file with the name bootstrap at the top of the zip file") //nolint:staticcheck // Lambda's text
	case info.Mode()&0o111 == 0:
		return fmt.Errorf("fork/exec /var/task/bootstrap: permission denied: make the file executable before it is zipped (chmod +x bootstrap)")
	}
	return nil
}

// shutdown lets the events of an instance end, and closes it.
func (i *instance) shutdown() {
	i.mu.Lock()
	i.closed = true
	fn := i.fn
	i.mu.Unlock()
	ctx, cancel := context.WithTimeout(lifetime(), i.cfg.Timeout+time.Minute)
	defer cancel()
	if err := fn.Shutdown(ctx); err != nil {
		i.server.log.Warn("function did not end in time", slog.String("function", i.cfg.Name), slog.Any("error", err))
	}
}

// close ends an instance, and the events that it has.
func (i *instance) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
	_ = i.fn.Close()
}

// lifetime is the context of what belongs to no call.
func lifetime() context.Context {
	return context.Background() //nolint:forbidigo // as the comment says
}
