package runtime

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pandabox/pandabox/pkg/model"
)

// makeEtc writes the container's resolv.conf and a hosts file that fillHosts completes.
func (r *Runtime) makeEtc(spec model.ContainerSpec) (string, error) {
	dir := filepath.Join(r.cfg.etcDir(), idOf(spec.Name))
	if err := makeDirs(dir); err != nil {
		return "", err
	}
	files := map[string][]byte{
		"hosts":       []byte("127.0.0.1\tlocalhost\n"),
		"hostname":    []byte(hostname(spec.Replica) + "\n"),
		"resolv.conf": r.net.ResolvConf(spec.Replica.EnvID),
	}
	for name, content := range files {
		// No sync: after a crash of the box the container is made anew.
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return "", fmt.Errorf("writing /etc/%s of %s: %w", name, spec.Name, err)
		}
	}
	return dir, nil
}

// fillHosts adds the container's own name, once its address is known.
func fillHosts(dir string, addr netip.Addr, host string) error {
	content := fmt.Sprintf("127.0.0.1\tlocalhost\n%s\t%s\n", addr, host)
	if err := os.WriteFile(filepath.Join(dir, "hosts"), []byte(content), 0o644); err != nil {
		return fmt.Errorf("writing /etc/hosts: %w", err)
	}
	return nil
}

func etcMounts(dir string) []specs.Mount {
	var out []specs.Mount
	for _, name := range []string{"hosts", "hostname", "resolv.conf"} {
		out = append(out, specs.Mount{
			Destination: "/etc/" + name, Type: "bind", Source: filepath.Join(dir, name),
			Options: []string{"bind", "ro", "nosuid", "nodev", "noexec"},
		})
	}
	return out
}
