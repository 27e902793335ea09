package deflate

import (
	"encoding/binary"
	"errors"
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
// Quotas.MessageBytes. Texts that repeat one character are not an attack, and to inflate so much
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

// Inflate returns the message that was compressed to b. The caller owns the result. Its
// buffer has at most four times the bytes of b (256 at least), or twice what has been inflated
// so far if that is more, and never more than the bounds say. Inflate ends as soon as the
// message is above them. Nothing else is allocated, and what it takes of the processor
// grows with len(b) and the message, whatever blocks b has.
//
// As RFC 7692, section 7.2.3, says, b is a sequence of DEFLATE blocks without the last four
// bytes of an empty stored block. Blocks that are marked as final are allowed, and what
// follows them from the next byte on. An empty b is an empty message, as for zlib.
func Inflate(b []byte, bounds Bounds) ([]byte, error) {
	if len(b) == 0 {
		return []byte{}, nil
	}
	i, _ := inflaters.Get().(*inflater)
	i.in = b
	i.most, i.above = bounds.most(len(b))
	i.out = make([]byte, 0, i.capped(max(4*len(b), 256)))
	err := i.blocks()
	out := i.out
	i.in, i.out, i.above = nil, nil, nil
	i.next, i.hold, i.held = 0, 0, 0
	inflaters.Put(i)
	if err != nil {
		return nil, err
	}
	return out, nil
}

//nolint:gochecknoglobals // a pool is useful only if it is shared
var inflaters = sync.Pool{New: func() any { return new(inflater) }}

// tail is what [Inflate] reads behind a message: the four bytes that its sender has
// removed, and an empty block that is marked as final. A last block that announces more
// than the message has takes the tail as its content, if that is just enough; its sender
// could have sent these bytes as well.
const tail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// inflater inflates one message. It has the whole of it, and its result, so it refers to
// the result and needs no window of its own.
type inflater struct {
	in   []byte
	next int    // the next byte to take, of in and the tail
	hold uint64 // bits that have been taken. Above held it may have more of them
	held uint

	out   []byte
	most  int // see [Bounds.most]
	above error

	literals, distances table
	lengths             [mostLiterals + mostDistances]uint8
}

const (
	mostLiterals  = 286
	mostDistances = 30
	endOfBlock    = 256
)

// blocks inflates all blocks up to the end of the tail.
func (i *inflater) blocks() error {
	for {
		i.need(3)
		final, kind := i.take(1), i.take(2)
		if i.over() {
			return ErrCorrupt
		}
		if err := i.block(kind); err != nil {
			return err
		}
		if final == 1 {
			if i.align(); i.next == len(i.in)+len(tail) {
				return nil
			}
		}
	}
}

func (i *inflater) block(kind uint) error {
	switch kind {
	case 0:
		return i.stored()
	case 1:
		tables := fixed()
		return i.compressed(&tables[0], &tables[1])
	case 2:
		if !i.codes() {
			return ErrCorrupt
		}
		return i.compressed(&i.literals, &i.distances)
	}
	return ErrCorrupt
}

// stored inflates a block that is not compressed.
func (i *inflater) stored() error {
	i.need(16 + 7 + 16)
	_ = i.take(i.held % 8)
	n, not := i.take(16), i.take(16)
	if i.over() || n != not^0xffff {
		return ErrCorrupt
	}
	i.align()
	end := i.next + int(n)
	if end > len(i.in)+len(tail) {
		return ErrCorrupt
	}
	if err := i.room(int(n)); err != nil {
		return err
	}
	if i.next < len(i.in) {
		i.out = append(i.out, i.in[i.next:min(end, len(i.in))]...)
	}
	if end > len(i.in) {
		i.out = append(i.out, tail[max(i.next-len(i.in), 0):end-len(i.in)]...)
	}
	i.next = end
	return nil
}

// codes makes the tables of a block that has codes of its own. It returns false if it has
// wrong ones.
func (i *inflater) codes() bool {
	i.need(5 + 5 + 4)
	literals, distances, n := int(i.take(5))+endOfBlock+1, int(i.take(5))+1, i.take(4)+4
	if literals > mostLiterals || distances > mostDistances {
		return false
	}
	var own [len(orderOfLengths)]uint8
	for _, at := range []byte(orderOfLengths[:n]) {
		i.need(3)
		own[at] = uint8(i.take(3))
	}
	if i.over() || !i.literals.build(own[:]) { // a table for now, to read the lengths of the others
		return false
	}
	lengths := i.lengths[:literals+distances]
	return i.readLengths(lengths) && i.literals.build(lengths[:literals]) && i.distances.build(lengths[literals:])
}

// orderOfLengths has the symbols of the code for lengths, in the order of RFC 1951, section
// 3.2.7.
const orderOfLengths = "\x10\x11\x12\x00\x08\x07\x09\x06\x0a\x05\x0b\x04\x0c\x03\x0d\x02\x0e\x01\x0f"

func (i *inflater) readLengths(lengths []uint8) bool {
	for n := 0; n < len(lengths); {
		i.need(7 + 7)
		symbol, ok := i.symbol(&i.literals)
		if !ok {
			return false
		}
		if symbol < 16 {
			lengths[n] = uint8(symbol)
			n++
			continue
		}
		length, times := uint8(0), 0
		switch symbol {
		case 16:
			if n == 0 {
				return false
			}
			length, times = lengths[n-1], 3+int(i.take(2))
		case 17:
			times = 3 + int(i.take(3))
		default:
			times = 11 + int(i.take(7))
		}
		if i.over() || times > len(lengths)-n {
			return false
		}
		for range times {
			lengths[n] = length
			n++
		}
	}
	return true
}

// compressed inflates the content of a block that has these codes.
func (i *inflater) compressed(literals, distances *table) error {
	for {
		symbol, err := i.run(literals)
		switch {
		case err != nil:
			return err
		case symbol == endOfBlock:
			return nil
		}
		if err := i.match(symbol-endOfBlock-1, distances); err != nil {
			return err
		}
	}
}

// run appends literals up to another symbol, which it returns. Then everything that belongs
// to the symbol is held. The processor keeps the variables in registers, which makes it a
// third faster.
func (i *inflater) run(literals *table) (uint, error) {
	out, hold, held := i.out, i.hold, i.held
	for {
		if held < 15+5+15+13 {
			i.hold, i.held = hold, held
			i.need(15 + 5 + 15 + 13)
			hold, held = i.hold, i.held
		}
		entry := uint(literals.quick[hold&literals.mask&(1<<quickBits-1)])
		if entry == 0 {
			entry = literals.findLong(hold)
		}
		n := entry & 15
		if n == 0 || n > held {
			return 0, ErrCorrupt
		}
		hold, held = hold>>n, held-n
		if entry >>= 4; entry >= endOfBlock {
			i.out, i.hold, i.held = out, hold, held
			return entry, nil
		}
		if len(out) == cap(out) {
			i.out = out
			if err := i.room(1); err != nil {
				return 0, err
			}
			out = i.out
		}
		out = append(out, byte(entry))
	}
}

// match appends what is a distance back in the result. See RFC 1951, section 3.2.5.
func (i *inflater) match(symbol uint, distances *table) error {
	length := int(symbol) + 3
	switch {
	case symbol > 28:
		return ErrCorrupt
	case symbol == 28:
		length = 258
	case symbol >= 8:
		extra := symbol/4 - 1
		length = int((4+symbol%4)<<extra+i.take(extra)) + 3
	}
	symbol, ok := i.symbol(distances)
	if !ok || symbol >= mostDistances {
		return ErrCorrupt
	}
	distance := int(symbol) + 1
	if symbol >= 4 {
		extra := symbol/2 - 1
		distance = int((2+symbol%2)<<extra+i.take(extra)) + 1
	}
	n := len(i.out)
	if i.over() || distance > n {
		return ErrCorrupt
	}
	if err := i.room(length); err != nil {
		return err
	}
	i.out = i.out[:n+length]
	for from := n - distance; n < len(i.out); {
		n += copy(i.out[n:], i.out[from:n]) // what is copied may begin the next copy
	}
	return nil
}

// room makes room for n more bytes, unless that is above the bound.
func (i *inflater) room(n int) error {
	need := len(i.out) + n
	switch {
	case need <= cap(i.out):
		return nil
	case i.most >= 0 && need > i.most:
		return i.above
	}
	grown := make([]byte, len(i.out), i.capped(max(2*len(i.out), need)))
	copy(grown, i.out)
	i.out = grown
	return nil
}

func (i *inflater) capped(n int) int {
	if i.most >= 0 {
		return min(n, i.most)
	}
	return n
}

// need takes bytes until at least n bits are held, n up to 56, or nothing is left. Then the
// missing bits are 0.
func (i *inflater) need(n uint) {
	if i.held >= n {
		return
	}
	if i.next+8 <= len(i.in) {
		i.hold |= binary.LittleEndian.Uint64(i.in[i.next:]) << i.held
		i.next += int(63-i.held) >> 3
		i.held |= 56
		return
	}
	i.needSlowly()
}

func (i *inflater) needSlowly() {
	for ; i.held <= 56 && i.next < len(i.in)+len(tail); i.next++ {
		i.hold |= uint64(i.at(i.next)) << i.held
		i.held += 8
	}
}

func (i *inflater) at(n int) byte {
	if n < len(i.in) {
		return i.in[n]
	}
	return tail[n-len(i.in)]
}

// take returns the next n bits, which the caller needs. If they are not there, held
// wraps: see [inflater.over].
func (i *inflater) take(n uint) uint {
	bits := uint(i.hold & (1<<n - 1))
	i.hold >>= n
	i.held -= n
	return bits
}

// symbol returns the next symbol. False means that there is none.
func (i *inflater) symbol(t *table) (uint, bool) {
	entry := t.find(i.hold)
	n := entry & 15
	i.hold >>= n
	i.held -= n
	return entry >> 4, n > 0 && !i.over()
}

// over reports whether more has been taken than there is.
func (i *inflater) over() bool { return i.held > 64 }

// align drops the rest of a byte, and gives back the whole bytes that are held.
func (i *inflater) align() {
	i.next -= int(i.held / 8)
	i.hold, i.held = 0, 0
}
