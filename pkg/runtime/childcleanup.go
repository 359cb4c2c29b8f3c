package runtime

import (
	"fmt"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/plugin"
)

// cleanupPlugin makes containerd remove, each time it starts, directories of snapshots it has no record of. A kill
// between making such a directory and committing its record leaves one behind, under the number that the next snapshot
// will have: no container could be made any more until something else happened to be collected.
func cleanupPlugin() *plugin.Registration {
	return &plugin.Registration{
		Type:     plugins.InternalPlugin,
		ID:       "pandabox-cleanup",
		Requires: []plugin.Type{plugins.SnapshotPlugin},
		InitFn: func(ic *plugin.InitContext) (any, error) {
			sn, err := ic.GetByID(plugins.SnapshotPlugin, snapshotter)
			if err != nil {
				return nil, err
			}
			cleaner, ok := sn.(snapshots.Cleaner)
			if !ok {
				return nil, fmt.Errorf("the snapshotter %s cannot clean up: %w", snapshotter, plugin.ErrSkipPlugin)
			}
			if err := cleaner.Cleanup(ic.Context); err != nil {
				return nil, fmt.Errorf("removing directories of no snapshot: %w", err)
			}
			return struct{}{}, nil
		},
	}
}
