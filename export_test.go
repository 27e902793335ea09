package gateway

import (
	"log/slog"
	"unsafe"
)

// ConnectionBytes is the size of the struct that the gateway keeps for one
// connection.
const ConnectionBytes = unsafe.Sizeof(connection{})

// CallBytes is the size of the struct that the gateway allocates for one message.
const CallBytes = unsafe.Sizeof(call{})

// KeysHeld returns how many API keys g has throttles for.
func (g *Gateway) KeysHeld() int {
	g.keyUses.mu.Lock()
	defer g.keyUses.mu.Unlock()
	return len(g.keyUses.byID)
}

// Watched returns how many workers g watches.
func (g *Gateway) Watched() int { return g.watch.Len() }

// ContextValue returns a $context variable of req, "" if it has none.
func ContextValue(req *Request, name string) string {
	value, _ := req.context().Text(name)
	return value
}

// ErrorAnswer is a row of the table of errors.
type ErrorAnswer struct {
	Status           int
	Name, Text, Kind string
	Level            slog.Level
}

// ErrorAnswers returns the table, with the text of the error as key.
func ErrorAnswers() map[string]ErrorAnswer {
	rows := map[string]ErrorAnswer{}
	for _, row := range answers {
		rows[row.err.Error()] = ErrorAnswer{row.status, row.name, row.text, row.kind, row.level}
	}
	return rows
}

// IndexSizes are the sizes of what finds connections by their groups and users.
// Untold are the events of $join and $leave that wait or run.
type IndexSizes struct{ Open, Groups, Users, Untold int }

// IndexSizes returns the sizes now.
func (g *Gateway) IndexSizes() IndexSizes {
	sizes := IndexSizes{Open: int(g.open.Load()), Groups: g.groups.Groups(), Untold: g.presence.Len()}
	if users := g.users.Load(); users != nil {
		sizes.Users = users.Groups()
	}
	return sizes
}

// FieldErrorsOf returns what a client is told of the error of a Validate method.
func FieldErrorsOf(err error) []FieldError { return fieldErrors(err, true) }
