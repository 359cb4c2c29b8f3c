package runtime

import (
	"fmt"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"
)

// childConfig returns containerd's configuration: every path its own, nothing imported from the box.
func childConfig(c Config) ([]byte, error) {
	dir := c.engineDir()
	b, err := toml.Marshal(map[string]any{
		"version": 4,
		"imports": []string{},
		"root":    filepath.Join(dir, "root"),
		"state":   filepath.Join(c.RunDir, "containerd"),
		"temp":    filepath.Join(dir, "tmp"),
		"debug":   map[string]any{"level": "warn", "format": "json"},
		"plugins": map[string]any{
			"io.containerd.server.v1.grpc":  map[string]any{"address": c.socket()},
			"io.containerd.server.v1.ttrpc": map[string]any{"address": c.socket() + ".ttrpc"},
			"io.containerd.shim.v1.manager": map[string]any{"socket_dir": filepath.Join(c.RunDir, "s")},
			"io.containerd.internal.v1.opt": map[string]any{"path": filepath.Join(dir, "opt")},
			"io.containerd.gc.v1.scheduler": map[string]any{"startup_delay": "10s"},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("writing containerd's configuration: %w", err)
	}
	return b, nil
}
