package dev

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"example.com/gateway"
	"example.com/gateway/lambda"
)

// shownBytes is how much of a body a line has.
const shownBytes = 1000

// short is a part of a connection ID that tells it from others. Its beginning is the same
// for all connections of a stage.
func short(id string) string {
	if len(id) < 14 {
		return id
	}
	return id[6:14]
}

// observer prints a line for each event of a stage.
func (s *server) observer() *gateway.Observer {
	o := &gateway.Observer{
		UpgradeRejected: func(_ context.Context, req *gateway.Request, status int, err error) {
			s.event(req, status, -1, "refused", cmp.Or(reason(err), "$connect has answered so")+fixFor(req, err))
		},
		IntegrationDone: s.integrationDone,
		MessageRejected: func(_ context.Context, req *gateway.Request, status int, err error) {
			s.event(req, status, -1, why(req), reason(err)+fixFor(req, err))
		},
		PostFailed: func(_ context.Context, id string, bytes int, err error) {
			s.print.line(short(id), cyan, s.print.paint(red, fmt.Sprintf("not sent, %d bytes: %s", bytes, reason(err))))
		},
	}
	if s.o.Quiet {
		return o
	}
	o.ConnectionOpened = func(_ context.Context, c gateway.Connection) {
		s.print.line(short(c.ID), cyan, s.print.paint(bold, "connected")+s.print.paint(faint, "  "+c.ID+" from "+c.Identity.SourceIP))
	}
	o.ConnectionClosed = func(_ context.Context, c gateway.Connection, code int, text string) {
		s.print.line(short(c.ID), cyan, s.print.paint(bold, "closed")+fmt.Sprintf("  %d %s", code, clip(visible(text), 123))+aboutClose(code))
	}
	o.MessageSent = func(_ context.Context, id string, bytes int) {
		s.print.line(short(id), cyan, s.print.paint(faint, fmt.Sprintf("sent  %d bytes", bytes)))
	}
	return o
}

func (s *server) integrationDone(_ context.Context, req *gateway.Request, resp *gateway.Response, took time.Duration, err error) {
	status := http.StatusOK
	if resp != nil && resp.StatusCode != 0 {
		status = resp.StatusCode
	}
	var failed *gateway.IntegrationError
	if errors.As(err, &failed) {
		status = failed.StatusCode
		err = failed.Err
	}
	s.event(req, status, took, why(req), problemOf(err))
	if s.o.ShowBodies {
		s.body(req.ConnectionID, "in ", req.Body)
		if resp != nil {
			s.body(req.ConnectionID, "out", resp.Body)
		}
	}
}

func (s *server) body(connectionID, direction string, body []byte) {
	if len(body) > 0 {
		s.print.line(short(connectionID), cyan, s.print.paint(faint, direction+" "+visible(clip(string(body), shownBytes))))
	}
}

// event prints one event: the route, the status, the time, and why the route was chosen.
func (s *server) event(req *gateway.Request, status int, took time.Duration, why, problem string) {
	if s.o.Quiet && problem == "" && status < http.StatusBadRequest {
		return
	}
	key := req.RouteKey
	if key == "" {
		key = "no route"
	}
	statusStyle := green
	if status >= http.StatusBadRequest || problem != "" {
		statusStyle = red
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s", s.print.paint(bold, fmt.Sprintf("%-16s", clip(visible(key), 64))), s.print.paint(statusStyle, strconv.Itoa(status)))
	if took >= 0 {
		fmt.Fprintf(&b, "  %7.1f ms", float64(took.Microseconds())/1000)
	}
	if why != "" {
		b.WriteString(s.print.paint(faint, "  "+why))
	}
	if problem != "" {
		b.WriteString(s.print.paint(red, "  "+problem))
	}
	s.print.line(short(req.ConnectionID), cyan, b.String())
}

// aboutClose says what a code that clients see seldom is about.
func aboutClose(code int) string {
	const tooBig = 1009
	if code == tooBig {
		return ": the most is 32 KiB for a frame, and 128 KiB for a message"
	}
	return ""
}

// why says why a message went to its route.
func why(req *gateway.Request) string {
	value, ok := req.SelectionValue()
	switch {
	case req.EventType == gateway.EventConnect:
		return "a client connects"
	case req.EventType == gateway.EventDisconnect:
		return "the connection has closed"
	case ok && value == "":
		return "the value that selects the route is empty"
	case ok && value == req.RouteKey:
		return fmt.Sprintf("the message selects %q", clip(value, 64))
	case ok:
		return fmt.Sprintf("no route has the key %q", clip(value, 64))
	case req.EventType == gateway.EventMessage && !json.Valid(req.Body):
		return "the message is not JSON, so no value selects a route"
	}
	return "the message has no value that selects a route"
}

// fixFor says what to do about a refusal, if this program can.
func fixFor(req *gateway.Request, err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "the origin of the page is not allowed"):
		return ": allow it with --origin"
	case strings.Contains(text, "API key"):
		return ": give one with --api-key, which the client sends as x-api-key"
	case req.EventType == gateway.EventMessage && req.RouteKey == "":
		return ": add a route with this key, or $default"
	}
	return ""
}

// problemOf is the error of an integration in one line. What a function has raised is printed
// in full with its name.
func problemOf(err error) string {
	var raised *lambda.FunctionError
	if errors.As(err, &raised) {
		text := fmt.Sprintf("the function raised %s: %s", raised.Type, clip(raised.Message, 200))
		if raised.Type == "Sandbox.Timedout" {
			text += ": raise the Timeout of the function, if it needs longer"
		}
		return reason(errors.New(text))
	}
	return strings.TrimPrefix(reason(err), "lambda: ")
}

// reason is an error in one line, without what the line says already.
func reason(err error) string {
	if err == nil {
		return ""
	}
	text := strings.ReplaceAll(strings.TrimPrefix(err.Error(), "gateway: "), "\n", " ")
	return clip(visible(userWords(text)), 2000)
}
