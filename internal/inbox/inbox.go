// Package inbox holds the messages of one client for as long as its integrations are
// slower than the client. It is bounded: when it is full, the reader waits, so that
// TCP holds the client back.
package inbox

import "sync"

// The bounds of an [Inbox].
const (
	maxMessages = 16
	maxBytes    = 128 << 10
)

// Message is a message of a client.
type Message struct {
	Data   []byte
	Binary bool // not text
}

// Inbox is a bounded queue, first in, first out. It has no lock of its own: its
// methods are called with the lock that was given to [New]. A nil Inbox is empty.
type Inbox struct {
	messages []Message
	bytes    int       // of the messages
	changed  sync.Cond // there may be room, or the owner called Wake
}

// New returns an empty Inbox. [Inbox.Wait] unlocks l while it waits.
func New(l sync.Locker) *Inbox { return &Inbox{changed: sync.Cond{L: l}} }

// Empty reports whether no message waits.
func (b *Inbox) Empty() bool { return b == nil || len(b.messages) == 0 }

// Add appends message, which the Inbox owns from now on. It returns false when there
// is no room. There is always room for one message, whatever its size.
func (b *Inbox) Add(message Message) bool {
	if !b.Empty() && (len(b.messages) >= maxMessages || b.bytes+len(message.Data) > maxBytes) {
		return false
	}
	b.messages = append(b.messages, message)
	b.bytes += len(message.Data)
	return true
}

// Take removes the first message and returns it. The Inbox must not be empty.
func (b *Inbox) Take() Message {
	message := b.messages[0]
	b.messages[0] = Message{}
	if b.messages = b.messages[1:]; len(b.messages) == 0 {
		b.messages = nil
	}
	b.bytes -= len(message.Data)
	b.changed.Signal()
	return message
}

// Drop removes all messages. It wakes nobody.
func (b *Inbox) Drop() {
	if b != nil {
		b.messages, b.bytes = nil, 0
	}
}

// Wait waits until a message was taken or Wake was called. As with [sync.Cond.Wait]
// the caller has to look again whether what it waits for is true.
func (b *Inbox) Wait() { b.changed.Wait() }

// Wake ends every Wait.
func (b *Inbox) Wake() {
	if b != nil {
		b.changed.Broadcast()
	}
}
