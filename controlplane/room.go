package controlplane

import "strings"

// This file bounds what a store holds: a client can change the same documents again and
// again, and each deployment is a copy of its API.

// The quotas for all APIs, and those of the server itself. The others of the service are in
// the table.
const (
	mostAPIs      = 600
	mostResources = 10_000    // documents of an API
	mostOfAPI     = 100 << 20 // bytes of the documents and the deployments of an API
	mostOfAll     = 1 << 30   // bytes of all APIs and custom domain names
)

// room is how much is stored below an API, with the frozen copies of its deployments, or
// of the custom domain names.
type room struct{ documents, bytes int }

// rooms has the room of each API, by its ID. That of the custom domain names is at "".
type rooms map[string]room

// ownerOf returns whose room a key takes.
func ownerOf(key string) string {
	collection, rest, _ := strings.Cut(key, "/")
	if collection != "apis" && collection != "snapshots" {
		return ""
	}
	apiID, _, _ := strings.Cut(rest, "/")
	return apiID
}

// add adds n documents, or takes them away, that have a key and a value.
func (r rooms) add(n int, key string, value []byte) {
	if key == appliedKey {
		return // measure does not see it
	}
	owner := ownerOf(key)
	of := r[owner]
	of.bytes += n * (len(key) + len(value))
	if strings.HasPrefix(key, "apis/") {
		of.documents += n
	}
	r[owner] = of
}

func (r rooms) bytes() (all int) {
	for _, of := range r {
		all += of.bytes
	}
	return all
}

// apis returns the number of APIs.
func (r rooms) apis() int {
	if _, domains := r[""]; domains {
		return len(r) - 1
	}
	return len(r)
}

// measure returns the room of what a store holds.
func measure(r Reader) (rooms, error) {
	all := rooms{}
	for _, prefix := range []string{"apis/", "snapshots/", "domainnames/"} {
		if err := eachBelow(r, prefix, func(key string, value []byte) { all.add(1, key, value) }); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// eachBelow calls f with each key that starts with prefix, and its value.
func eachBelow(r Reader, prefix string, f func(key string, value []byte)) error {
	const batch = 128
	for position := ""; ; {
		keys, values, err := r.List(prefix, position, batch)
		if err != nil {
			return err
		}
		for n, key := range keys {
			f(key, values[n])
			position = key
		}
		if len(keys) < batch {
			return nil
		}
	}
}

// meter is a Writer that measures what it writes and deletes.
type meter struct {
	Writer
	changes rooms
}

func newMeter(w Writer) *meter { return &meter{w, rooms{}} }

// Put implements [Writer].
func (m *meter) Put(key string, value []byte) error {
	old, err := m.Get(key)
	if err != nil {
		return err
	}
	if old != nil {
		m.changes.add(-1, key, old)
	}
	m.changes.add(1, key, value)
	return m.Writer.Put(key, value)
}

// Delete implements [Writer].
func (m *meter) Delete(prefix string) error {
	key := strings.TrimSuffix(prefix, "/")
	err := eachBelow(m, key+"/", func(key string, value []byte) { m.changes.add(-1, key, value) })
	if err != nil {
		return err
	}
	if key == prefix {
		old, err := m.Get(key)
		if err != nil {
			return err
		}
		if old != nil {
			m.changes.add(-1, key, old)
		}
	}
	return m.Writer.Delete(prefix)
}

// checkRoom refuses a change that makes an API, or everything, larger than it may be.
func (s *Server) checkRoom(changes rooms) error {
	if s.cfg.NoQuotas {
		return nil
	}
	apis := s.rooms.apis()
	for owner, change := range changes {
		if now, exists := s.rooms[owner]; owner != "" && now.documents+change.documents == 0 {
			apis--
		} else if owner != "" && !exists {
			apis++
		}
	}
	for owner, change := range changes {
		now, exists := s.rooms[owner]
		switch {
		case owner == "":
		case !exists && change.documents > 0 && apis > mostAPIs:
			return badRequest("Maximum number of Apis for this account has been reached. Please contact AWS if you need additional Apis.")
		case change.documents > 0 && now.documents+change.documents > mostResources:
			return badRequest("Maximum number of resources for this API has been reached: %d. Delete some of them, or start the server without quotas.", mostResources)
		case change.bytes > 0 && now.bytes+change.bytes > mostOfAPI:
			return badRequest("Maximum size of this API has been reached: its resources and deployments have more than %d bytes. Delete deployments that no stage uses, or start the server without quotas.", mostOfAPI)
		}
	}
	if more := changes.bytes(); more > 0 && s.stored+more > mostOfAll {
		return badRequest("Maximum size of all APIs has been reached: they have more than %d bytes. Delete APIs or deployments that nobody uses, or start the server without quotas.", mostOfAll)
	}
	return nil
}

// settleRoom notes a change that has been committed.
func (s *Server) settleRoom(changes rooms) {
	for owner, change := range changes {
		now := s.rooms[owner]
		now.documents += change.documents
		now.bytes += change.bytes
		if s.rooms[owner] = now; now == (room{}) {
			delete(s.rooms, owner)
		}
		s.stored += change.bytes
	}
}
