package proxy

import (
	"compress/gzip"
	"io"
	"net/http/httputil"
	"sync"

	kgzip "github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// bufferSize is the size of copy buffers, in bytes.
const bufferSize = 32 << 10

// pools holds what is too large to be made anew for every request.
type pools struct{ buffers, zstd, gzip sync.Pool }

// encoder compresses one answer.
type encoder interface {
	io.WriteCloser
	Flush() error
	Reset(io.Writer)
}

var (
	_ encoder             = (*zstd.Encoder)(nil)
	_ encoder             = (*kgzip.Writer)(nil)
	_ httputil.BufferPool = (*pools)(nil)
)

func newPools() *pools {
	return &pools{
		buffers: sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }},
		zstd: sync.Pool{New: func() any {
			// a small window: it is memory for every answer under way
			e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
				zstd.WithWindowSize(128<<10), zstd.WithLowerEncoderMem(true))
			if err != nil {
				panic(err) // constant options
			}
			return e
		}},
		gzip: sync.Pool{New: func() any {
			w, err := kgzip.NewWriterLevel(nil, gzip.BestSpeed+2)
			if err != nil {
				panic(err) // a constant level
			}
			return w
		}},
	}
}

// buffer lends a copy buffer.
func (p *pools) buffer() *[]byte {
	b, ok := p.buffers.Get().(*[]byte)
	if !ok {
		panic("not a buffer")
	}
	return b
}

// encoder lends an encoder of a coding, writing to w.
func (p *pools) encoder(coding string, w io.Writer) encoder {
	pool := &p.gzip
	if coding == "zstd" {
		pool = &p.zstd
	}
	e, ok := pool.Get().(encoder)
	if !ok {
		panic("not an encoder")
	}
	e.Reset(w)
	return e
}

// release takes an encoder back.
func (p *pools) release(coding string, e encoder) {
	e.Reset(nil)
	if coding == "zstd" {
		p.zstd.Put(e)
	} else {
		p.gzip.Put(e)
	}
}

// Get implements httputil.BufferPool.
func (p *pools) Get() []byte { return *p.buffer() }

// Put implements httputil.BufferPool.
func (p *pools) Put(b []byte) {
	if cap(b) == bufferSize {
		b = b[:bufferSize]
		p.buffers.Put(&b)
	}
}
