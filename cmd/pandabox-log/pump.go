package main

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/pandabox/pandabox/pkg/runtime/logs/segment"
)

const (
	readSize   = 32 << 10              // bytes read at once
	pipeSize   = 256 << 10             // so that an app seldom waits for us
	gather     = 5 * time.Millisecond  // pause after a small read: a line at a time costs the app and us a wake-up each
	flushAfter = 50 * time.Millisecond // a line is on disk at the latest
)

// pump copies the streams to w until both have ended.
func pump(w *segment.Writer, stdout, stderr int) {
	streams := [2]segment.Splitter{}
	fds := []unix.PollFd{{Fd: int32(stdout), Events: unix.POLLIN}, {Fd: int32(stderr), Events: unix.POLLIN}}
	for _, fd := range fds {
		_ = unix.SetNonblock(int(fd.Fd), true)
		_, _ = unix.FcntlInt(uintptr(fd.Fd), unix.F_SETPIPE_SZ, pipeSize)
	}
	emits := [2]func([]byte, bool){
		func(text []byte, partial bool) { w.Add(false, partial, text) },
		func(text []byte, partial bool) { w.Add(true, partial, text) },
	}
	buf := make([]byte, readSize)
	var flushed time.Time
	for fds[0].Fd >= 0 || fds[1].Fd >= 0 {
		if _, err := unix.Poll(fds, waitFor(w, flushed)); err != nil && err != unix.EINTR {
			time.Sleep(gather)
		}
		got := 0
		for i := range fds {
			if fds[i].Fd < 0 || fds[i].Revents == 0 {
				continue
			}
			n, open := read(int(fds[i].Fd), buf)
			streams[i].Split(buf[:n], emits[i])
			if !open {
				streams[i].End(emits[i])
				fds[i].Fd = -1
			}
			got += n
		}
		if now := time.Now(); !w.Buffered() && !w.Dropping() {
			flushed = now
		} else if now.Sub(flushed) >= flushAfter {
			w.Flush()
			flushed = now
		}
		if got > 0 && got < readSize/4 {
			time.Sleep(gather)
		}
	}
	w.Flush()
}

// waitFor returns how long to wait for input, in milliseconds; -1: for ever.
func waitFor(w *segment.Writer, flushed time.Time) int {
	switch {
	case w.Buffered():
		return max(0, int((flushAfter-time.Since(flushed))/time.Millisecond))
	case w.Dropping():
		return 1000
	}
	return -1
}

// read reads once. open is false at the stream's end.
func read(fd int, buf []byte) (n int, open bool) {
	n, err := unix.Read(fd, buf)
	switch {
	case n > 0:
		return n, true
	case err == unix.EAGAIN || err == unix.EINTR:
		return 0, true
	}
	return 0, false
}
