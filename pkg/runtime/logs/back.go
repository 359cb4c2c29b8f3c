package logs

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pandabox/pandabox/pkg/runtime/logs/segment"
)

const backRead = 32 << 10 // bytes

// backSource reads one container's records from the last to the first; it keeps their places, not their text.
type backSource struct {
	dir  string
	name segment.Name   // of any of segs
	segs []segment.File // up to the present one

	buf  []byte // the unread rest of what was read: whole lines, and before them perhaps the end of one
	base int64  // buf[0]'s offset in the present segment
	at   time.Time
	pos  position // of the record at
}

// newBackSource begins behind the container's last whole line: behind it there may be one that is being written.
func newBackSource(dir string, segs []segment.File) (*backSource, error) {
	last := segs[len(segs)-1]
	s := &backSource{dir: dir, name: last.Name, segs: segs, base: last.Size}
	for s.base > 0 {
		if err := s.fill(); err != nil {
			return nil, err
		}
		if i := bytes.LastIndexByte(s.buf, '\n'); i >= 0 {
			s.buf = s.buf[:i+1]
			break
		}
		s.buf = nil
	}
	s.pos = position{last.Sequence, s.base + int64(len(s.buf))}
	return s, nil
}

func (s *backSource) container() string { return s.name.Container }

// prev goes to the record before; false where there is none.
func (s *backSource) prev() (bool, error) {
	for len(s.segs) > 0 {
		seq := s.segs[len(s.segs)-1].Sequence
		line, start, err := s.lineBefore()
		if err != nil {
			return false, err
		}
		if start < 0 {
			s.segs, s.buf = s.segs[:len(s.segs)-1], nil
			if n := len(s.segs); n > 0 {
				s.base = s.segs[n-1].Size
			}
			continue
		}
		if r, ok := segment.Parse(line); ok {
			s.at, s.pos = r.At, position{seq, start}
			return true, nil
		}
	}
	return false, nil
}

// lineBefore takes the last line off buf, reading more of the segment as needed. start is its offset, -1 where the
// segment has no more. The text behind the last newline is no line.
func (s *backSource) lineBefore() (line []byte, start int64, err error) {
	for {
		end := bytes.LastIndexByte(s.buf, '\n')
		if end >= 0 {
			begin := bytes.LastIndexByte(s.buf[:end], '\n') + 1
			if begin > 0 || s.base == 0 {
				line, start = s.buf[begin:end], s.base+int64(begin)
				s.buf = s.buf[:begin]
				return line, start, nil
			}
		}
		if s.base == 0 {
			return nil, -1, nil
		}
		if end < 0 || len(s.buf) > 2*segment.MaxRecord {
			s.buf = nil // behind the last newline, or no record: nothing of it is wanted
		}
		if err := s.fill(); err != nil {
			return nil, -1, err
		}
	}
}

// fill reads the block before base.
func (s *backSource) fill() error {
	n := min(s.base, backRead)
	block := make([]byte, n, int(n)+len(s.buf))
	f, err := os.Open(filepath.Join(s.dir, s.segs[len(s.segs)-1].String()))
	if err == nil {
		_, err = f.ReadAt(block, s.base-n)
		_ = f.Close()
	}
	if errors.Is(err, fs.ErrNotExist) {
		s.buf, s.base = nil, 0 // removed meanwhile
		return nil
	}
	if err != nil {
		return err
	}
	s.buf = append(block, s.buf...)
	s.base -= n
	return nil
}
