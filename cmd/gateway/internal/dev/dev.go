// Package dev is a local API Gateway for development: control plane, stages and @connections
// on one port, with the APIs and functions of a definition.
package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"example.com/gateway/definition"
)

// Options say what to run. Those of the flags are described there.
type Options struct {
	File       string             // a definition or its folder; "": no APIs yet
	Definition definition.Options // how to read it

	Listen        string // an address of this machine, without a port
	Port, TLSPort int    // 0: any free one
	// FixedPort and FixedTLSPort say that no other port may take the place of one that is in
	// use.
	FixedPort, FixedTLSPort bool
	Hosts                   []string // further names of this server
	Origins                 []string // of pages that may connect, besides those of this machine
	APIKeys                 []string // values of API keys

	State             string   // a folder; "": in memory
	Region, AccountID string   // "": us-east-1, 123456789012
	Env               []string // of all functions, as NAME=value
	PassEnv           []string // variables of this program that all functions get
	VerifySignatures  bool
	Strict, NoQuotas  bool
	AnswerCommands    bool // the headers of answers may change connections
	// ManagementExtensions opens the calls of @connections that the service does not have.
	ManagementExtensions bool
	BinaryMessages       bool
	Compression          bool
	AutoResponses        map[string]string // by the text that they answer
	ShowBodies, Debug    bool
	Quiet                bool // no lines for what went well

	Out   io.Writer // what happens
	Color bool      // Out is a terminal
}

// FileError is an error of the definition: what is wrong, where, and what to do.
type FileError struct{ Text string }

// Error implements error. Control characters of the definition are not in it.
func (e *FileError) Error() string {
	lines := strings.Split(e.Text, "\n")
	for n := range lines {
		lines[n] = visible(lines[n])
	}
	return strings.Join(lines, "\n")
}

// UsageError is an error in the options.
type UsageError struct{ error }

// Unwrap returns what is wrong.
func (e *UsageError) Unwrap() error { return e.error }

func usage(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }

// stopWithin is how long open connections and their integrations have when a signal ends
// the program.
const stopWithin = 15 * time.Second

// oneSignal is how soon after the first another signal means the same: a terminal and a program
// such as npm or timeout may send one each.
const oneSignal = 300 * time.Millisecond

// Run serves until a signal comes: SIGINT or SIGTERM. It returns when all connections are
// closed and all functions have ended. A second signal ends it at once, which is an error. A
// signal during the start ends that.
func Run(ctx context.Context, o Options) error {
	began := time.Now()
	signals := make(chan os.Signal, 4) // before anything else, so that none is lost
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	if !signal.Ignored(syscall.SIGHUP) { // as it is with nohup
		signal.Notify(signals, syscall.SIGHUP) // the terminal was closed
	}
	defer signal.Stop(signals)
	collectLess()

	if err := o.check(); err != nil {
		return err
	}
	o.VerifySignatures = o.VerifySignatures || !IsLoopback(o.Listen)
	s, err := start(ctx, o, signals)
	if s == nil {
		return err
	}
	defer s.close(ctx)
	s.serve()
	s.welcome(time.Since(began))

	endWatch := s.watch(ctx)
	select {
	case err = <-s.failed:
	case <-ctx.Done():
	case <-s.print.lost: // as after Ctrl-C for "gateway dev | tee log"
	case sig := <-signals:
		s.print.note("%s: closing the connections. Press Ctrl-C again to end at once.", sig)
	}
	return errors.Join(err, s.stop(context.WithoutCancel(ctx), signals, endWatch))
}

// errAgain is the error of a second signal.
var errAgain = errors.New("ended at once by a second signal")

// start makes the server. After a signal there is neither a server nor an error.
func start(ctx context.Context, o Options, signals <-chan os.Signal) (*server, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		s   *server
		err error
	}
	made := make(chan result, 1)
	go func() {
		s, err := newServer(ctx, o)
		made <- result{s, err}
	}()
	select {
	case r := <-made:
		return r.s, r.err
	case <-signals:
		cancel()
	}
	again, over := another(signals)
	defer over()
	select {
	case r := <-made:
		if r.s != nil {
			r.s.close(ctx)
		}
		return nil, nil
	case <-again:
		return nil, errAgain
	}
}

// another returns a channel that is closed by the next signal, unless that means the same as the
// one that came just now. over ends the waiting.
func another(signals <-chan os.Signal) (again <-chan struct{}, over func()) {
	came, end := make(chan struct{}), make(chan struct{})
	first := time.Now()
	go func() {
		for {
			select {
			case <-signals:
				if time.Since(first) < oneSignal {
					continue
				}
				close(came)
				return
			case <-end:
				return
			}
		}
	}()
	return came, func() { close(end) }
}

// collectLess lets the heap, which is small, grow more before garbage is collected, unless the
// environment says how much. It answers a tenth more messages for some megabytes.
func collectLess() {
	const percent = 400
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// stop ends everything in order: a reload that runs, then the stages with their connections,
// because an http.Server does not know of them, then the ports, then the functions, which
// $disconnect has needed until now.
func (s *server) stop(ctx context.Context, signals <-chan os.Signal, endWatch func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	again, over := another(signals)
	defer over()
	ended := make(chan error, 1)
	go func() {
		err := endWatch(ctx)
		s.bodies.Stop()
		err = errors.Join(err, s.plane.Shutdown(ctx))
		for _, d := range s.doors {
			err = errors.Join(err, d.shutdown(ctx))
		}
		ended <- err
	}()
	var err error
	select {
	case err = <-ended:
	case <-again:
		cancel()
		<-ended //nolint:errcheck // it was cut short
		return errAgain
	}
	if err != nil {
		return fmt.Errorf("not everything has ended within %v: %w", stopWithin, err)
	}
	return nil
}
