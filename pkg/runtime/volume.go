package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pandabox/pandabox/pkg/model"
)

// Forget removes a deleted workload's volumes and logs. Its containers must be gone.
func (r *Runtime) Forget(ctx context.Context, workloadID string) error {
	if workloadID == "" || filepath.Base(workloadID) != workloadID || workloadID == "." || workloadID == ".." {
		return fmt.Errorf("forgetting workload %q: not an id", workloadID)
	}
	all, err := r.List(ctx)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.Replica.WorkloadID == workloadID {
			return model.Conflict("container %s still uses the volumes", c.Name)
		}
	}
	if err := errors.Join(os.RemoveAll(r.cfg.volumeDir(workloadID, "")), os.RemoveAll(r.cfg.logDir(workloadID))); err != nil {
		return failure(err, "cannot remove the volumes and logs of %s", workloadID)
	}
	return nil
}

// makeVolumes makes the directories of volumes that are not there yet, owned by the image's user. Their files carry
// the ids the app sees, whatever those are mapped to while it runs.
func (r *Runtime) makeVolumes(spec model.ContainerSpec, user imageUser) error {
	for _, m := range spec.Mounts {
		dir := r.cfg.volumeDir(spec.Replica.WorkloadID, m.Volume)
		if err := makeDirs(filepath.Dir(dir)); err != nil {
			return err
		}
		err := os.Mkdir(dir, 0o755)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err == nil {
			err = errors.Join(os.Chmod(dir, 0o755), os.Chown(dir, int(user.UID), int(user.GID)))
		}
		if err != nil {
			return fmt.Errorf("making volume %s: %w", m.Volume, err)
		}
	}
	return nil
}

func (r *Runtime) volumeMounts(spec model.ContainerSpec) []specs.Mount {
	var out []specs.Mount
	for _, m := range spec.Mounts {
		out = append(out, specs.Mount{
			Destination: m.Path, Type: "bind", Source: r.cfg.volumeDir(spec.Replica.WorkloadID, m.Volume),
			Options: []string{"bind", "rw", "nosuid", "nodev"},
		})
	}
	return out
}
