package dev

import (
	"html/template"
	"net/http"

	"example.com/gateway/controlplane"
	"example.com/gateway/internal/caller"
)

// page is what a browser gets at the root of the server: a page of this machine, in whose
// console WebSockets to the stages can be tried. It has no scripts.
func page() *template.Template {
	return template.Must(template.New("").Parse(`<!doctype html>
<meta charset="utf-8">
<title>gateway dev</title>
<h1>gateway dev</h1>
<p>A local API Gateway for WebSocket APIs runs here. Its REST API is below <code>/v2/apis</code>.</p>
{{range .}}<h2>{{.APIName}}: {{.Name}}</h2>
<p>Open the console of this page, and paste:</p>
<pre>ws = new WebSocket("{{.URL}}"); ws.onmessage = e =&gt; console.log(e.data)</pre>
{{end}}`))
}

// isPage tells whether a request is for the page. The name in its Host header has to be one of
// this server, so that no other page reads the addresses by a name of its own.
func (s *server) isPage(r *http.Request) bool {
	if r.URL.Path != "/" || r.Header.Get("Upgrade") != "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	name := caller.Hostname(r.Host)
	return caller.IsLocalName(name) || caller.Names(s.ports.names(s.o.Hosts))[name]
}

// servePage writes the page. If calls have to be signed, it does not name the APIs.
func (s *server) servePage(w http.ResponseWriter) {
	var stages []controlplane.Stage
	if !s.o.VerifySignatures {
		stages, _ = s.plane.Stages("") // what the store cannot read is not on the page
		stages = stages[:min(len(stages), maxListed)]
		for n := range stages {
			stages[n].URL = connectTo(stages[n]).url
		}
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; connect-src ws: wss:; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	_ = page().Execute(w, stages) // the client may be gone
}
