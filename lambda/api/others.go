package api

import (
	"cmp"
	"context"
	"slices"
	"time"

	"example.com/gateway/controlplane"
	"example.com/gateway/lambda"
	"example.com/gateway/lambda/process"
)

// Others are functions that the program has besides those of a [Server]. Invoke, GetFunction,
// GetFunctionConfiguration and ListFunctions find them, before a function of the Server with
// the same name. A call that makes a function with such a name, or that changes one, gets a
// ResourceConflictException. Its methods must be safe for concurrent use, and must not call
// the Server or its Store. Server.Close waits for the events that they run, so end these
// before.
type Others interface {
	// Find returns the function with a name.
	Find(name string) (o Other, found bool)
	// All returns all of them, in any order. Each has another name.
	All() []Other
}

// Other is one of [Others]. It has no versions but $LATEST, and no aliases.
type Other struct {
	Name, ARN        string
	Runtime, Handler string        // such as nodejs22.x and app.handler; may be ""
	Timeout          time.Duration // whole seconds
	MemoryMB         int
	// Invoker runs an event. The errors of package lambda are answered as those of the
	// functions of a Server, and any other one is an internal error.
	Invoker lambda.Invoker
}

// other returns the function of Config.Others with a name.
func (s *Server) other(name string) (o Other, found bool) {
	if s.cfg.Others == nil {
		return o, false
	}
	return s.cfg.Others.Find(name)
}

// configuration is what GetFunctionConfiguration answers.
func (o *Other) configuration() document {
	d := document{
		"FunctionName": o.Name, "FunctionArn": o.ARN, "Version": latest, "State": "Active", "LastUpdateStatus": "Successful", "PackageType": "Zip",
		"Timeout": int(o.Timeout / time.Second), "MemorySize": o.MemoryMB,
	}
	if o.Runtime != "" {
		d["Runtime"] = o.Runtime
	}
	if o.Handler != "" {
		d["Handler"] = o.Handler
	}
	return d
}

// otherConfiguration is the configuration of one of Others. found is false if there is none with
// this name.
func (s *Server) otherConfiguration(name, qualifier string) (d document, found bool, err error) {
	o, found := s.other(name)
	if !found {
		return nil, false, nil
	}
	if err := s.onlyLatest(name, qualifier); err != nil {
		return nil, true, err
	}
	d = o.configuration()
	if qualifier != "" {
		d["FunctionArn"] = o.ARN + ":" + qualifier
	}
	return d, true, nil
}

func (s *Server) onlyLatest(name, qualifier string) error {
	if qualifier == "" || qualifier == latest {
		return nil
	}
	return notFound("Function not found: %s", s.arnOf(name, qualifier))
}

// runOther gives an event to one of Others.
func (s *Server) runOther(ctx context.Context, o *Other, qualifier string, payload []byte) (answer []byte, on *instance, err error) {
	if err := s.onlyLatest(o.Name, qualifier); err != nil {
		return nil, nil, refusal(target{o.Name, qualifier}, err)
	}
	answer, err = o.Invoker.InvokeFunction(ctx, payload)
	return answer, &instance{version: latest, cfg: process.Config{MemoryMB: o.MemoryMB}}, err
}

// exists returns an error if an event cannot find its function.
func (s *Server) exists(t target) error {
	if _, found := s.other(t.name); found {
		return s.onlyLatest(t.name, t.qualifier)
	}
	i, err := s.acquire(t)
	if err == nil {
		s.release(i)
	}
	return err
}

// elsewhere is the error of a call that would change one of Others.
func elsewhere(name string) error {
	return conflict("The function %s was not made by the Lambda API: change it where it is defined", name)
}

// configurations returns the names and configurations of up to limit functions whose names come
// after the name after, in their order.
func (s *Server) configurations(r controlplane.Reader, after string, limit int) (names []string, all []any, err error) {
	names, records, err := children(r, allFunctions, after, limit)
	if err != nil {
		return nil, nil, err
	}
	type named struct {
		name string
		d    any
	}
	var list []named
	for n, record := range records {
		if _, found := s.other(names[n]); !found {
			list = append(list, named{names[n], record["Configuration"]})
		}
	}
	if s.cfg.Others != nil {
		for _, o := range s.cfg.Others.All() {
			if o.Name > after {
				list = append(list, named{o.Name, o.configuration()})
			}
		}
	}
	slices.SortFunc(list, func(a, b named) int { return cmp.Compare(a.name, b.name) })
	names = names[:0]
	for _, f := range list[:min(limit, len(list))] {
		names, all = append(names, f.name), append(all, f.d)
	}
	return names, all, nil
}
