package wiretest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
)

// SampleKey is the key of RFC 6455, section 1.3, and SampleAccept its answer.
const (
	SampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	SampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// Fields returns the header lines that an upgrade request needs, without line breaks.
func Fields() []string {
	return []string{
		"Host: gateway.test", "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + SampleKey,
	}
}

// Upgrade returns an upgrade request for a target such as "/test?a=b", with
// additional header lines.
func Upgrade(target string, fields ...string) string {
	return Request("GET "+target+" HTTP/1.1", append(Fields(), fields...)...)
}

// Request returns a request with this first line and these header lines, without a
// body.
func Request(line string, fields ...string) string {
	return line + "\r\n" + strings.Join(append(fields, "", ""), "\r\n")
}

var statusLine = regexp.MustCompile(`^HTTP/1\.[01] ([1-5]\d\d) `)

// Answer is a response exactly as it came; net/http would hide a part of it.
type Answer struct {
	Line   string   // the status line
	Status int      // the status code in Line
	Fields []string // the header lines, in order
	Body   string
}

// Open sends an upgrade request and requires a 101.
func (c *Conn) Open(target string, fields ...string) error {
	a, err := c.Ask(Upgrade(target, fields...))
	if err == nil && a.Status != http.StatusSwitchingProtocols {
		err = fmt.Errorf("upgrade refused: %s", a.Line)
	}
	return err
}

// Ask sends a request and reads the answer.
func (c *Conn) Ask(request string) (Answer, error) {
	if _, err := io.WriteString(c, request); err != nil {
		return Answer{}, err
	}
	return c.ReadAnswer()
}

// ReadAnswer reads a response to a request of any method but HEAD.
func (c *Conn) ReadAnswer() (Answer, error) {
	a, err := c.ReadHead()
	if err == nil {
		a.Body, err = c.readBody(a)
	}
	return a, err
}

// ReadHead reads a response up to its body.
func (c *Conn) ReadHead() (a Answer, err error) {
	tp := textproto.NewReader(c.br)
	if a.Line, err = tp.ReadLine(); err != nil {
		return a, fmt.Errorf("instead of an HTTP response: %w", err)
	}
	status := statusLine.FindStringSubmatch(a.Line)
	if status == nil {
		return a, fmt.Errorf("status line %q", a.Line)
	}
	a.Status, _ = strconv.Atoi(status[1])
	for {
		field, err := tp.ReadLine()
		if err != nil {
			return a, fmt.Errorf("within a header: %w", err)
		}
		if field == "" {
			return a, nil
		}
		a.Fields = append(a.Fields, field)
	}
}

// readBody reads what RFC 9112, section 6.3, says is the body.
func (c *Conn) readBody(a Answer) (string, error) {
	var body io.Reader = c.br // to the end of the stream, unless the header says otherwise
	length := a.Get("Content-Length")
	chunked := a.Get("Transfer-Encoding") == "chunked"
	switch {
	case a.Status < 200 || a.Status == 204 || a.Status == 304:
		return "", nil
	case chunked:
		body = httputil.NewChunkedReader(c.br)
	case length != "":
		n, err := strconv.ParseInt(length, 10, 64)
		if err != nil {
			return "", fmt.Errorf("the length of the body: %w", err)
		}
		body = io.LimitReader(c.br, n)
	}
	b, err := io.ReadAll(body)
	if err == nil && chunked {
		_, err = textproto.NewReader(c.br).ReadLine() // the line after the last chunk
	}
	return string(b), err
}

// Names returns the names of the fields, spelled as they came.
func (a Answer) Names() []string {
	names := make([]string, len(a.Fields))
	for n, f := range a.Fields {
		names[n], _, _ = strings.Cut(f, ":")
	}
	return names
}

// Get returns the value of the field whose name is spelled exactly so, or "" if there
// is none.
func (a Answer) Get(name string) string {
	for _, f := range a.Fields {
		if v, ok := strings.CutPrefix(f, name+": "); ok {
			return v
		}
	}
	return ""
}

// Values returns the values of all fields with this name, in any spelling of upper
// and lower case.
func (a Answer) Values(name string) (values []string) {
	for _, f := range a.Fields {
		if n, v, _ := strings.Cut(f, ":"); strings.EqualFold(n, name) {
			values = append(values, strings.TrimSpace(v))
		}
	}
	return values
}
