package daemon

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/source/archive"
)

// logPoll is how often a log that is followed is looked at.
const logPoll = 100 * time.Millisecond

// buildLogs keeps the logs of builds: a file of JSON lines for each, by the build's id.
type buildLogs struct{ dir string }

func (l buildLogs) file(id string) string { return filepath.Join(l.dir, filepath.Base(id)+".log") }

// maxBuildLog bounds the log of one build with all its attempts, in bytes; pkg/build bounds that of each.
const maxBuildLog = 64 << 20

// writer returns a function that appends lines to a build's log, and what closes it. Lines of an attempt that a crash
// ended stay, and one says that the build begins again. A line that cannot be written is dropped: no build fails for its
// log.
func (l buildLogs) writer(id string) (say func(model.BuildLine), end func() error, err error) {
	f, err := os.OpenFile(l.file(id), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the log of build %s: %w", id, err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("opening the log of build %s: %w", id, err), f.Close())
	}
	say = func(line model.BuildLine) {
		b, err := json.Marshal(line)
		if err != nil || size > maxBuildLog {
			return
		}
		n, _ := f.Write(append(b, '\n'))
		size += int64(n)
	}
	if size > 0 {
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, size-1); err == nil && last[0] != '\n' { // half a line is left by a crash
			_, _ = f.WriteString("\n")
		}
		say(model.BuildLine{At: time.Now().UTC(), Text: "the build begins again"})
	}
	return say, f.Close, nil
}

// read gives the lines of a build's log to yield, and with follow those to come until ctx ends.
func (l buildLogs) read(ctx context.Context, id string, follow bool, yield func(model.BuildLine) error) error {
	tick := time.NewTicker(logPoll)
	defer tick.Stop()
	var f *os.File
	defer func() {
		if f != nil {
			_ = f.Close()
		}
	}()
	var in *bufio.Reader
	var part []byte // a line that is not whole yet
	for {
		if f == nil {
			var err error
			if f, err = os.Open(l.file(id)); err == nil {
				in = bufio.NewReaderSize(f, 64<<10)
			} else if !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("opening the log of build %s: %w", id, err)
			}
		}
		for f != nil {
			b, err := in.ReadBytes('\n')
			part = append(part, b...)
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return fmt.Errorf("reading the log of build %s: %w", id, err)
			}
			var line model.BuildLine
			if err := json.Unmarshal(bytes.TrimSpace(part), &line); err == nil { // half a line is left by a crash
				if err := yield(line); err != nil {
					return err
				}
			}
			part = part[:0]
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// reclaim removes the logs that keep does not name.
func (l buildLogs) reclaim(keep []string, now time.Time) error {
	all, err := os.ReadDir(l.dir)
	if err != nil {
		return fmt.Errorf("listing the logs of builds: %w", err)
	}
	var errs []error
	for _, e := range all {
		id, is := strings.CutSuffix(e.Name(), ".log")
		info, err := e.Info()
		if !is || err != nil || slices.Contains(keep, id) || now.Sub(info.ModTime()) < archive.Grace {
			continue
		}
		if err := os.Remove(l.file(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("removing the log of a build: %w", err))
		}
	}
	return errors.Join(errs...)
}
