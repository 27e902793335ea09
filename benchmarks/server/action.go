package server

import (
	"errors"

	"github.com/tidwall/gjson" //nolint:depguard // the other servers must read the JSON themselves

	"example.com/gateway/benchmarks/wire"
)

// actions are the actions of a server, by name.
type actions map[string]func(id string) []byte

func newActions() actions {
	return actions{
		"echo":   func(string) []byte { return []byte(wire.Reply) },
		"whoami": func(id string) []byte { return []byte(id) },
	}
}

var errUnknownAction = errors.New("unknown action")

// answer looks up the action of a message, as gateway looks up a route. Unlike
// gateway, it does not check whether the message is valid JSON and valid UTF-8.
func (a actions) answer(message []byte, id string) ([]byte, error) {
	action, ok := a[gjson.GetBytes(message, "action").String()]
	if !ok {
		return nil, errUnknownAction
	}
	return action(id), nil
}
