package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// kept is what is on the disk of a function that was started.
type kept struct {
	Spec    model.ContainerSpec
	Started time.Time
}

// specFile is the name of the sealed kept in a function's directory.
const specFile = "spec"

// nameForm is what a replica's name looks like; it is also the name of a directory.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$`)

// readAll reads every function that was started. What was half written by a crash is removed; so is what cannot be
// opened, with a line in the log: the controller, which misses it then, starts it again.
func (h *Host) readAll(ctx context.Context) (map[string]*function, error) {
	entries, err := os.ReadDir(h.cfg.functionsDir())
	if err != nil {
		return nil, fmt.Errorf("reading the functions: %w", err)
	}
	found := map[string]*function{}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		name, path := e.Name(), filepath.Join(h.cfg.functionsDir(), e.Name())
		if path == h.cfg.cacheDir() {
			continue
		}
		if strings.HasPrefix(name, ".") {
			if err := os.RemoveAll(path); err != nil {
				return nil, fmt.Errorf("removing what a crash left: %w", err)
			}
			continue
		}
		k, err := h.readSpec(name)
		if err != nil {
			h.cfg.Logger.Warn().Err(err).Str("function", name).Msg("a started function cannot be read and is removed")
			if err := os.RemoveAll(path); err != nil {
				return nil, fmt.Errorf("removing a function: %w", err)
			}
			continue
		}
		found[name] = h.newFunction(k)
	}
	return found, nil
}

func (h *Host) readSpec(name string) (kept, error) {
	sealed, err := os.ReadFile(filepath.Join(h.cfg.functionsDir(), name, specFile))
	if err != nil {
		return kept{}, err
	}
	plain, err := h.cfg.Open(sealed)
	if err != nil {
		return kept{}, fmt.Errorf("opening it: %w", err)
	}
	var k kept
	if err := json.Unmarshal(plain, &k); err != nil {
		return kept{}, fmt.Errorf("reading it: %w", err)
	}
	if k.Spec.Name != name || k.Spec.Function == nil {
		return kept{}, fmt.Errorf("it is that of %q", k.Spec.Name)
	}
	return k, nil
}

// writeSpec puts a function on the disk: it is there whole or not at all.
func (h *Host) writeSpec(k kept) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("writing the function: %w", err)
		}
	}()
	plain, err := json.Marshal(k)
	if err != nil {
		return err
	}
	sealed, err := h.cfg.Seal(plain)
	if err != nil {
		return err
	}
	half, err := os.MkdirTemp(h.cfg.functionsDir(), ".half-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(half)
		}
	}()
	if err := writeSynced(filepath.Join(half, specFile), sealed); err != nil {
		return err
	}
	if err := syncDir(half); err != nil {
		return err
	}
	dir := filepath.Join(h.cfg.functionsDir(), k.Spec.Name)
	if err := os.RemoveAll(dir); err != nil { // what is there is no function: Start looked
		return err
	}
	if err := os.Rename(half, dir); err != nil {
		return err
	}
	return syncDir(h.cfg.functionsDir())
}

// removeSpec takes a function off the disk.
func (h *Host) removeSpec(name string) error {
	if err := os.RemoveAll(filepath.Join(h.cfg.functionsDir(), name)); err != nil {
		return fmt.Errorf("removing the function: %w", err)
	}
	return syncDir(h.cfg.functionsDir())
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}
