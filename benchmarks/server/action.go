package server

import (
	"errors"

	"github.com/tidwall/gjson" //nolint:depguard // the peers have to look into JSON by hand

	"example.com/gateway/benchmarks/wire"
)

// actions are what clients can ask of a peer, by name.
type actions map[string]func(id string) []byte

func newActions() actions {
	return actions{
		"echo":   func(string) []byte { return []byte(wire.Reply) },
		"whoami": func(id string) []byte { return []byte(id) },
	}
}

var errUnknownAction = errors.New("unknown action")

// answer looks the action of a message up, as gateway does for a route. It does
// not ask whether the message is valid JSON and valid UTF-8, which gateway does.
func (a actions) answer(message []byte, id string) ([]byte, error) {
	action, ok := a[gjson.GetBytes(message, "action").String()]
	if !ok {
		return nil, errUnknownAction
	}
	return action(id), nil
}
