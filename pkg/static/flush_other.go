//go:build !linux

package static

import "golang.org/x/sys/unix"

// flush makes everything written durable.
func flush(string) error { return unix.Sync() }

// giveWay does nothing here.
func giveWay() {}

// free returns how many bytes of a directory's disk are free.
func free(dir string) (int64, error) {
	var fs unix.Statfs_t
	err := unix.Statfs(dir, &fs)
	return int64(fs.Bavail) * int64(fs.Bsize), err //nolint:gosec,unconvert // no disk has 2^63 bytes; types differ by system
}
