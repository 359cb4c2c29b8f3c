package network

import (
	"fmt"
	"os"
	"strings"
)

// sysctl sets a kernel setting named by its path below /proc/sys.
func sysctl(name, value string) error {
	return os.WriteFile("/proc/sys/"+name, []byte(value), 0o644)
}

func sysctlIs(name, value string) (bool, error) {
	b, err := os.ReadFile("/proc/sys/" + name)
	if err != nil {
		return false, fmt.Errorf("reading a kernel setting: %w", err)
	}
	return strings.TrimSpace(string(b)) == value, nil
}
