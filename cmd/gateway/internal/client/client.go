// Package client is the small client behind "gateway send".
package client

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"example.com/gateway/internal/wsconn"
)

// Options say what to send, and when to end.
type Options struct {
	URL         string
	Messages    []string // "-" stands for the lines of In
	Binary      bool     // Messages and lines are base64 of binary messages
	Header      []string // "Name: value"
	Origin      string
	Subprotocol []string
	Compress    bool          // offer permessage-deflate
	CA          string        // a PEM file with certificates to trust, besides the system's
	Insecure    bool          // trust any certificate
	Connect     time.Duration // how long connecting may take
	Wait        time.Duration // how long to wait for messages after the last one was sent
	Count       int           // end after so many messages; fewer are an error. 0: wait for all of Wait

	In       io.Reader
	Out, Log io.Writer // what comes, one line a message; what happens
}

// ErrUsage marks an error in the options.
var ErrUsage = errors.New("usage")

// Run connects, sends, prints what comes, and closes. A signal to stop closes, too; a second one
// ends the program at once.
func Run(ctx context.Context, o Options) error {
	ctx, restore := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer restore()
	context.AfterFunc(ctx, restore)
	dial, err := o.dialing()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	c, err := connect(ctx, o, dial)
	if err != nil {
		return err
	}
	defer c.CloseNow()
	_, _ = fmt.Fprintln(o.Log, "connected to", withoutQuery(o.URL))

	stopped := ctx
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx)) // a Close frame can still be written after stopped
	defer stop()
	received, ended := make(chan string), make(chan error, 1)
	go func() {
		for {
			data, text, err := c.Read(ctx)
			if err != nil {
				ended <- err
				return
			}
			line := string(data)
			if !text {
				line = binaryPrefix + base64.StdEncoding.EncodeToString(data)
			}
			select {
			case received <- line:
			case <-ctx.Done():
			}
		}
	}()
	sent := make(chan error, 1)
	go func() { sent <- send(ctx, c, o) }()
	return follow(stopped, c, o, received, ended, sent)
}

// follow prints messages until it is time to end.
func follow(stopped context.Context, c *wsconn.Client, o Options, received <-chan string, ended, sent <-chan error) error {
	var over <-chan time.Time
	for got := 0; ; {
		select {
		case text := <-received:
			_, _ = fmt.Fprintln(o.Out, text)
			if got++; got == o.Count {
				return goodbye(c)
			}
		case err := <-ended:
			return closedBy(o, err, got)
		case err := <-sent:
			if err != nil {
				return fmt.Errorf("send: %w", err)
			}
			sent, over = nil, time.After(o.Wait)
		case <-over:
			if got < o.Count {
				return fmt.Errorf("%d of %d messages came within %v after the last one was sent", got, o.Count, o.Wait)
			}
			return goodbye(c)
		case <-stopped.Done():
			if got < o.Count {
				return errors.Join(fmt.Errorf("%d of %d messages came before it was stopped", got, o.Count), goodbye(c))
			}
			return goodbye(c)
		}
	}
}

// goodbye closes politely. The messages have been printed, so it is not an error if the server
// does not answer.
func goodbye(c *wsconn.Client) error {
	_ = c.Close(wsconn.CloseNormal, "")
	return nil
}

// closedBy says how the server has ended the connection: with 1000 it meant to.
func closedBy(o Options, err error, got int) error {
	code, reason, ok := wsconn.ReceivedClose(err)
	if !ok {
		return fmt.Errorf("the connection broke off without a Close frame: %w", err)
	}
	if code == wsconn.CloseNormal && got >= o.Count {
		_, _ = fmt.Fprintln(o.Log, "closed by the server:", code, reason)
		return nil
	}
	return fmt.Errorf("closed by the server: %d %s", code, reason)
}

// binaryPrefix is before a binary message that is printed.
const binaryPrefix = "binary: "

func send(ctx context.Context, c *wsconn.Client, o Options) error {
	for _, text := range o.Messages {
		if text != "-" {
			if err := write(ctx, c, o, text); err != nil {
				return err
			}
			continue
		}
		lines := bufio.NewScanner(o.In)
		lines.Buffer(nil, 1<<24)
		for lines.Scan() {
			if err := write(ctx, c, o, lines.Text()); err != nil {
				return err
			}
		}
		if err := lines.Err(); err != nil {
			return err
		}
	}
	return nil
}

func write(ctx context.Context, c *wsconn.Client, o Options, message string) error {
	if !o.Binary {
		return c.Write(ctx, []byte(message), true)
	}
	data, err := base64.StdEncoding.DecodeString(message)
	if err != nil {
		return fmt.Errorf("--binary: %.40q is not base64", message)
	}
	return c.Write(ctx, data, false)
}

func connect(ctx context.Context, o Options, dial wsconn.DialOptions) (*wsconn.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Connect)
	defer cancel()
	c, resp, err := wsconn.Dial(ctx, o.URL, dial) //nolint:bodyclose // Dial has read what there is
	if err == nil {
		if o.Compress {
			_, _ = fmt.Fprintln(o.Log, "compression:", cmp.Or(resp.Header.Get("Sec-WebSocket-Extensions"), "the server has not agreed"))
		}
		return c, nil
	}
	if resp == nil {
		if with := (*url.Error)(nil); errors.As(err, &with) { // it has the whole URL
			err = with.Err
		}
		return nil, fmt.Errorf("cannot connect to %s: %w", withoutQuery(o.URL), err)
	}
	body, _ := io.ReadAll(resp.Body)
	return nil, fmt.Errorf("the server refused the connection: %s %s", resp.Status, strings.TrimSpace(string(body)))
}

// dialing checks the options.
func (o *Options) dialing() (wsconn.DialOptions, error) {
	d := wsconn.DialOptions{Header: http.Header{}, Subprotocols: o.Subprotocol, Compress: o.Compress, TLS: &tls.Config{InsecureSkipVerify: o.Insecure}} //nolint:gosec // asked for
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" {
		return d, fmt.Errorf("%q is not a WebSocket URL: write one as ws://localhost:8080/prod or wss://…", o.URL)
	}
	for _, h := range o.Header {
		name, value, ok := strings.Cut(h, ":")
		if name = strings.TrimSpace(name); !ok || name == "" || strings.ContainsAny(name, " \t") {
			return d, fmt.Errorf("--header %q: write it as \"Name: value\"", h)
		}
		if value = strings.TrimSpace(value); strings.EqualFold(name, "Host") {
			d.Host = value
			continue
		}
		d.Header.Add(name, value)
	}
	if o.Origin != "" {
		d.Header.Set("Origin", o.Origin)
	}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return d, fmt.Errorf("--ca: %w", err)
		}
		if d.TLS.RootCAs, err = x509.SystemCertPool(); err != nil {
			d.TLS.RootCAs = x509.NewCertPool()
		}
		if !d.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return d, fmt.Errorf("--ca %s: there is no certificate in it: name a PEM file", o.CA)
		}
	}
	return d, nil
}

// withoutQuery is a URL that may be printed: the query often has a token.
func withoutQuery(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the URL"
	}
	if u.RawQuery != "" {
		u.RawQuery = "…"
	}
	return u.Redacted()
}
