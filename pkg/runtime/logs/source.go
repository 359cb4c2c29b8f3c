package logs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pandabox/pandabox/pkg/runtime/logs/segment"
)

const (
	firstRead = 4 << 10  // bytes; there may be hundreds of sources
	laterRead = 64 << 10 // bytes
)

// position is a place between two records of a container.
type position struct {
	sequence int
	offset   int64
}

// source reads one container's records onward. It holds no file open: a segment removed under it is left out, and the
// next one goes on.
type source struct {
	dir  string
	segs []segment.File // from the present one on
	off  int64          // in segs[0], of the first byte behind head
	size int64          // of the last of segs, when it was looked at
	end  int64          // in the last of segs: read no further; -1: to its end, whatever that is by then

	buf  []byte // what was read of segs[0], from off on
	room []byte // the memory of buf
	head segment.Record
	name segment.Name // of head
}

// next reads the next record into head; false where there is none now. After more was written it may be called again.
func (s *source) next() (bool, error) {
	for len(s.segs) > 0 {
		i := bytes.IndexByte(s.buf, '\n')
		if i < 0 {
			more, err := s.fill()
			if err != nil {
				return false, err
			}
			if !more {
				if len(s.segs) == 1 {
					return false, nil
				}
				s.segs, s.off, s.buf = s.segs[1:], 0, nil
			}
			continue
		}
		r, ok := segment.Parse(s.buf[:i])
		s.buf, s.off = s.buf[i+1:], s.off+int64(i)+1
		if ok {
			s.head, s.name = r, s.segs[0].Name
			return true, nil
		}
	}
	return false, nil
}

// stale tells whether there was nothing new when the directory was looked at.
func (s *source) stale() bool { return len(s.segs) == 1 && s.size <= s.off }

// fill reads buf afresh from off on, and reports whether it holds a whole line. It never keeps the half of a line from
// an earlier read, because a new writer cuts a torn record off and writes on.
func (s *source) fill() (bool, error) {
	s.buf = nil
	f, err := os.Open(filepath.Join(s.dir, s.segs[0].String()))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	if st, err := f.Stat(); err == nil && st.Size() < s.off {
		s.off = 0 // another file of the same name
	}
	size := firstRead
	if s.room != nil {
		size = max(laterRead, len(s.room))
	}
	for {
		if len(s.room) < size {
			s.room = make([]byte, size)
		}
		want := int64(size)
		if len(s.segs) == 1 && s.end >= 0 {
			want = max(0, min(want, s.end-s.off))
		}
		n, err := f.ReadAt(s.room[:want], s.off)
		if err != nil && err != io.EOF {
			return false, err
		}
		got := s.room[:n]
		if bytes.IndexByte(got, '\n') >= 0 {
			s.buf = got
			return true, nil
		}
		switch {
		case n < size:
			return false, nil // the end, perhaps of a record that is being written
		case size < segment.MaxRecord:
			size = min(4*size, segment.MaxRecord)
		default:
			s.off += int64(n) // no record is that long
		}
	}
}
