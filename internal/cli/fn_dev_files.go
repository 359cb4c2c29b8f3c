//go:build linux

package cli

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	watchEvery = 200 * time.Millisecond
	maxWatched = 5000 // files
)

// snapshot says how files were: size and time of change by path.
type snapshot map[string]fileState

type fileState struct {
	size int64
	at   time.Time
}

func (s snapshot) same(other snapshot) bool { return maps.Equal(s, other) }

// files looks at what the function is made of. While it cannot be made, that is anything in the folder but packages and
// what begins with a dot.
func (d *development) files() snapshot {
	out := snapshot{}
	made, good := d.made()
	for _, path := range made {
		out.look(path)
	}
	if good {
		return out
	}
	skip := []string{"node_modules", "target"}
	_ = filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error { // what cannot be read is not watched
		switch {
		case err != nil:
			return nil //nolint:nilerr // it went away between two looks
		case e.IsDir() && path != d.dir && (e.Name()[0] == '.' || slices.Contains(skip, e.Name())):
			return filepath.SkipDir
		case len(out) >= maxWatched:
			return filepath.SkipAll
		case e.Type().IsRegular():
			out.look(path)
		}
		return nil
	})
	return out
}

func (s snapshot) look(path string) {
	if info, err := os.Stat(path); err == nil {
		s[path] = fileState{info.Size(), info.ModTime()}
	}
}
