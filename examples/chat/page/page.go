// Package page is the page of the chat examples: the same for every backend.
package page

import (
	"embed"
	"net/http"
)

//go:embed index.html app.js style.css icon.svg
var files embed.FS

// Handler serves the page at /. It looks for the sockets at /chat and for the
// management API at /chat/@connections/ of the same host.
func Handler() http.Handler {
	fileServer := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
			"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		fileServer.ServeHTTP(w, r)
	})
}
