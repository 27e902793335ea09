package server

import (
	"context"
	"net/http"

	"github.com/olahol/melody"

	"example.com/gateway/benchmarks/wire"
)

func melodyVariant() Variant {
	return Variant{
		Name:    "melody",
		Module:  "github.com/olahol/melody",
		Tuning:  "its defaults; a group is the value of a key, and BroadcastFilter looks at that of every session",
		Dialect: wire.WebSocket(),
		new:     newMelody,
	}
}

// The keys of a session: its number in the book, and the group that it is in.
const (
	idKey   = "id"
	roomKey = "room"
)

func newMelody(context.Context) (*backend, error) {
	m, sessions, known := melody.New(), newBook[*melody.Session](), newActions()
	known["join"] = func(id string) []byte {
		if s, ok := sessions.find(id); ok {
			s.Set(roomKey, wire.Channel)
		}
		return []byte(wire.Reply)
	}
	m.HandleConnect(func(s *melody.Session) { s.Set(idKey, sessions.add(s)) })
	m.HandleDisconnect(func(s *melody.Session) { sessions.remove(s.MustGet(idKey).(string)) })
	m.HandleMessage(func(s *melody.Session, message []byte) {
		answer, err := known.answer(message, s.MustGet(idKey).(string))
		if err == nil {
			err = s.Write(answer)
		}
		if err != nil {
			_ = s.Close()
		}
	})
	return &backend{
		handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = m.HandleRequest(w, r) }), // has answered
		group: func(message []byte) error {
			return m.BroadcastFilter(message, func(s *melody.Session) bool {
				room, _ := s.Get(roomKey)
				return room == wire.Channel
			})
		},
		memberships: func() []membership { return melodyMemberships(sessions.all()) },
	}, nil
}

func melodyMemberships(sessions []*melody.Session) []membership {
	var all []membership
	for _, s := range sessions {
		all = append(all, membership{
			join: func() error {
				s.Set(roomKey, wire.Channel)
				return nil
			},
			leave: func() error {
				s.UnSet(roomKey)
				return nil
			},
		})
	}
	return all
}
