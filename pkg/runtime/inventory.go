package runtime

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/snapshots"
)

// Inventory lists everything containerd holds for us, one line each: "container NAME", "image DIGEST" and so on. It is
// for looking into trouble, and for tests that nothing stays.
func (r *Runtime) Inventory(ctx context.Context) ([]string, error) {
	ctx, err := r.begin(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	containers, err := r.client.ContainerService().List(ctx)
	if err != nil {
		return nil, failure(err, "cannot list containers")
	}
	for _, c := range containers {
		add("container %s", c.ID)
	}
	running, err := r.client.TaskService().List(ctx, &tasks.ListTasksRequest{})
	if err != nil {
		return nil, failure(err, "cannot list tasks")
	}
	for _, t := range running.Tasks {
		add("task %s (%s)", t.ID, t.Status)
	}
	images, err := r.client.ImageService().List(ctx)
	if err != nil {
		return nil, failure(err, "cannot list images")
	}
	for _, i := range images {
		add("image %s", i.Name)
	}
	leases, err := r.client.LeasesService().List(ctx)
	if err != nil {
		return nil, failure(err, "cannot list leases")
	}
	for _, l := range leases {
		add("lease %s", l.ID)
	}
	err = r.client.SnapshotService(snapshotter).Walk(ctx, func(_ context.Context, i snapshots.Info) error {
		add("snapshot %s", i.Name)
		return nil
	})
	if err != nil {
		return nil, failure(err, "cannot list snapshots")
	}
	err = r.client.ContentStore().Walk(ctx, func(i content.Info) error {
		add("content %s", i.Digest)
		return nil
	})
	if err != nil {
		return nil, failure(err, "cannot list content")
	}
	open, err := r.client.ContentStore().ListStatuses(ctx, "")
	if err != nil {
		return nil, failure(err, "cannot list unfinished writes")
	}
	for _, s := range open {
		add("unfinished write %s", s.Ref)
	}
	return out, nil
}
