// Command pandabox-log keeps one container's output. containerd's shim starts it with the container's stdout and stderr
// as file descriptors 3 and 4, waits for a byte on 5, and closes the first two when the container has ended.
//
// There is one process of it per container and the app dies with it, so it is small, does not allocate once it runs,
// and never waits for anything but its input.
package main

import (
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/pandabox/pandabox/pkg/runtime/logs/segment"
)

const (
	fdStdout = 3
	fdStderr = 4
	fdReady  = 5
)

func main() {
	// The shim asks with SIGTERM after it has closed the pipes: reading to the end is the answer.
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
	runtime.GOMAXPROCS(1)
	debug.SetMemoryLimit(4 << 20)
	dir, name, maxBytes, err := parse(os.Args[1:])
	if err != nil {
		_, _ = os.Stderr.WriteString("pandabox-log: " + err.Error() + "\n")
		os.Exit(2)
	}
	// Better the app than its log writer, whose end ends the app as well. Lowering it takes a privilege.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("-999"), 0)
	// An app may open its output by name (/dev/stdout), as the logs of many images are linked to it. The pipe is root's, and
	// root of a container is somebody else; nobody but the container's processes has a way to it.
	for _, fd := range []int{fdStdout, fdStderr} {
		_ = syscall.Fchmod(fd, 0o666)
	}
	w := segment.Open(dir, name, maxBytes)
	if _, err := syscall.Write(fdReady, []byte{0}); err == nil {
		_ = syscall.Close(fdReady)
	}
	pump(w, fdStdout, fdStderr)
	w.Close()
}
