// Package server holds the variants that the benchmark compares, and the process
// that runs one of them.
package server

import (
	"context"
	"net"
	"net/http"

	"example.com/gateway/benchmarks/wire"
)

// Variant is a way to serve the works. To add one, add a file and name it in
// [Variants].
type Variant struct {
	Name    string
	Module  string // "" if it is not a module of its own
	Tuning  string // how it is configured, for the reader of the results
	Dialect *wire.Dialect
	new     func(context.Context) (*backend, error)
}

// Variants returns all variants; ours is the first.
func Variants() []Variant {
	return []Variant{
		gatewayVariant(), gwsVariant(), gorillaVariant(), coderVariant(), nhooyrVariant(), centrifugeVariant(), melodyVariant(), hubVariant(),
		tcpVariant(),
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

// backend is a variant that runs.
type backend struct {
	// handler upgrades at /. It serves POST /@connections/{id} if the variant takes
	// part in the work post.
	handler http.Handler
	// serve replaces handler and net/http. It ends with the listener.
	serve func(net.Listener) error
	// post sends a message to one connection, from the same process. nil: not
	// measured.
	post func(id string, message []byte) error
	// broadcast sends a message to every connection. nil: not measured.
	broadcast func(message []byte) error
	// group sends a message to the members of the group. nil: not measured.
	group func(message []byte) error
	// members does the same, but names each member by its connection ID. nil: not
	// measured.
	members func(message []byte) error
	// memberships returns how each open connection joins the group and leaves it. nil:
	// not measured.
	memberships func() []membership
}
