package manifest

import (
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/pandabox/pandabox/pkg/model"
)

var sizeForm = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)(?:I?B)?$`)

// ParseSize reads an amount of memory in bytes: "256MB", "1.5GiB", "64m". As with Docker, MB and MiB both mean
// 1024 × 1024 bytes. A bare number is refused, for it is rarely meant in bytes.
func ParseSize(s string) (int64, error) {
	m := sizeForm.FindStringSubmatch(strings.ToUpper(strings.TrimSpace(s)))
	if m == nil || m[2] == "" && !strings.HasSuffix(strings.ToUpper(s), "B") {
		return 0, model.Invalid("%q is not a size", s).WithHint(`write a number and a unit: "256MB" or "1.5GB"`)
	}
	shift := map[string]int{"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[m[2]]
	n, err := strconv.ParseFloat(m[1], 64)
	if bytes := n * float64(int64(1)<<shift); err == nil && bytes < math.MaxInt64 {
		return int64(bytes), nil
	}
	return 0, model.Invalid("%q is more than any box has", s)
}

// ParseCPU reads a share of cores, "0.5" or "2", in thousandths.
func ParseCPU(s string) (int, error) {
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil {
		return 0, model.Invalid("%q is not a number of cores", s).WithHint("write 0.5 for half a core, 2 for two")
	}
	return milliCPU(n)
}

func milliCPU(cores float64) (int, error) {
	if !(cores >= 0.01 && cores <= 1024) {
		return 0, model.Invalid("%g is not a number of cores", cores).WithHint("choose 0.01 to 1024; leave cpu out for no limit")
	}
	return int(math.Round(cores * 1000)), nil
}
