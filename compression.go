package gateway

import (
	"fmt"

	"example.com/gateway/internal/deflate"
	"example.com/gateway/internal/wsconn"
)

// WithCompression lets clients agree on permessage-deflate (RFC 7692), as browsers do by
// themselves, and then compresses messages in both directions. By default the extension is
// not negotiated, as in the service. Compression saves bytes and costs time of the
// processor: see docs/performance.md. New returns an [ErrInvalidOption] for fields that
// make no sense.
//
// Each message is compressed by itself, without context takeover. So an idle connection
// keeps nothing for it, a message to many clients is compressed once, and the length of a
// message tells nothing about other messages. But whoever sees the lengths can learn a
// secret that is in the same message as text of an attacker (the attacks CRIME and BREACH):
// do not send such messages, or set Threshold above their length.
//
// Quotas.FrameBytes applies to frames as they are on the wire, Quotas.MessageBytes to
// messages before they are compressed, and Quotas.SendBufferBytes to what waits to be sent,
// compressed as it is. A message that inflates to more than it may is closed with 1009, as
// soon as it does; data that cannot be inflated with 1007.
func WithCompression(c Compression) Option {
	return optionFunc(func(cfg *config) error {
		switch {
		case c.Threshold < 0:
			return fmt.Errorf("%w: WithCompression: Threshold is %d: write the bytes of the shortest message to compress, or 0 for %d", ErrInvalidOption, c.Threshold, defaultThreshold)
		case c.Level != 0 && (c.Level < deflate.MinLevel || c.Level > deflate.MaxLevel):
			return fmt.Errorf("%w: WithCompression: Level is %d: write 1, the fastest, to 9, the best, or 0 for the default", ErrInvalidOption, c.Level)
		}
		cfg.compression = &wsconn.Deflate{
			Threshold: orDefault(c.Threshold, defaultThreshold),
			Level:     orDefault(c.Level, deflate.MinLevel),
			Ratio:     orDefault(c.MaxRatio, defaultMaxRatio),
		}
		return nil
	})
}

// Compression says how messages are compressed: see [WithCompression]. A field that is zero
// has its default.
type Compression struct {
	// Threshold is the length in bytes of the shortest message to a client that is
	// compressed. Messages that do not become shorter are sent as they are, too. Default:
	// 512.
	Threshold int
	// Level is from 1, the fastest, to 9, the best. Default: 1, because the others cost
	// more than they save for messages of usual length.
	Level int
	// MaxRatio is how many times its size a message from a client may become, if it becomes
	// more than 128 KiB. So it matters only if Quotas.MessageBytes is above its default.
	// DEFLATE allows 1,032 times. A negative number means no limit; without that quota, a
	// client then takes a gigabyte with a megabyte. Default: 200.
	MaxRatio int
}

const (
	defaultThreshold = 512
	defaultMaxRatio  = 200
)
