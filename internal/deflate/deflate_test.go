package deflate_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/deflate"
)

// squeeze compresses with compress/flate, as a client does.
func squeeze(t testing.TB, data string, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	require.NoError(t, err)
	_, err = io.WriteString(w, data)
	require.NoError(t, err)
	require.NoError(t, w.Flush())
	return bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff"))
}

// stored returns a stored block.
func stored(final byte, data string) string {
	n := len(data)
	return string([]byte{final, byte(n), byte(n >> 8), ^byte(n), ^byte(n >> 8)}) + data
}

func TestInflate(t *testing.T) {
	t.Parallel()
	hello := "\xf2\x48\xcd\xc9\xc9\x07\x00"
	zeros := string(squeeze(t, strings.Repeat("0", 1<<20), 9))
	dynamic := func(n int) string {
		var b blocks
		for range n {
			b.tiny()
		}
		return string(b.end())
	}
	for _, tc := range []struct {
		name   string
		in     string
		bounds deflate.Bounds
		want   string
		err    error
	}{
		{name: "RFC 7692, section 7.2.3.1: one block", in: hello, want: "Hello"},
		{name: "RFC 7692, section 7.2.3.3: a stored block", in: "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", want: "Hello"},
		{name: "RFC 7692, section 7.2.3.4: a final block", in: "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", want: "Hello"},
		{name: "RFC 7692, section 7.2.3.5: two blocks", in: "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", want: "Hello"},
		{name: "RFC 7692, section 7.2.3.6: empty", in: "\x00", want: ""},
		{name: "no byte at all", in: "", want: ""},
		{name: "data after a final block", in: stored(1, "Hel") + stored(1, "lo") + "\x00", want: "Hello"},
		{name: "a reference across a final block", in: stored(1, "Hello") + "\x02\x13\x00\x00", want: "HelloHello"},
		{name: "16 final blocks", in: strings.Repeat(stored(1, "a"), 16) + "\x00", want: strings.Repeat("a", 16)},
		{name: "1,000 final blocks", in: strings.Repeat(stored(1, "a"), 1000) + "\x00", want: strings.Repeat("a", 1000)},
		{name: "many empty stored blocks", in: strings.Repeat(stored(0, ""), 1000) + hello, want: "Hello"},
		{name: "many empty blocks with own codes", in: dynamic(1000), want: ""},

		{name: "a block type that does not exist", in: "\x07", err: deflate.ErrCorrupt},
		{name: "cut off within a block", in: hello[:4], err: deflate.ErrCorrupt},
		{name: "cut off within a stored block", in: "\x00\x07\x00\xf8\xff\x48", err: deflate.ErrCorrupt},
		{name: "cut off so that the removed bytes fill it: every inflater reads it so", in: "\x00\x05\x00\xfa\xff\x48", want: "H\x00\x00\xff\xff"},
		{name: "a wrong length of a stored block", in: "\x00\x05\x00\xfb\xff\x48\x65\x6c\x6c\x6f\x00", err: deflate.ErrCorrupt},
		{name: "a reference before the start of the message", in: "\x02\x13\x00\x00", err: deflate.ErrCorrupt},
		{name: "garbage behind the message", in: hello + "\xff\xff\xff", err: deflate.ErrCorrupt},
		{name: "the removed bytes are there", in: hello + "\x00\x00\xff\xff" + "\x00", want: "Hello"},
		{name: "not compressed at all", in: `{"action":"hello"}`, err: deflate.ErrCorrupt},

		{name: "at the bound", in: hello, bounds: deflate.Bounds{Bytes: 5}, want: "Hello"},
		{name: "one above the bound", in: hello, bounds: deflate.Bounds{Bytes: 4}, err: deflate.ErrTooBig},
		{name: "at the bound, then final blocks", in: stored(1, "Hello") + stored(1, "") + "\x00", bounds: deflate.Bounds{Bytes: 5}, want: "Hello"},
		{name: "above the bound behind a final block", in: stored(1, "Hello") + stored(1, "x") + "\x00", bounds: deflate.Bounds{Bytes: 5}, err: deflate.ErrTooBig},
		{name: "corrupt at the bound", in: stored(0, "Hello") + "\x07", bounds: deflate.Bounds{Bytes: 5}, err: deflate.ErrCorrupt},
		{name: "a bomb", in: zeros, bounds: deflate.Bounds{Bytes: 128 << 10}, err: deflate.ErrTooBig},
		{name: "a bomb without a bound of bytes", in: zeros, bounds: deflate.Bounds{Ratio: 200}, err: deflate.ErrRatio},
		{name: "any ratio up to 128 KiB", in: string(squeeze(t, strings.Repeat("0", deflate.FreeBytes), 9)), bounds: deflate.Bounds{Ratio: 2}, want: strings.Repeat("0", deflate.FreeBytes)},
		{name: "above 128 KiB the ratio counts", in: string(squeeze(t, strings.Repeat("0", deflate.FreeBytes+1), 9)), bounds: deflate.Bounds{Ratio: 2}, err: deflate.ErrRatio},
		{name: "no bounds", in: zeros, want: strings.Repeat("0", 1<<20)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := deflate.Inflate([]byte(tc.in), tc.bounds)
			require.ErrorIs(t, err, tc.err)
			require.Equal(t, tc.want, string(got))
		})
	}
}

// TestInflate_Ratio requires that a message may become as large as the bounds say, however
// large they are.
func TestInflate_Ratio(t *testing.T) {
	t.Parallel()
	want := strings.Repeat("0", 300<<10)
	even := squeeze(t, want, 9) // ends with an empty stored block
	odd := append([]byte(stored(0, "")), even...)
	n := len(even)
	const enough = 300 << 10
	for _, tc := range []struct {
		name   string
		bounds deflate.Bounds
		err    error
	}{
		{"far below", deflate.Bounds{Ratio: 1}, deflate.ErrRatio},
		{"one below", deflate.Bounds{Ratio: enough/(n+5) - 1}, deflate.ErrRatio},
		{"just enough", deflate.Bounds{Ratio: enough/n + 1}, nil},
		{"half of the largest", deflate.Bounds{Ratio: math.MaxInt / 2}, nil},
		{"the largest by 100", deflate.Bounds{Ratio: math.MaxInt / 100}, nil},
		{"the largest by the size", deflate.Bounds{Ratio: math.MaxInt / n}, nil},
		{"the product is one above the largest", deflate.Bounds{Ratio: math.MaxInt/n + 1}, nil},
		{"the largest", deflate.Bounds{Ratio: math.MaxInt}, nil},
		{"the largest, bytes below", deflate.Bounds{Ratio: math.MaxInt, Bytes: enough - 1}, deflate.ErrTooBig},
		{"the largest, bytes at", deflate.Bounds{Ratio: math.MaxInt, Bytes: enough}, nil},
		{"the largest, bytes above", deflate.Bounds{Ratio: math.MaxInt, Bytes: 1 << 20}, nil},
		{"the largest of both", deflate.Bounds{Ratio: math.MaxInt, Bytes: math.MaxInt}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, in := range [][]byte{even, odd} {
				got, err := deflate.Inflate(in, tc.bounds)
				require.ErrorIs(t, err, tc.err)
				require.True(t, err != nil || string(got) == want)
			}
		})
	}
}

func TestWireBytes(t *testing.T) {
	t.Parallel()
	largest := math.MaxInt / 9 * 8 // the sum is just not above math.MaxInt
	for n, want := range map[int]int{
		0: 0, 1: 65, 8: 73, 128 << 10: 144<<10 + 64,
		largest - 64:    largest - 64 + (largest-64)/8 + 64,
		largest:         math.MaxInt,
		math.MaxInt - 1: math.MaxInt,
		math.MaxInt:     math.MaxInt,
	} {
		require.Equal(t, want, deflate.WireBytes(n), "%d", n)
	}
}

// TestInflate_codes inflates blocks with codes of any lengths, one message after the other,
// so that each finds the tables of the one before.
func TestInflate_codes(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))         //nolint:gosec // must be repeatable
	prefix := strings.Repeat("abcdefgh", 4096) // distances reach into it
	valid := 0
	for n := range 1000 {
		var b blocks
		b.out = []byte(stored(0, prefix))
		for range 1 + rnd.IntN(4) {
			b.random(rnd)
		}
		in := b.end()
		want, ok := reference(in)
		require.True(t, ok, "%d", n)
		got, err := deflate.Inflate(in, deflate.Bounds{})
		require.NoError(t, err, "%d", n)
		require.True(t, bytes.Equal(want, got), "%d", n)

		in[len(prefix)+rnd.IntN(len(in)-len(prefix))] ^= 1 << rnd.IntN(8)
		want, ok = reference(in)
		got, err = deflate.Inflate(in, deflate.Bounds{})
		require.Equal(t, ok, err == nil, "%d, with a wrong bit: %v", n, err)
		require.True(t, !ok || bytes.Equal(want, got), "%d, with a wrong bit", n)
		if ok {
			valid++
		}
	}
	require.Positive(t, valid)
	require.Less(t, valid, 1000)
}

// TestInflate_allocations requires that no block makes garbage, whatever its codes are.
func TestInflate_allocations(t *testing.T) {
	for _, pairs := range []int{0, 1, 10, 50, 134, 135} {
		for _, full := range []bool{false, true} {
			for _, times := range []int{1, 100, 4000} {
				var b blocks
				for range times {
					b.costly(pairs, full)
				}
				in := b.end()
				want, ok := reference(in)
				require.True(t, ok)
				allocs := testing.AllocsPerRun(2, func() {
					got, err := deflate.Inflate(in, deflate.Bounds{Bytes: 128 << 10})
					require.NoError(t, err)
					require.True(t, bytes.Equal(want, got))
				})
				require.LessOrEqual(t, allocs, 4.0, "%d blocks with %d pairs", times, pairs) // the result, which grows
			}
		}
	}
}

// TestInflate_memory requires that a bomb takes no more than its bound.
func TestInflate_memory(t *testing.T) {
	bomb := squeeze(t, strings.Repeat("0", 64<<20), 9)
	const most = 1 << 20
	_, _ = deflate.Inflate(bomb, deflate.Bounds{Bytes: most})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := deflate.Inflate(bomb, deflate.Bounds{Bytes: most})
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, deflate.ErrTooBig)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(3*most))
}

func TestAppend(t *testing.T) {
	t.Parallel()
	random := make([]byte, 40<<10)
	chacha := rand.NewChaCha8([32]byte{1})
	_, _ = chacha.Read(random)
	text := strings.Repeat(`{"action":"sendmessage","data":"hello"},`, 4000)
	for level := deflate.MinLevel; level <= deflate.MaxLevel; level++ {
		for _, size := range []int{40, 512, 4 << 10, 64 << 10, len(text)} {
			t.Run(fmt.Sprintf("level %d, %d bytes", level, size), func(t *testing.T) {
				t.Parallel()
				b, ok := deflate.Append([]byte("before"), []byte(text[:size]), level)
				if size == 40 { // shorter or not: that is up to the level
					require.Equal(t, ok, len(b) > len("before"))
					return
				}
				require.True(t, ok)
				require.Less(t, len(b), size/4)
				packed, found := bytes.CutPrefix(b, []byte("before"))
				require.True(t, found)
				got, err := deflate.Inflate(packed, deflate.Bounds{})
				require.NoError(t, err)
				require.Equal(t, text[:size], string(got))
			})
		}
		for _, data := range []string{"", "a", "abc", string(random[:100]), string(random)} {
			b, ok := deflate.Append([]byte("before"), []byte(data), level)
			require.False(t, ok, "what becomes no shorter is left alone")
			require.Equal(t, "before", string(b))
		}
	}
}

// FuzzInflate inflates any bytes, within bounds and without, and compares with a reader of
// compress/flate that has no bounds and no pool.
func FuzzInflate(f *testing.F) {
	var own blocks
	own.costly(20, true)
	own.tiny()
	for _, seed := range []string{
		string(own.end()), "", "\x00", "\xf2\x48\xcd\xc9\xc9\x07\x00", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "\x07", stored(1, "a") + stored(0, "b") + "\x00",
		string(squeeze(f, strings.Repeat("hello ", 100), 9)), string(squeeze(f, strings.Repeat("0", 100_000), 1)),
	} {
		f.Add([]byte(seed), uint16(0), uint8(0))
		f.Add([]byte(seed), uint16(7), uint8(3))
	}
	f.Fuzz(func(t *testing.T, in []byte, most uint16, ratio uint8) {
		want, ok := reference(in)
		bounds := deflate.Bounds{Bytes: int(most), Ratio: int(ratio)}
		got, err := deflate.Inflate(in, bounds)
		switch {
		case errors.Is(err, deflate.ErrTooBig):
			require.Positive(t, most)
			require.True(t, !ok || len(want) > int(most))
		case errors.Is(err, deflate.ErrRatio):
			require.Positive(t, ratio)
			require.True(t, !ok || len(want) > deflate.FreeBytes)
		case err != nil:
			require.ErrorIs(t, err, deflate.ErrCorrupt)
			require.False(t, ok)
		default:
			require.True(t, ok)
			require.True(t, bytes.Equal(want, got))
			require.True(t, most == 0 || len(got) <= int(most))
		}
	})
}

// reference inflates with one reader for each final block. ok is false if in is not valid.
func reference(in []byte) (out []byte, ok bool) {
	if len(in) == 0 {
		return nil, true
	}
	rest := bytes.NewReader(append(bytes.Clone(in), "\x00\x00\xff\xff\x01\x00\x00\xff\xff"...))
	for {
		all, err := io.ReadAll(flate.NewReaderDict(rest, out[max(0, len(out)-32<<10):]))
		if err != nil {
			return nil, false
		}
		if out = append(out, all...); rest.Len() == 0 {
			return out, true
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10} {
		data := []byte(benchJSON(size))
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			var dst []byte
			for b.Loop() {
				dst, _ = deflate.Append(dst[:0], data, deflate.MinLevel)
			}
			b.ReportMetric(float64(len(dst)), "compressed")
		})
	}
}

func BenchmarkInflate(b *testing.B) {
	for _, bench := range []struct {
		name string
		in   []byte
	}{
		{"5B", squeeze(b, "Hello", 1)},
		{"1KiB", squeeze(b, benchJSON(1<<10), 1)},
		{"16KiB", squeeze(b, benchJSON(16<<10), 1)},
		{"bomb of 128KiB", squeeze(b, strings.Repeat("0", 128<<10), 9)},
		{"144KiB of tiny blocks", hostile((*blocks).tiny)},
		{"144KiB of costly blocks", hostile(func(b *blocks) { b.costly(135, false) })},
		{"144KiB of costly blocks, not empty", hostile(func(b *blocks) { b.costly(135, true) })},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := deflate.Inflate(bench.in, deflate.Bounds{Bytes: 128 << 10}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// hostile returns as many of these blocks as a message of 128 KiB may have.
func hostile(add func(*blocks)) []byte {
	var b blocks
	for {
		before := b
		if add(&b); len(b.out) >= deflate.WireBytes(128<<10) {
			return before.end()
		}
	}
}

// benchJSON returns JSON whose values differ as those of real messages do.
func benchJSON(size int) string {
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // must be repeatable
	words := strings.Fields("hello order room price update the message of a customer was sent to gateway and received")
	word := func() string { return words[rnd.IntN(len(words))] }
	var b strings.Builder
	b.WriteString(`{"action":"update","items":[`)
	for b.Len() < size {
		fmt.Fprintf(&b, `{"id":"%08x","user":%q,"text":"%s %s %s %s %s","at":%d,"price":%.2f},`,
			rnd.Uint32(), word(), word(), word(), word(), word(), word(), 1_700_000_000_000+rnd.IntN(1e9), rnd.Float64()*1000)
	}
	return b.String()[:size]
}
