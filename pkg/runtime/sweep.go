package runtime

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
)

// sweep removes what operations cut short by a crash left: snapshots and files of no container, leases, old parts. Nothing
// else may be under way. What fails is tried again at the next start.
func (r *Runtime) sweep(ctx context.Context, all []found) {
	have := make(map[string]bool, len(all))
	for _, c := range all {
		have[c.Name], have[idOf(c.Name)] = true, true
	}
	if err := r.sweepSnapshots(ctx, have); err != nil {
		r.log.Warn().Err(err).Msg("removing file systems of no container")
	}
	if err := r.sweepLeases(ctx); err != nil {
		r.log.Warn().Err(err).Msg("removing leases of imports cut short")
	}
	entries, err := os.ReadDir(r.cfg.etcDir())
	if err != nil {
		r.log.Warn().Err(err).Msg("removing files of no container")
	}
	for _, e := range entries {
		if !have[e.Name()] {
			_ = os.RemoveAll(filepath.Join(r.cfg.etcDir(), e.Name()))
		}
	}
	r.sweepMountPoints()
	used := func(dir string) bool {
		for _, c := range all {
			if strings.HasPrefix(c.runtime, dir+"/") {
				return true
			}
		}
		return runningFrom(dir)
	}
	if err := removeUnusedParts(r.cfg.partsDir(), r.parts.Dir, used); err != nil {
		r.log.Warn().Err(err).Msg("removing parts of older versions")
	}
}

// sweepMountPoints removes directories where shims that were killed had layers mounted. One that is in use is busy.
func (r *Runtime) sweepMountPoints() {
	for _, pattern := range []string{"ovl-idmapped*/*", "ovl-idmapped*"} {
		dirs, _ := filepath.Glob(filepath.Join(r.cfg.engineDir(), "tmp", pattern))
		for _, d := range dirs {
			_ = os.Remove(d)
		}
	}
}

func (r *Runtime) sweepSnapshots(ctx context.Context, have map[string]bool) error {
	sn := r.client.SnapshotService(snapshotter)
	var orphans []string
	err := sn.Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		name, ours := info.Labels[labelContainer]
		unpacking := info.Kind == snapshots.KindActive && strings.HasPrefix(info.Name, "extract-") // as containerd's client names it
		if ours && !have[name] || unpacking {
			orphans = append(orphans, info.Name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range orphans {
		if err := sn.Remove(ctx, key); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// sweepLeases ends the leases of imports and pulls; what they wrote is then collected.
func (r *Runtime) sweepLeases(ctx context.Context) error {
	ls := r.client.LeasesService()
	all, err := ls.List(ctx, `labels."`+labelLease+`"`)
	if err != nil {
		return err
	}
	for _, l := range all {
		if err := ls.Delete(ctx, l, leases.SynchronousDelete); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
	}
	return nil
}
