//go:build unix

package e2e

import (
	"encoding/json"
	"hash/crc32"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// table stands in for DynamoDB: items with the key connectionId, in one table, for the
// calls that the samples make.
type table struct {
	url string

	mu    sync.Mutex // guards the fields below
	items map[string]json.RawMessage
}

func startTable(t *testing.T) *table {
	t.Helper()
	s := &table{items: map[string]json.RawMessage{}}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

// key is the connectionId of an item or a key.
type key struct {
	ConnectionID struct{ S string } `json:"connectionId"`
}

func (s *table) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var call struct {
		TableName string
		Key       key
		Item      json.RawMessage
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if json.NewDecoder(r.Body).Decode(&call) != nil || call.TableName != "chat-connections" {
		http.Error(w, `{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"Requested resource not found"}`, http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := map[string]any{}
	switch operation {
	case "PutItem":
		var k key
		_ = json.Unmarshal(call.Item, &k) // a key that is missing shows in count
		s.items[k.ConnectionID.S] = call.Item
	case "DeleteItem":
		delete(s.items, call.Key.ConnectionID.S)
	case "GetItem":
		if item, ok := s.items[call.Key.ConnectionID.S]; ok {
			answer["Item"] = item
		}
	case "Scan", "Query":
		found := []any{}
		for id := range s.items { // ProjectionExpression: connectionId
			found = append(found, map[string]any{"connectionId": map[string]string{"S": id}})
		}
		answer["Items"], answer["Count"], answer["ScannedCount"] = found, len(found), len(found)
	default:
		http.Error(w, `{"__type":"com.amazon.coral.service#UnknownOperationException"}`, http.StatusBadRequest)
		return
	}
	text, _ := json.Marshal(answer) // texts and JSON: cannot fail
	w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(text)), 10))
	_, _ = w.Write(text)
}

// count returns how many items there are.
func (s *table) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.items)
}

// keep returns what puts the present items back after they were deleted.
func (s *table) keep() (put func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := maps.Clone(s.items)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		maps.Copy(s.items, before)
	}
}
