package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the kernel's USER_HZ, the unit of CPU times in /proc: 100 on every architecture pandabox runs on.
const tick = 10 * time.Millisecond

// cpu returns the CPU time the processes have used, user and system.
func cpu(pids ...int) (time.Duration, error) {
	var total time.Duration
	for _, pid := range pids {
		f, err := stat(pid)
		if err != nil {
			return 0, err
		}
		user, _ := strconv.Atoi(f[11])
		system, _ := strconv.Atoi(f[12])
		total += time.Duration(user+system) * tick
	}
	return total, nil
}

// stat returns the fields of /proc/PID/stat after the name: 0 is the state, 1 the parent.
func stat(pid int) ([]string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, fmt.Errorf("reading a process's times: %w", err)
	}
	return strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])), nil
}

// pss returns the memory of a process in bytes, with its share of what it shares. A process that has just ended has
// none.
func pss(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	} else if err != nil {
		return 0, fmt.Errorf("reading a process's memory: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("process %d has no Pss", pid)
}

// platform returns the processes of a box that are pandabox's own, by pid, with what each is: those whose program is one
// of the parts the box unpacked below dir, or the binary with dir in its arguments.
func platform(bin, dir string) (map[int]string, error) {
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	out := map[int]string{}
	for _, p := range procs {
		pid, err := strconv.Atoi(filepath.Base(p))
		if err != nil {
			continue
		}
		exe, err := os.Readlink(p + "/exe")
		if err != nil {
			continue // it ended, or is the kernel's
		}
		args, err := os.ReadFile(p + "/cmdline")
		if err != nil {
			continue
		}
		words := strings.Split(string(args), "\x00")
		switch {
		case strings.HasPrefix(exe, dir+"/"):
			out[pid] = filepath.Base(exe)
		case exe == bin && len(words) > 1 && bytes.Contains(args, []byte(dir)):
			out[pid] = words[1]
		}
	}
	return out, nil
}

// childOf returns the one child of a process, 0 while it has none.
func childOf(parent int) int {
	procs, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, p := range procs {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(p)))
		if err != nil {
			continue
		}
		if f, err := stat(pid); err == nil && f[1] == strconv.Itoa(parent) && f[0] != "Z" {
			return pid
		}
	}
	return 0
}
