// Package server holds the variants that the benchmark compares, and the process
// that runs one of them.
package server

import (
	"context"
	"net"
	"net/http"

	"example.com/gateway/benchmarks/wire"
)

// Variant is a way to serve the works. One more is one more file, named in
// [Variants].
type Variant struct {
	Name    string
	Module  string // "" for what is no module of its own
	Tuning  string // how it is set up, for the reader of the results
	Dialect *wire.Dialect
	new     func(context.Context) (*backend, error)
}

// Variants returns all of them; ours is the first.
func Variants() []Variant {
	return []Variant{
		gatewayVariant(), gwsVariant(), gorillaVariant(), coderVariant(), nhooyrVariant(), centrifugeVariant(), tcpVariant(),
	}
}

// Find returns a variant by name.
func Find(name string) (Variant, bool) {
	for _, v := range Variants() {
		if v.Name == name {
			return v, true
		}
	}
	return Variant{}, false
}

// backend is a variant at work.
type backend struct {
	// handler upgrades at /, and takes POST /@connections/{id} where the variant
	// serves the work post.
	handler http.Handler
	// serve takes the place of handler and net/http. It ends with the listener.
	serve func(net.Listener) error
	// post sends a message to one connection, in process. nil: not measured.
	post func(id string, message []byte) error
	// broadcast sends a message to every connection. nil: not measured.
	broadcast func(message []byte) error
}
