package web

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"

	"github.com/pandabox/pandabox/pkg/edge/js/bridge"
)

// maxInflated is what one DecompressionStream may come to, in bytes.
const maxInflated = 64 << 20

func compressionFunctions() []bridge.Function {
	return []bridge.Function{
		{Name: "deflatePiece", Call: deflatePiece},
		{Name: "inflateAll", Call: inflateAll},
	}
}

// deflatePiece(format, window, bytes, checksum, length, begun, last) → [compressed bytes, checksum]. The pieces one after
// the other are one stream: each but the last ends with a flush, and begins with the window those before it left.
func deflatePiece(_ context.Context, a bridge.Args) (bridge.Value, error) {
	format, b, begun, last := a.String(0), a.Bytes(2), a.Bool(5), a.Bool(6)
	var out bytes.Buffer
	if !begun {
		out.Write(streamHead(format))
	}
	w, err := flate.NewWriterDict(&out, flate.DefaultCompression, a.Bytes(1))
	if err != nil {
		return bridge.Undefined(), err
	}
	if _, err := w.Write(b); err != nil {
		return bridge.Undefined(), err
	}
	if last {
		err = w.Close()
	} else {
		err = w.Flush()
	}
	if err != nil {
		return bridge.Undefined(), err
	}
	sum := uint32(a.Number(3))
	switch format {
	case "gzip":
		sum = crc32.Update(sum, crc32.IEEETable, b)
	case "deflate":
		sum = adler(sum, b)
	}
	if last {
		out.Write(streamTail(format, sum, uint32(int64(a.Number(4))+int64(len(b))))) //nolint:gosec // gzip counts modulo 2³²
	}
	return bridge.List(bridge.Bytes(out.Bytes()), bridge.Number(float64(sum))), nil
}

func streamHead(format string) []byte {
	switch format {
	case "gzip":
		return []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}
	case "deflate":
		return []byte{0x78, 0x9c}
	}
	return nil
}

func streamTail(format string, sum, length uint32) []byte {
	switch format {
	case "gzip":
		return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, sum), length)
	case "deflate":
		return binary.BigEndian.AppendUint32(nil, sum)
	}
	return nil
}

// adler goes on with a checksum, which the standard library's hash does from its marshalled state.
func adler(sum uint32, b []byte) uint32 {
	h := adler32.New()
	state, err := h.(interface{ AppendBinary([]byte) ([]byte, error) }).AppendBinary(nil)
	if err != nil || len(state) < 4 {
		return 0
	}
	binary.BigEndian.PutUint32(state[len(state)-4:], sum)
	if err := h.(interface{ UnmarshalBinary([]byte) error }).UnmarshalBinary(state); err != nil {
		return 0
	}
	_, _ = h.Write(b)
	return h.Sum32()
}

// inflateAll(format, bytes) → what they expand to: a whole stream and nothing after it.
func inflateAll(ctx context.Context, a bridge.Args) (bridge.Value, error) {
	in := bytes.NewReader(a.Bytes(1))
	bad := func(err error) (bridge.Value, error) {
		return bridge.Undefined(), bridge.Throw("TypeError", fmt.Sprintf("the compressed data is not valid: %v", err))
	}
	r, err := inflater(a.String(0), in)
	if err != nil {
		return bad(err)
	}
	var out bytes.Buffer
	for ctx.Err() == nil {
		n, err := io.CopyN(&out, r, 1<<20)
		if n == 1<<20 && out.Len() < maxInflated {
			continue
		}
		if err == nil {
			return bridge.Undefined(), bridge.Throw("RangeError", "the compressed data expands to more than 64 MiB")
		}
		if !errors.Is(err, io.EOF) {
			return bad(err)
		}
		break
	}
	if in.Len() > 0 {
		return bad(fmt.Errorf("%d bytes follow its end", in.Len()))
	}
	return bridge.Bytes(out.Bytes()), ctx.Err()
}

func inflater(format string, in *bytes.Reader) (io.Reader, error) {
	switch format {
	case "gzip":
		r, err := gzip.NewReader(in)
		if err == nil {
			r.Multistream(false)
		}
		return r, err
	case "deflate":
		return zlib.NewReader(in)
	}
	return flate.NewReader(in), nil
}
