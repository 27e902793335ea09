package deflate

import (
	"compress/flate"
	"errors"
	"io"
	"math"
	"sync"
)

// Errors of [Inflate].
var (
	ErrCorrupt = errors.New("the message is not valid DEFLATE data")
	ErrTooBig  = errors.New("the inflated message is above the quota")
	ErrRatio   = errors.New("the message inflates to more times its size than Compression.MaxRatio")
)

// Bounds limits what a message may become. Zero means no limit.
type Bounds struct {
	Bytes int // of the inflated message
	Ratio int // inflated bytes for each compressed byte; it does not count up to FreeBytes
}

// FreeBytes is how large a message may become with any ratio: the default of
// Quotas.MessageBytes. Texts that repeat one character are no attack, and to inflate so much
// takes 0.1 ms.
const FreeBytes = 128 << 10

// WireBytes returns how many compressed bytes a message of n bytes may have: an eighth
// more, which is above what every usual compressor makes of data that it cannot compress.
// What has more consists of blocks that inflate to nothing. Zero means no limit for both. For
// an n that is so large that the result would be above [math.MaxInt], it is math.MaxInt.
func WireBytes(n int) int {
	if n == 0 {
		return 0
	}
	more := n>>3 + 64
	if n > math.MaxInt-more {
		return math.MaxInt
	}
	return n + more
}

// most returns how many bytes a message of n compressed bytes may become, and the error if
// it becomes more. -1 means any number.
func (b Bounds) most(n int) (int, error) {
	if b.Ratio > 0 {
		most := math.MaxInt
		if n <= math.MaxInt/b.Ratio {
			most = max(FreeBytes, n*b.Ratio)
		}
		if b.Bytes == 0 || most < b.Bytes {
			return most, ErrRatio
		}
	}
	if b.Bytes == 0 {
		return -1, nil
	}
	return b.Bytes, ErrTooBig
}

// Inflate returns the message that was compressed to b. The caller owns the result. It
// takes at most twice the memory of what it has inflated so far, and ends as soon as the
// message is above the bounds.
//
// As RFC 7692, section 7.2.3, says, b is a sequence of DEFLATE blocks without the last four
// bytes of an empty stored block. Blocks that are marked as final are allowed, and what
// follows them. An empty b is an empty message, as for zlib.
func Inflate(b []byte, bounds Bounds) ([]byte, error) {
	if len(b) == 0 {
		return []byte{}, nil
	}
	i, _ := inflaters.Get().(*inflater)
	defer i.release()
	i.src = source{message: b}
	most, above := bounds.most(len(b))
	dst := make([]byte, 0, i.room(len(b), 0, most))
	for finals := 0; ; finals++ {
		if finals > maxFinals {
			return nil, ErrCorrupt
		}
		if err := i.restart(dst[max(0, len(dst)-window):]); err != nil {
			return nil, ErrCorrupt
		}
		var err error
		if dst, err = i.append(dst, most, above); err != nil {
			return nil, err
		}
		if i.src.over() {
			return dst, nil
		}
	}
}

const (
	window = 1 << MaxWindowBits
	// maxFinals is how many blocks of a message may be marked as final. After each, the
	// reader has to be restarted, which costs about as much as a kilobyte. Compressors
	// make one.
	maxFinals = 16
)

// inflater is a reader of compress/flate with its source.
type inflater struct {
	src    source
	reader io.Reader // nil until the first restart
}

//nolint:gochecknoglobals // a pool is useful only if it is shared
var inflaters = sync.Pool{New: func() any { return new(inflater) }}

func (i *inflater) release() {
	i.src = source{}
	inflaters.Put(i)
}

// restart begins with the next sequence of blocks, which may refer to dict.
func (i *inflater) restart(dict []byte) error {
	if i.reader == nil {
		i.reader = flate.NewReaderDict(&i.src, dict)
		return nil
	}
	resetter, _ := i.reader.(flate.Resetter)
	return resetter.Reset(&i.src, dict)
}

// append inflates up to the end of a final block.
func (i *inflater) append(dst []byte, most int, above error) ([]byte, error) {
	for {
		if len(dst) == most {
			return dst, i.endsHere(above)
		}
		if len(dst) == cap(dst) {
			grown := make([]byte, len(dst), i.room(0, len(dst), most))
			copy(grown, dst)
			dst = grown
		}
		n, err := i.reader.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return dst, nil
		default:
			return nil, ErrCorrupt
		}
	}
}

// endsHere returns above unless the blocks end without another byte.
func (i *inflater) endsHere(above error) error {
	var one [1]byte
	for {
		switch n, err := i.reader.Read(one[:]); {
		case n > 0:
			return above
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return ErrCorrupt
		}
	}
}

// room returns the capacity of the buffer for a message of the given compressed size, of
// which have bytes have been inflated.
func (i *inflater) room(size, have, most int) int {
	n := max(4*size, 2*have, 256)
	if most >= 0 {
		n = min(n, most)
	}
	return n
}

// tail is what [Inflate] reads behind a message: the four bytes that its sender has
// removed, and an empty block that is marked as final. A last block that announces more
// than the message has takes the tail as its content, if that is just enough; its sender
// could have sent these bytes as well.
const tail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// source is a message with the tail. It implements [io.ByteReader], so that compress/flate
// reads no byte behind a final block.
type source struct {
	message []byte
	next    int // the next byte to read, of the message and the tail
}

func (s *source) ReadByte() (byte, error) {
	n := s.next
	if n < len(s.message) {
		s.next = n + 1
		return s.message[n], nil
	}
	if n -= len(s.message); n < len(tail) {
		s.next++
		return tail[n], nil
	}
	return 0, io.EOF
}

func (s *source) Read(p []byte) (n int, err error) {
	switch behind := s.next - len(s.message); {
	case behind < 0:
		n = copy(p, s.message[s.next:])
	case behind < len(tail):
		n = copy(p, tail[behind:])
	default:
		return 0, io.EOF
	}
	s.next += n
	return n, nil
}

// over reports whether everything has been read.
func (s *source) over() bool { return s.next == len(s.message)+len(tail) }
