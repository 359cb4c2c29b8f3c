package segment

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	batchSize  = 64 << 10 // bytes gathered for one write
	retryAfter = time.Second
)

// Writer appends one container's records to its segments. It never fails and never waits for space: records that
// cannot be written are counted, and a record says so once writing works again. It is not for concurrent use.
type Writer struct {
	dir  string
	name Name
	max  int64
	made bool // dir was there

	buf   []byte // whole records
	lines int    // their number

	file   *os.File // nil while there is no segment
	size   int64    // of file
	target int64    // size at which the next segment begins

	last    time.Time // of the record added last
	dropped int
	why     error     // of dropping
	retry   time.Time // not before
}

// Open returns a writer for the container name says (its Sequence is ignored) below dir, which it makes where
// possible. maxBytes is the budget of the whole directory. The container's last segment is continued if it has room.
func Open(dir string, name Name, maxBytes int64) *Writer {
	w := &Writer{dir: dir, name: name, max: maxBytes, buf: make([]byte, 0, batchSize+MaxRecord)}
	w.begin()
	return w
}

// Add takes in a line. It reaches the disk with Flush, or when a batch is full.
func (w *Writer) Add(stderr, partial bool, text []byte) {
	w.buf = Record{At: w.now(), Stderr: stderr, Partial: partial, Text: text}.Append(w.buf)
	w.lines++
	if len(w.buf) >= batchSize {
		w.Flush()
	}
}

// Buffered tells whether there is something for Flush to do.
func (w *Writer) Buffered() bool { return len(w.buf) > 0 }

// Dropping tells whether lines were dropped and no record says so yet.
func (w *Writer) Dropping() bool { return w.dropped > 0 }

// Flush writes what was added.
func (w *Writer) Flush() {
	if w.dropped > 0 && time.Now().Before(w.retry) {
		w.drop()
		return
	}
	if w.dropped > 0 {
		notice := Record{At: w.now(), Stderr: true, Text: []byte("[pandabox: " + strconv.Itoa(w.dropped) + " lines before this one were dropped: " + w.why.Error() + "]")}.Append(nil)
		if !w.write(notice) {
			w.drop()
			return
		}
		w.dropped = 0
	}
	for len(w.buf) > 0 {
		n := w.fitting(w.buf)
		if !w.write(w.buf[:n]) {
			w.lines = bytes.Count(w.buf, []byte{'\n'})
			w.drop()
			return
		}
		w.buf = append(w.buf[:0], w.buf[n:]...)
	}
	w.lines = 0
}

// Close flushes and lets go of the segment.
func (w *Writer) Close() {
	w.retry = time.Time{}
	w.Flush()
	if w.file != nil {
		_ = w.file.Close()
		w.file = nil
	}
}

// fitting returns how much of b, whole records of it, goes into the present segment: at least one.
func (w *Writer) fitting(b []byte) int {
	room := w.target - w.size
	if int64(len(b)) <= room {
		return len(b)
	}
	if room > 0 {
		if i := bytes.LastIndexByte(b[:room], '\n'); i >= 0 {
			return i + 1
		}
	}
	return bytes.IndexByte(b, '\n') + 1
}

// write appends whole records to the segment, or nothing at all.
func (w *Writer) write(b []byte) bool {
	if w.file == nil || w.size > 0 && w.size+int64(len(b)) > w.target {
		w.begin()
		if w.file == nil {
			return false
		}
	}
	n, err := w.file.Write(b)
	if err != nil {
		if n > 0 {
			_ = w.file.Truncate(w.size) // no torn record in the middle of a segment
		}
		w.fail(err)
		return false
	}
	w.size += int64(n)
	return true
}

func (w *Writer) drop() {
	w.dropped += w.lines
	w.lines = 0
	w.buf = w.buf[:0]
}

func (w *Writer) fail(err error) {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		err = errno // "no space left on device", without the path
	}
	w.why = err
	w.retry = time.Now().Add(retryAfter)
}

// now returns the time, later than that of every record before.
func (w *Writer) now() time.Time {
	t := time.Now()
	if !t.After(w.last) {
		t = w.last.Add(1)
	}
	w.last = t
	return t
}

// begin makes room in the budget and opens the segment to write to: the container's last if it has room, else the
// next. Afterwards w.file is nil if that is not possible now.
func (w *Writer) begin() {
	if w.file != nil {
		_ = w.file.Close()
		w.file = nil
	}
	if !w.made { // once only: when the directory is removed, the workload's logs are not wanted any more
		if err := os.MkdirAll(w.dir, 0o700); err != nil {
			w.fail(err)
			return
		}
		w.made = true
	}
	all, err := List(w.dir)
	if err != nil {
		w.fail(err)
		return
	}
	w.target = Sweep(w.dir, all, w.name.Container, w.max)
	name, size := w.name, int64(0)
	name.Sequence = 0
	for _, s := range all {
		if s.Container == name.Container && s.Sequence > name.Sequence {
			name.Sequence, size = s.Sequence, s.Size
		}
	}
	if name.Sequence > 0 && size < w.target/2 && w.continueSegment(name) {
		return
	}
	for range 10 {
		name.Sequence++
		f, err := os.OpenFile(filepath.Join(w.dir, name.String()), os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			w.fail(err)
			return
		}
		if lock(f) && linked(f) {
			w.file, w.size = f, 0
			return
		}
		_ = f.Close()
	}
	w.fail(errors.New("another log writer has the segments"))
}

// continueSegment opens the container's last segment, of a writer that has ended, and cuts off a torn record.
func (w *Writer) continueSegment(name Name) bool {
	f, err := os.OpenFile(filepath.Join(w.dir, name.String()), os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return false
	}
	if lock(f) && linked(f) {
		if size, err := wholeSize(f); err == nil && f.Truncate(size) == nil {
			w.file, w.size = f, size
			return true
		}
	}
	_ = f.Close()
	return false
}

// wholeSize returns the size of f up to and with its last newline.
func wholeSize(f *os.File) (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	buf := make([]byte, 4<<10)
	for end := st.Size(); end > 0; {
		n := min(end, int64(len(buf)))
		if _, err := f.ReadAt(buf[:n], end-n); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return end - n + int64(i) + 1, nil
		}
		end -= n
	}
	return 0, nil
}
