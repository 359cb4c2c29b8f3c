package runtime

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// statusMask reads a signal mask out of /proc/PID/status.
func statusMask(pid int, field string) (uint64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), field+":"); ok {
			return strconv.ParseUint(strings.TrimSpace(rest), 16, 64)
		}
	}
	return 0, fmt.Errorf("no %s in the status of process %d", field, pid)
}

// traffic reads what has gone through a process's eth0.
func traffic(pid int) (rx, tx int64, err error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/net/dev", pid))
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		name, rest, ok := strings.Cut(s.Text(), ":")
		if !ok || strings.TrimSpace(name) != "eth0" {
			continue
		}
		cols := strings.Fields(rest) // received: bytes first; sent: bytes ninth
		if len(cols) < 9 {
			break
		}
		if rx, err = strconv.ParseInt(cols[0], 10, 64); err != nil {
			return 0, 0, err
		}
		tx, err = strconv.ParseInt(cols[8], 10, 64)
		return rx, tx, err
	}
	return 0, 0, nil
}
