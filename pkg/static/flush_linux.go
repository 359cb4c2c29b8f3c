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
