package outbox

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// model is a queue that is too simple to be wrong.
type model struct {
	limits   Limits
	urgent   [2]string
	corked   []string
	messages []string
	written  []string // messages handed out by the last Next
	last     string
	closed   bool
	draining bool
}

func (m *model) empty() bool {
	return len(m.corked) == 0 && m.uncorked()
}

func (m *model) uncorked() bool {
	return len(m.messages) == 0 && m.urgent == [2]string{} && m.last == ""
}

func (m *model) claim() bool {
	if m.draining || m.empty() {
		return false
	}
	m.draining = true
	return true
}

func (m *model) push(message string) error {
	if err := m.fits(message); err != nil {
		return err
	}
	m.messages = append(m.messages, message)
	return nil
}

func (m *model) cork(message string, claim bool) (corked, drain bool) {
	if m.draining || !m.uncorked() || m.fits(message) != nil || claim && len(m.corked) == 0 {
		return false, false
	}
	m.corked = append(m.corked, message)
	return true, claim && m.claim()
}

func (m *model) fits(message string) error {
	n, bytes := m.holds()
	switch {
	case m.closed:
		return ErrClosed
	case m.limits.Messages > 0 && n+1 > m.limits.Messages,
		m.limits.Bytes > 0 && n > 0 && bytes+len(message) > m.limits.Bytes:
		return ErrFull
	}
	return nil
}

// holds returns how many messages wait or are being written, and the sum of their
// bytes.
func (m *model) holds() (count, bytes int) {
	all := strings.Join(m.corked, "") + strings.Join(m.messages, "") + strings.Join(m.written, "")
	return len(m.corked) + len(m.messages) + len(m.written), len(all)
}

// next takes what goes out in one write: as many whole messages as fit, or one that
// does not fit. The urgent frames come before them, the last one after them.
func (m *model) next(size int) (string, bool) {
	if len(m.corked) > 0 {
		m.corked, m.written = nil, m.corked
		return strings.Join(m.written, ""), true
	}
	batch := strings.Join(m.urgent[:], "")
	m.urgent, m.written = [2]string{}, nil
	for len(m.messages) > 0 && (len(batch)+len(m.messages[0]) <= size || batch == "") {
		message := m.messages[0]
		m.messages, m.written = m.messages[1:], append(m.written, message)
		batch += message
		if len(batch) > size {
			return batch, true // a message that does not fit is written alone
		}
	}
	if len(m.messages) == 0 {
		batch, m.last = batch+m.last, ""
	}
	if batch == "" {
		m.draining = false
	}
	return batch, batch != ""
}

func TestQueue_asModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // must be repeatable
			limits := Limits{Messages: rnd.IntN(6), Bytes: rnd.IntN(40)}
			q, m := newQueue(limits), &model{limits: limits}
			ends := seed%3 > 0 // otherwise the queue is never closed
			for step := range 400 {
				letter := string(rune('a' + step%26))
				claim := rnd.IntN(2) == 0
				switch op := rnd.IntN(100); {
				case op < 30:
					message := strings.Repeat(letter, 1+rnd.IntN(12))
					var drain bool
					var err error
					if claim {
						drain, err = q.push([]byte(message))
					} else {
						err = q.pushOnly([]byte(message))
					}
					want := m.push(message)
					require.ErrorIs(t, err, want)
					require.Equal(t, want == nil && claim && m.claim(), drain)
				case op < 45:
					message := strings.Repeat(letter, 1+rnd.IntN(4))
					wantCorked, wantDrain := m.cork(message, claim)
					corked, drain := q.cork(1+rnd.IntN(len(message)), func(dst []byte) []byte { return append(dst, message...) }, claim)
					require.Equal(t, wantCorked, corked)
					require.Equal(t, wantDrain, drain)
				case op < 55:
					kind := rnd.IntN(2)
					drain := q.urgent(kind, []byte(strings.ToUpper(letter)))
					if !m.closed {
						m.urgent[kind] = strings.ToUpper(letter)
					}
					require.Equal(t, !m.closed && m.claim(), drain)
				case op < 60:
					require.Equal(t, m.claim(), q.claim())
				case op < 97:
					if !m.draining {
						break // only the drainer may call next
					}
					size := rnd.IntN(20)
					want, ok := m.next(size)
					got, gotOK := q.next(make([]byte, 0, size))
					require.Equal(t, ok, gotOK)
					require.Equal(t, want, string(got))
				case op < 99 && ends && step > 100:
					if !m.closed {
						m.last, m.closed = "$", true
						require.Equal(t, m.claim(), q.close([]byte("$")))
					}
					require.False(t, q.close([]byte("again")))
				case ends && step > 200:
					q.abort()
					*m = model{limits: limits, written: m.written, closed: true, draining: m.draining}
				}
				if m.closed {
					require.Equal(t, !m.draining && m.empty(), done(q.drained()))
				}
				count, bytes := m.holds()
				require.Equal(t, [2]int{count, bytes}, [2]int{q.count, q.bytes}, "what is held is what counts")
			}
		})
	}
}
