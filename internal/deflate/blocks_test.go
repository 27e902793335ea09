package deflate_test

import (
	"math/bits"
	"math/rand/v2"
	"slices"
)

// blocks writes DEFLATE blocks bit by bit.
type blocks struct {
	out  []byte
	next uint
	n    uint
}

func (b *blocks) add(value, n uint) {
	b.next |= value << b.n
	for b.n += n; b.n >= 8; b.n -= 8 {
		b.out = append(b.out, byte(b.next))
		b.next >>= 8
	}
}

// code adds a Huffman code of n bits, which begins with its highest bit.
func (b *blocks) code(code, n uint) { b.add(uint(bits.Reverse16(uint16(code))>>(16-n)), n) }

// end ends with an empty stored block, without its last four bytes.
func (b *blocks) end() []byte {
	b.add(0, 3)
	if b.n > 0 {
		b.add(0, 8-b.n)
	}
	return b.out
}

// tiny adds an empty block that has the shortest codes of its own. It takes 14 bytes.
func (b *blocks) tiny() {
	b.add(0, 1)   // not final
	b.add(2, 2)   // codes of its own
	b.add(0, 5+5) // 257 codes for literals, 1 for distances
	b.add(14, 4)  // 18 lengths of the codes for lengths of codes follow
	for n := range 18 {
		length := uint(0)
		if n == 2 || n == 17 { // of "18", many zeros, and of "1"
			length = 1
		}
		b.add(length, 3)
	}
	b.add(1, 1)
	b.add(138-11, 7)
	b.add(1, 1)
	b.add(118-11, 7)
	b.add(0, 1+1+1) // the end of the block, the distance; the end of the block
}

// costly adds a block whose codes take long to prepare: pairs of 10 bits each, up to 135 of
// them, and some of up to 15 bits. For each pair compress/flate makes a table of its own,
// on the heap. The block has a literal of each length, if full, and is otherwise empty.
func (b *blocks) costly(pairs int, full bool) {
	lengths := costlyLengths(pairs)
	b.start(lengths, []uint8{1})
	literals := codes(lengths)
	seen := [16]bool{}
	for n, length := range lengths[:256] {
		if full && !seen[length] && length > 0 {
			seen[length] = true
			b.code(literals[n], uint(length))
		}
	}
	b.code(literals[256], uint(lengths[256]))
}

// start begins a block with codes of these lengths.
func (b *blocks) start(literals, distances []uint8) {
	b.add(0, 1)
	b.add(2, 2)
	b.add(uint(len(literals)-257), 5)
	b.add(uint(len(distances)-1), 5)
	b.add(15, 4)
	own := codes(ownLengths[:])
	for _, n := range "\x10\x11\x12\x00\x08\x07\x09\x06\x0a\x05\x0b\x04\x0c\x03\x0d\x02\x0e\x01\x0f" {
		b.add(uint(ownLengths[n]), 3)
	}
	all := slices.Concat(literals, distances)
	for n := 0; n < len(all); {
		b.code(own[all[n]], uint(ownLengths[all[n]]))
		n++
		times := 0
		for times < 6 && n+times < len(all) && all[n+times] == all[n-1] {
			times++
		}
		if times >= 3 {
			b.code(own[16], uint(ownLengths[16]))
			b.add(uint(times-3), 2)
			n += times
		}
	}
}

// random adds a block with any codes, and with literals, lengths and distances.
func (b *blocks) random(rnd *rand.Rand) {
	literals := randomLengths(rnd, 286, 256)
	distances := randomLengths(rnd, 30, -1)
	b.start(literals, distances)
	codesOf, distancesOf := codes(literals), codes(distances)
	for range rnd.IntN(1000) {
		switch n := rnd.IntN(286); {
		case n == 256 || literals[n] == 0:
		case n < 256:
			b.code(codesOf[n], uint(literals[n]))
		default:
			distance := rnd.IntN(30)
			if distances[distance] == 0 {
				continue
			}
			b.code(codesOf[n], uint(literals[n]))
			if n >= 265 && n < 285 {
				b.add(rnd.Uint()&(1<<((n-261)/4)-1), uint(n-261)/4)
			}
			b.code(distancesOf[distance], uint(distances[distance]))
			if distance >= 4 {
				b.add(rnd.Uint()&(1<<(distance/2-1)-1), uint(distance)/2-1)
			}
		}
	}
	b.code(codesOf[256], uint(literals[256]))
}

// randomLengths returns lengths of codes for some of n symbols, among them must.
func randomLengths(rnd *rand.Rand, n, must int) []uint8 {
	leaves := []uint8{1, 1}
	deep := rnd.IntN(3) == 0
	for want := 2 + rnd.IntN(n-1); len(leaves) < want; {
		at := rnd.IntN(len(leaves))
		if deep && rnd.IntN(20) > 0 {
			at = len(leaves) - 1
		}
		if leaves[at] < 15 {
			leaves[at]++
			leaves = append(leaves, leaves[at])
		} else if deep {
			deep = false
		}
	}
	lengths := append(leaves, make([]uint8, n-len(leaves))...)
	rnd.Shuffle(n, func(i, j int) { lengths[i], lengths[j] = lengths[j], lengths[i] })
	if must >= 0 && lengths[must] == 0 {
		at := slices.IndexFunc(lengths, func(l uint8) bool { return l > 0 })
		lengths[must], lengths[at] = lengths[at], 0
	}
	return lengths
}

// ownLengths are the lengths of the codes for lengths that costly uses: "the same again" is
// frequent.
var ownLengths = [19]uint8{5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 1}

// costlyLengths returns lengths of codes that use all sequences of bits.
func costlyLengths(pairs int) []uint8 {
	lengths := slices.Repeat([]uint8{10}, 2*pairs)
	rest := []uint8{11, 12, 13, 14, 15, 15} // as much as one of 10
	left := 1<<10 - 2*pairs - 1
	for length := uint8(1); length <= 10; length++ {
		if left&(1<<(10-length)) != 0 {
			rest = append(rest, length)
		}
	}
	unused := max(257-len(lengths)-len(rest), 0) // the end of the block has the last code, or one of 10 bits
	return slices.Concat(lengths, make([]uint8, unused), rest)
}

// codes returns the codes that RFC 1951, section 3.2.2, gives to these lengths.
func codes(lengths []uint8) []uint {
	all := make([]uint, len(lengths))
	code := uint(0)
	for length := uint8(1); length <= 15; length++ {
		for n, l := range lengths {
			if l == length {
				all[n] = code
				code++
			}
		}
		code <<= 1
	}
	return all
}
