package definition

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Definition describes the WebSocket APIs and the functions of a file.
type Definition struct {
	// APIs has the WebSocket APIs in the order of the file.
	APIs []API

	// Domains has the custom domain names with their API mappings.
	Domains []Domain

	// Functions has the functions that can run here, in the order of the file. A function
	// whose code is not on this machine is missing, and a note says why.
	Functions []Function

	// Notes says what the file has that does not run here, or not as it does on AWS.
	Notes []Note

	workDir  string
	unpacked []string // folders in workDir
}

// Document is one resource of the REST API of API Gateway (apigatewayv2).
type Document struct {
	// LogicalID is the name of the resource in the file. The expansion of a SAM or
	// Serverless resource has the names that these tools give.
	LogicalID string

	// ID is made from the name of the stack and the logical ID, so it is the same each time
	// that the file is read. Stages and domain names have their own name as ID. The ID of a
	// deployment changes with its API.
	ID string

	// Fields is the body of the create call: the field names are those of the REST API, and
	// the values are texts, json.Number, bool, []any and map[string]any. Absent fields are
	// absent, never nil.
	Fields map[string]any

	// File and Line say where the resource is.
	File string
	Line int
}

// API is a WebSocket API with everything that belongs to it.
type API struct {
	Document
	Routes       []Route
	Integrations []Integration
	Authorizers  []Document
	Models       []Document
	Deployments  []Document
	Stages       []Document
}

// Route is a route with its route responses.
type Route struct {
	Document
	Responses []Document
}

// Integration is an integration with its integration responses.
type Integration struct {
	Document
	Responses []Document
}

// Domain is a custom domain name with its API mappings.
type Domain struct {
	Document
	Mappings []Document
}

// Function is a Lambda function whose code is a folder of this machine.
type Function struct {
	// LogicalID is the name in the template.
	LogicalID string

	// Name is the function's name, which on AWS gets random characters if the template
	// names none: here it is the name of the stack, "-" and the logical ID.
	Name string

	// ARN names the function in integrations and authorizers.
	ARN string

	// Dir is the folder of the code, as an absolute path.
	Dir string

	// Handler and Runtime are as in the template: "app.handler", "nodejs22.x".
	Handler, Runtime string

	// Command is a program that runs in the place of the runtime, and its arguments. The
	// function's metadata names it, under the key "gateway:command"; in a serverless.yml it
	// is custom.gateway.command.NAME. A relative path of a program is relative to Dir.
	Command []string

	// Env has the environment variables of the template, and NODE_PATH or PYTHONPATH if its
	// layers are folders.
	Env map[string]string

	// Timeout is the time that one call may take: 3 s, with Serverless 6 s, unless the file
	// says something else.
	Timeout time.Duration

	// MemoryMB is the memory setting in MB: 128, with Serverless 1024, unless the file says
	// something else.
	MemoryMB int
}

// Call is one create call of the REST API, POST. Its path ends in the ID that the new resource
// gets, escaped as in a URL: "/v2/apis/{apiId}/routes/{routeId}". The service itself would choose that ID.
type Call struct {
	Path      string
	Body      map[string]any
	LogicalID string
}

// NoteKind says what a note is about.
type NoteKind string

// The kinds of notes.
const (
	NotRun  NoteKind = "not run here" // a resource or an event that has no part in WebSocket APIs
	Ignored NoteKind = "ignored"      // a setting without effect here
	Warning NoteKind = "warning"      // something that probably does not work as it is
)

// Note is a message about a place in a file.
type Note struct {
	Kind      NoteKind // empty for the problems of an Error
	File      string
	Line      int
	LogicalID string // empty if the place belongs to no resource
	Text      string
}

// String returns the note in one line: file, line, logical ID and text. Control characters,
// which a terminal would obey, are written as in Go: "\x1b".
func (n Note) String() string {
	var b strings.Builder
	b.WriteString(n.File)
	if n.Line > 0 {
		fmt.Fprintf(&b, ":%d", n.Line)
	}
	b.WriteString(": ")
	if n.LogicalID != "" {
		b.WriteString(n.LogicalID + ": ")
	}
	b.WriteString(n.Text)
	return visible(b.String())
}

// visible replaces the characters that are no part of a line of text.
func visible(text string) string {
	hidden := func(r rune) bool { return r == utf8.RuneError || !unicode.IsGraphic(r) }
	if !strings.ContainsFunc(text, hidden) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if hidden(r) {
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Error says why a file cannot be used: all the problems that were found, in the order of
// the lines.
type Error struct {
	Problems []Note
}

// Error returns one line for each problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Calls returns the create calls that make the APIs and the domain names. A call comes after
// the calls that make what it names, and a deployment after everything that it has to contain,
// even if the file forgets to say so with DependsOn.
func (d *Definition) Calls() []Call {
	var calls []Call
	for i := range d.APIs {
		calls = append(calls, d.APIs[i].calls()...)
	}
	for _, domain := range d.Domains {
		path := "/v2/domainnames/" + url.PathEscape(domain.ID)
		calls = append(calls, domain.call(path))
		for _, m := range domain.Mappings {
			calls = append(calls, m.call(path+"/apimappings/"+m.ID))
		}
	}
	return calls
}

func (a *API) calls() []Call {
	base := "/v2/apis/" + a.ID
	calls := []Call{a.call(base)}
	add := func(collection string, documents []Document) {
		for _, d := range documents {
			calls = append(calls, d.call(base+"/"+collection+"/"+url.PathEscape(d.ID)))
		}
	}
	add("models", a.Models)
	add("authorizers", a.Authorizers)
	for _, i := range a.Integrations {
		add("integrations", []Document{i.Document})
		add("integrations/"+i.ID+"/integrationresponses", i.Responses)
	}
	for _, r := range a.Routes {
		add("routes", []Document{r.Document})
		add("routes/"+r.ID+"/routeresponses", r.Responses)
	}
	before, after := a.stagesByDeployment()
	add("stages", before)
	add("deployments", a.Deployments)
	add("stages", after)
	return calls
}

// stagesByDeployment returns the stages that a deployment names, which have to exist before
// it, and the others.
func (a *API) stagesByDeployment() (before, after []Document) {
	for _, s := range a.Stages {
		named := slices.ContainsFunc(a.Deployments, func(d Document) bool { return d.Fields["stageName"] == s.ID })
		if named && s.Fields["deploymentId"] == nil {
			before = append(before, s)
		} else {
			after = append(after, s)
		}
	}
	return before, after
}

func (d *Document) call(path string) Call {
	return Call{Path: path, Body: d.Fields, LogicalID: d.LogicalID}
}
