package control

import (
	"path"
	"strings"

	"github.com/pandabox/pandabox/pkg/model"
)

// checkVolumes refuses volumes that cannot be mounted, or not together.
func checkVolumes(ms []model.Mount) error {
	if len(ms) > MaxVolumes {
		return model.Invalid("the app has %d volumes", len(ms)).WithHint("at most %d can be in one app", MaxVolumes)
	}
	names, paths := map[string]bool{}, map[string]bool{}
	for _, m := range ms {
		if err := model.CheckName("volume", m.Volume); err != nil {
			return err
		}
		if err := checkMountPath(m); err != nil {
			return err
		}
		if names[m.Volume] {
			return model.Invalid("volume %s is mounted twice", m.Volume).WithHint("give each volume a name of its own")
		}
		if paths[m.Path] {
			return model.Invalid("two volumes are mounted on %s", m.Path).WithHint("give each volume a path of its own")
		}
		names[m.Volume], paths[m.Path] = true, true
	}
	return nil
}

func checkMountPath(m model.Mount) error {
	bad := func(why string) error {
		return model.Invalid("volume %s cannot be mounted on %q", m.Volume, m.Path).WithWhy("%s", why).WithHint("choose a path like /storage")
	}
	switch {
	case !path.IsAbs(m.Path) || path.Clean(m.Path) != m.Path:
		return bad("the path must begin with / and hold no . or .. or double or final /")
	case m.Path == "/":
		return bad("it is the root of the container")
	case strings.ContainsAny(m.Path, "\x00\n:,") || len(m.Path) > 255:
		return bad("the path is longer than 255 bytes or holds a character that cannot be in it")
	}
	for _, kept := range []string{"/proc", "/sys", "/dev", "/etc/resolv.conf", "/etc/hosts", "/etc/hostname"} {
		if m.Path == kept || strings.HasPrefix(m.Path, kept+"/") {
			return bad(kept + " belongs to the system")
		}
	}
	return nil
}
