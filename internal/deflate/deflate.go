package deflate

import (
	"compress/flate"
	"sync"
)

// Levels of compression: from the fastest to the best.
const (
	MinLevel = flate.BestSpeed
	MaxLevel = flate.BestCompression
)

// Append appends data, compressed with a level from [MinLevel] to [MaxLevel], to dst. If
// that is not shorter than data, it appends nothing and returns false.
func Append(dst, data []byte, level int) ([]byte, bool) {
	d, _ := deflaters[level].Get().(*deflater)
	if d == nil {
		d = new(deflater)
		d.writer, _ = flate.NewWriter(d, level) // the level is valid
	} else {
		d.writer.Reset(d)
	}
	d.dst, d.most = dst, len(dst)+len(data)+removed
	_, _ = d.writer.Write(data) // a deflater returns no error
	_ = d.writer.Flush()
	out, tooLong := d.dst, d.tooLong
	d.dst, d.tooLong = nil, false
	deflaters[level].Put(d)
	if tooLong || len(out)-removed >= len(dst)+len(data) {
		return dst, false
	}
	return out[:len(out)-removed], true
}

// removed is how many bytes of the empty block at the end are not sent (RFC 7692, section
// 7.2.1).
const removed = 4

//nolint:gochecknoglobals // a pool is useful only if it is shared
var deflaters [MaxLevel + 1]sync.Pool

// deflater is a writer of compress/flate with its output.
type deflater struct {
	writer  *flate.Writer
	dst     []byte
	most    int  // how long dst may become
	tooLong bool // it would have become longer
}

// Write implements [io.Writer] for the writer of compress/flate.
func (d *deflater) Write(p []byte) (int, error) {
	if d.tooLong = d.tooLong || len(d.dst)+len(p) > d.most; !d.tooLong {
		d.dst = append(d.dst, p...)
	}
	return len(p), nil
}
