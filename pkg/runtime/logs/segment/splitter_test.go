package segment

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// The lines come out the same, however the stream was cut into reads.
func TestSplitterKeepsEveryByte(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		for range rapid.IntRange(0, 5).Draw(t, "lines") {
			n := rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(MaxText-2, MaxText+2), rapid.IntRange(2*MaxText-2, 2*MaxText+2)).Draw(t, "length")
			stream = append(append(stream, bytes.Repeat([]byte{'x'}, n)...), '\n')
		}
		stream = append(stream, rapid.SliceOfN(rapid.Just(byte('y')), 0, 10).Draw(t, "rest")...)
		var s Splitter
		var got []byte
		ended := true
		emit := func(text []byte, partial bool) {
			if len(text) > MaxText {
				t.Fatalf("a line of %d bytes", len(text))
			}
			got = append(got, text...)
			if ended = !partial; ended {
				got = append(got, '\n')
			}
		}
		for rest := stream; len(rest) > 0; {
			n := min(len(rest), rapid.OneOf(rapid.IntRange(1, 10), rapid.IntRange(1, 2*MaxText)).Draw(t, "read"))
			s.Split(rest[:n], emit)
			rest = rest[n:]
		}
		s.End(emit)
		want := stream
		if len(want) > 0 && want[len(want)-1] != '\n' {
			want = append(bytes.Clone(want), '\n')
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%d bytes went in, %d came out", len(want), len(got))
		}
		if !ended {
			t.Fatal("the last line is left open")
		}
	})
}
