package manifest

import "testing"

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{
		"256MB": 256 << 20, "256MiB": 256 << 20, "256m": 256 << 20, "1.5GB": 3 << 29, " 1 gib ": 1 << 30, "64K": 64 << 10, "10B": 10, "2T": 2 << 40,
	} {
		if got, err := ParseSize(in); err != nil || got != want {
			t.Errorf("%q: got %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "256", "MB", "-1MB", "1e9MB", "1PB", "1 MB 2", "99999999999999TB", "i", "1I"} {
		if got, err := ParseSize(in); err == nil {
			t.Errorf("%q was accepted as %d", in, got)
		}
	}
}

func TestParseCPU(t *testing.T) {
	for in, want := range map[string]int{"0.5": 500, "2": 2000, " 0.01 ": 10, "1.2345": 1235} {
		if got, err := ParseCPU(in); err != nil || got != want {
			t.Errorf("%q: got %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "0", "-1", "NaN", "inf", "1025", "half"} {
		if got, err := ParseCPU(in); err == nil {
			t.Errorf("%q was accepted as %d", in, got)
		}
	}
}

func TestNearest(t *testing.T) {
	keys := []string{"command", "port", "health", "scale", "stop_grace"}
	for in, want := range map[string]string{"comand": "command", "prot": "port", "scael": "scale", "flavour": "", "healthcheck": "", "Port": "port", "com": "command", "x": "", "": ""} {
		if got := Nearest(in, keys); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
