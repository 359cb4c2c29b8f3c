package static

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// flush makes everything written to the file system of dir durable.
func flush(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(d.Fd())), d.Close()) //nolint:gosec // a file descriptor is a small number
}

// giveWay lets every other thread of the machine compute before this one.
func giveWay() { _ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 19) }

// free returns how many bytes of a directory's disk are free.
func free(dir string) (int64, error) {
	var fs unix.Statfs_t
	err := unix.Statfs(dir, &fs)
	return int64(fs.Bavail) * int64(fs.Bsize), err //nolint:gosec,unconvert // no disk has 2^63 bytes; types differ by system
}
