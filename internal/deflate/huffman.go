package deflate

import (
	"math/bits"
	"sync"
)

const (
	longestCode = 15 // bits of a code for literals or distances
	quickBits   = 9  // bits of the codes that a table finds with one look
	mostSymbols = 288
)

// table finds the symbol of a Huffman code. It has a fixed size and allocates nothing, and
// to build one takes about a microsecond at most, whatever the lengths of the codes are. So
// a message of many blocks with codes of their own is no burden. Longer codes than
// quickBits, which are rare, take some steps more.
type table struct {
	quick   [1 << quickBits]uint16 // symbol<<4 | length, by the next bits of the message
	mask    uint64                 // of the bits that quick needs
	longest uint

	// For each length above quickBits: the end of its codes, as numbers of 15 bits, and
	// what makes an index of symbols from a code.
	ends    [longestCode + 1]uint
	index   [longestCode + 1]int
	symbols [mostSymbols]uint16
}

// build makes the table for codes of these lengths; 0 is no code. It returns false if they
// use more or less than all sequences of bits. As for zlib, there may be no code, and a
// single one of one bit.
func (t *table) build(lengths []uint8) bool {
	var count, next [longestCode + 1]int
	for _, n := range lengths {
		if n > 0 {
			count[n]++
		}
	}
	t.longest = 0
	code, used, long := 0, 0, 0
	for n := 1; n <= longestCode; n++ {
		code <<= 1
		next[n] = code
		if code += count[n]; code > 1<<n {
			return false
		}
		if n > quickBits { // also without a code, as the last message has left other numbers
			t.ends[n], t.index[n] = uint(code)<<(longestCode-n), long-next[n]
			long += count[n]
		}
		if count[n] > 0 {
			t.longest, used = uint(n), code
		}
	}
	t.fill(lengths, &next)
	switch {
	case used == 0, used == 1 && t.longest == 1:
		return true
	}
	return used == 1<<t.longest
}

// fill enters the symbols; next is the first code of each length.
func (t *table) fill(lengths []uint8, next *[longestCode + 1]int) {
	size := 1 << min(t.longest, quickBits)
	t.mask = uint64(size - 1)
	clear(t.quick[:size])
	for symbol, n := range lengths {
		if n == 0 {
			continue
		}
		code := next[n]
		next[n]++
		if n > quickBits {
			t.symbols[t.index[n]+code] = uint16(symbol)
			continue
		}
		entry := uint16(symbol)<<4 | uint16(n)
		for at := int(bits.Reverse16(uint16(code)) >> (16 - n)); at < size; at += 1 << n {
			t.quick[at] = entry
		}
	}
}

// find returns symbol<<4 | length of the code at the start of hold, or 0 if there is none.
func (t *table) find(hold uint64) uint {
	if entry := t.quick[hold&t.mask&(1<<quickBits-1)]; entry != 0 {
		return uint(entry)
	}
	return t.findLong(hold)
}

func (t *table) findLong(hold uint64) uint {
	code := uint(bits.Reverse16(uint16(hold)) >> 1)
	for n := uint(quickBits + 1); n <= t.longest; n++ {
		if code < t.ends[n] {
			return uint(t.symbols[t.index[n]+int(code>>(longestCode-n))])<<4 | n
		}
	}
	return 0
}

// fixed returns the tables of blocks without codes of their own (RFC 1951, section 3.2.6).
//
//nolint:gochecknoglobals // never changes
var fixed = sync.OnceValue(func() *[2]table {
	var literals [mostSymbols]uint8
	for n := range literals {
		switch {
		case n < 144:
			literals[n] = 8
		case n < 256:
			literals[n] = 9
		case n < 280:
			literals[n] = 7
		default:
			literals[n] = 8
		}
	}
	var distances [32]uint8
	for n := range distances {
		distances[n] = 5
	}
	var t [2]table
	t[0].build(literals[:])
	t[1].build(distances[:])
	return &t
})
