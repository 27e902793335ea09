package apicall

import "time"

// Time is a time as the service writes it: UTC, milliseconds.
type Time time.Time

const isoTime = "2006-01-02T15:04:05.000Z07:00"

// MarshalText implements [encoding.TextMarshaler].
func (t Time) MarshalText() ([]byte, error) {
	return time.Time(t).UTC().AppendFormat(nil, isoTime), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *Time) UnmarshalText(text []byte) error { return (*time.Time)(t).UnmarshalText(text) }

// Time returns t as a [time.Time].
func (t Time) Time() time.Time { return time.Time(t) }

// Identity says where a connection comes from.
type Identity struct {
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent,omitempty"`
}

// Item describes a connection: in the answer of GetConnection, where it has no ID, and in a
// page. What the service does not have is left out if there is none.
type Item struct {
	ConnectionID string   `json:"connectionId,omitempty"`
	Identity     Identity `json:"identity"`
	ConnectedAt  Time     `json:"connectedAt"`
	LastActiveAt Time     `json:"lastActiveAt"`
	PrincipalID  string   `json:"principalId,omitempty"`
	Groups       []string `json:"groups,omitempty"`
	State        string   `json:"state,omitempty"`
}

// Extended reports whether the item has anything that the service does not tell.
func (i *Item) Extended() bool { return i.PrincipalID != "" || len(i.Groups) > 0 || i.State != "" }

// OfService returns what the service tells of the connection.
func (i *Item) OfService() Item {
	return Item{ConnectionID: i.ConnectionID, Identity: i.Identity, ConnectedAt: i.ConnectedAt, LastActiveAt: i.LastActiveAt}
}

// Page is a part of a list. Next is empty at the end of the list.
type Page struct {
	Items []Item `json:"items"`
	Next  string `json:"next,omitempty"`
}

// Count is the answer to a count.
type Count struct {
	Count int `json:"count"`
}

// Error is why something was not done. Type is a name as in the header x-amzn-ErrorType.
type Error struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}

// Delivery says what became of a message or a close.
type Delivery struct {
	Accepted int              `json:"accepted"`
	Refused  int              `json:"refused"`
	Gone     int              `json:"gone"`
	Errors   map[string]Error `json:"errors"`
	Missing  []string         `json:"missing"`
}

// Keep leaves one of the errors, and as many others as room says. It returns the room that
// remains.
func (d *Delivery) Keep(room int) int {
	for id := range d.Errors {
		if len(d.Errors) <= 1+room {
			break
		}
		delete(d.Errors, id)
	}
	return room - max(0, len(d.Errors)-1)
}

// Outcome is a line of the answer to a batch: what became of the line with a number. It has
// a Delivery, or an Error.
type Outcome struct {
	Line int `json:"line"`
	*Delivery
	Error *Error `json:"error,omitempty"`
}
