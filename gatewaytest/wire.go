package gatewaytest

import (
	"bytes"
	"encoding/binary"
	"sync"
)

// wire looks at what the server sends, to find out which messages are compressed: the
// package that reads the frames does not tell.
type wire struct {
	mu       sync.Mutex // guards the fields below
	upgraded bool       // the 101 has passed
	head     []byte     // the 101, or the header of a frame, as far as it has passed
	payload  uint64     // bytes of the current frame that have not passed yet
	messages []bool     // for each message, whether it is compressed
}

// pass takes the next bytes.
func (w *wire) pass(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(b) > 0 {
		if n := min(w.payload, uint64(len(b))); n > 0 {
			w.payload, b = w.payload-n, b[n:]
			continue
		}
		w.head, b = append(w.head, b[0]), b[1:]
		switch {
		case !w.upgraded:
			if w.upgraded = bytes.HasSuffix(w.head, []byte("\r\n\r\n")); w.upgraded {
				w.head = nil
			}
		case len(w.head) >= 2:
			w.frameLocked()
		}
	}
}

// frameLocked reads the header of a frame, if all of it has passed. A server does not mask.
func (w *wire) frameLocked() {
	const text, binaryFrame, rsv1 = 1, 2, 0x40
	switch length := w.head[1]; {
	case length == 126 && len(w.head) == 4:
		w.payload = uint64(binary.BigEndian.Uint16(w.head[2:]))
	case length == 127 && len(w.head) == 10:
		w.payload = binary.BigEndian.Uint64(w.head[2:])
	case length < 126:
		w.payload = uint64(length)
	default:
		return
	}
	if op := w.head[0] & 0x0f; op == text || op == binaryFrame {
		w.messages = append(w.messages, w.head[0]&rsv1 != 0)
	}
	w.head = w.head[:0]
}

// compressed reports whether the message with this number was compressed.
func (w *wire) compressed(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return n < len(w.messages) && w.messages[n]
}
