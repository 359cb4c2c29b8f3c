package daemon

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestDefaultBaseDomain(t *testing.T) {
	for _, c := range []struct{ addrs, want string }{
		{"127.0.0.1 ::1", "pandabox.localhost"},
		{"192.168.1.5 10.0.0.1 172.16.3.4", "pandabox.localhost"},
		{"192.0.2.2 100.64.1.1 169.254.1.1", "pandabox.localhost"},
		{"127.0.0.1 10.0.0.3 93.184.216.34", "93-184-216-34.sslip.io"},
	} {
		var addrs []netip.Addr
		for _, a := range strings.Fields(c.addrs) {
			addrs = append(addrs, netip.MustParseAddr(a))
		}
		if got := defaultBaseDomain(addrs); got != c.want {
			t.Errorf("%s: got %s, want %s", c.addrs, got, c.want)
		}
	}
}

func TestConfigRefused(t *testing.T) {
	for name, c := range map[string]struct {
		config Config
		want   string
	}{
		"long run_dir": {Config{RunDir: "/run/" + strings.Repeat("x", MaxRunDir)}, "107 bytes"},
		"subnet":       {Config{Subnet: "8.8.0.0/16"}, "subnet"},
		"small subnet": {Config{Subnet: "10.0.0.0/24"}, "subnet"},
		"address":      {Config{HTTPAddr: "443"}, "http_addr"},
		"base domain":  {Config{BaseDomain: "box"}, "not a domain"},
		"log level":    {Config{LogLevel: "loud"}, "log_level"},
	} {
		_, err := c.config.complete()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v", name, err)
		}
		if model.KindOf(err) != model.KindInvalid {
			t.Errorf("%s: kind %s", name, model.KindOf(err))
		}
	}
}

func TestLoadConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	if c, err := LoadConfig(file); err != nil || c.DataDir != "" {
		t.Fatalf("no file: %v, %v", c, err)
	}
	if err := os.WriteFile(file, []byte("data_dir = \"/srv\"\n[acme]\nemail = \"a@b.c\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := LoadConfig(file); err != nil || c.DataDir != "/srv" || c.ACME.Email != "a@b.c" {
		t.Fatalf("got %+v, %v", c, err)
	}
	if err := os.WriteFile(file, []byte("data_dir = \"/srv\"\nbase = \"x\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadConfig(file); err == nil || !strings.Contains(err.Error(), `line 2, column 1: there is no key "base"`) {
		t.Fatalf("unknown key: %v", err)
	}
}
