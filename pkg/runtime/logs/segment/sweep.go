package segment

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// Bounds of segments.
const (
	minTarget   = 16 << 10 // bytes
	maxTarget   = 4 << 20
	maxSegments = 500 // in a directory; many short-lived containers reach it before the budget
)

// File is a segment in a directory.
type File struct {
	Name
	Size    int64
	ModTime time.Time // of its last record
}

// List returns the directory's segments by container, then sequence. A directory that is not there has none.
func List(dir string) ([]File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		if os.IsNotExist(err) {
			return nil, nil
		}
		return nil, err
	}
	var out []File
	for _, e := range entries {
		n, ok := ParseName(e.Name())
		if !ok || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // removed meanwhile
		}
		out = append(out, File{Name: n, Size: info.Size(), ModTime: info.ModTime()})
	}
	slices.SortFunc(out, func(a, b File) int {
		switch {
		case a.Container != b.Container:
			if a.Container < b.Container {
				return -1
			}
			return 1
		default:
			return a.Sequence - b.Sequence
		}
	})
	return out, nil
}

// Sweep removes the oldest segments, of whichever container, until what is left and what the running writers may still
// add fit into maxBytes. It never removes a segment that is being written to. It returns the size the segment of
// container, which is about to begin, may reach.
//
// Two writers may sweep at once: both remove in the order of age.
func Sweep(dir string, all []File, container string, maxBytes int64) (target int64) {
	live := int64(1)
	for i, s := range all {
		newest := i+1 == len(all) || all[i+1].Container != s.Container
		if newest && s.Container != container && busy(filepath.Join(dir, s.String())) {
			live++
		}
	}
	target = min(max(maxBytes/(4*(live+3)), minTarget), maxTarget)
	left, count := int64(0), len(all)
	for _, s := range all {
		left += s.Size
	}
	byAge := slices.Clone(all)
	slices.SortStableFunc(byAge, func(a, b File) int { return a.ModTime.Compare(b.ModTime) })
	for _, s := range byAge {
		if left <= maxBytes-live*target && count < maxSegments {
			break
		}
		if remove(filepath.Join(dir, s.String())) {
			left -= s.Size
			count--
		}
	}
	return target
}

// busy tells whether a writer has the segment.
func busy(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
}

// remove removes the segment unless a writer has it, and tells whether it is gone.
func remove(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return os.IsNotExist(err)
	}
	defer func() { _ = f.Close() }()
	if !lock(f) {
		return false
	}
	err = os.Remove(path)
	return err == nil || os.IsNotExist(err)
}

// lock marks the segment as being written to. The mark goes with the process.
func lock(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}

// linked tells whether the segment still has its name: it may have been removed before it was locked.
func linked(f *os.File) bool {
	var st syscall.Stat_t
	return syscall.Fstat(int(f.Fd()), &st) == nil && st.Nlink > 0
}
