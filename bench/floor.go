package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	runcopts "github.com/containerd/containerd/api/types/runc/options"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

// deployVsFloor compares a deploy of an image that is on the box, from the call to the first answer of the new release,
// with the floor: containerd alone makes and starts a container of the same image, until its port answers.
func deployVsFloor(ctx context.Context, s *setup) (_ result, err error) {
	b, err := s.serving(ctx, 1)
	if err != nil {
		return result{}, err
	}
	defer b.end(ctx, &err)
	img, err := b.upload(ctx, s.archive)
	if err != nil {
		return result{}, err
	}
	f, err := newFloor(ctx, b, s.archive)
	if err != nil {
		return result{}, err
	}
	defer f.close(ctx, &err)
	w := watch(ctx, b.HTTP, host(0), 2*time.Millisecond)
	defer w.stop()
	if _, err := w.after(ctx, ""); err != nil {
		return result{}, err
	}
	phases := map[model.DeployState][]float64{}
	deploy := func() (time.Duration, error) {
		old := w.current()
		began := time.Now()
		if err := b.deploy(ctx, "app", plan(img)); err != nil {
			return 0, err
		}
		seen, err := w.after(ctx, old.id)
		if err != nil {
			return 0, err
		}
		return seen.at.Sub(began), b.addPhases(ctx, began, phases)
	}
	var ratios, ours, floors []float64
	for i := range s.times(15) + 1 {
		d, l, err := inTurn(i, deploy, func() (time.Duration, error) { return f.once(ctx, i) })
		if err != nil {
			return result{}, err
		}
		if i > 0 {
			ours, floors = append(ours, ms(d)), append(floors, ms(l))
			ratios = append(ratios, float64(d)/float64(l))
		}
	}
	detail := fmt.Sprintf("deploy %.0f ms, floor %.0f ms; ms after the call:", median(ours), median(floors))
	for _, p := range []model.DeployState{model.DeployPending, model.DeployPulling, model.DeployStarting, model.DeployDraining} {
		if len(phases[p]) > 0 {
			detail += fmt.Sprintf(" %s %.0f", p, median(phases[p]))
		}
	}
	return result{value: median(ratios), detail: detail}, nil
}

// addPhases adds when each phase of the newest deploy began, in ms after the call that asked for it.
func (b *bench) addPhases(ctx context.Context, began time.Time, to map[model.DeployState][]float64) error {
	l, err := b.Deploys(ctx, client.Ref{App: "app"}, api.Page{Limit: 1})
	if err != nil {
		return fmt.Errorf("looking at the deploy: %w", err)
	}
	for _, d := range l.Items {
		to[model.DeployPending] = append(to[model.DeployPending], ms(d.CreatedAt.Sub(began)))
		for _, p := range d.Phases {
			to[p.State] = append(to[p.State], ms(p.Began.Sub(began)))
		}
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// floor is the box's own containerd, used directly in a namespace that pandabox does not look at.
type floor struct {
	client *containerd.Client
	image  containerd.Image
	shim   string
	opts   *runcopts.Options
}

const floorNamespace = "bench"

func newFloor(ctx context.Context, b *bench, archive string) (_ *floor, err error) {
	c, err := containerd.New(filepath.Join(b.RunDir, "containerd.sock"), containerd.WithDefaultNamespace(floorNamespace),
		containerd.WithDefaultPlatform(platforms.Default()))
	if err != nil {
		return nil, fmt.Errorf("reaching containerd: %w", err)
	}
	f := &floor{client: c}
	defer func() {
		if err != nil {
			f.close(ctx, &err)
		}
	}()
	shims, err := filepath.Glob(filepath.Join(b.DataDir, "parts", "*", "shim"))
	if err != nil || len(shims) != 1 {
		return nil, fmt.Errorf("looking for the shim: %d found, %w", len(shims), err)
	}
	f.shim = shims[0]
	f.opts = &runcopts.Options{BinaryName: filepath.Join(filepath.Dir(f.shim), "runc"), Root: filepath.Join(b.RunDir, "bench-runc")}
	tar, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tar.Close() }()
	ctx = namespaces.WithNamespace(ctx, floorNamespace)
	images, err := c.Import(ctx, tar, containerd.WithDigestRef(func(d digest.Digest) string { return "bench@" + d.String() }))
	if err != nil || len(images) == 0 {
		return nil, fmt.Errorf("importing the image: %d found, %w", len(images), err)
	}
	f.image = containerd.NewImage(c, images[0])
	if err := f.image.Unpack(ctx, "overlayfs"); err != nil {
		return nil, fmt.Errorf("unpacking the image: %w", err)
	}
	return f, nil
}

// once makes and starts a container on the host's network and returns the time until its port answers; then it removes
// the container.
func (f *floor) once(ctx context.Context, i int) (took time.Duration, err error) {
	ctx = namespaces.WithNamespace(ctx, floorNamespace)
	addr, err := freeAddr()
	if err != nil {
		return 0, err
	}
	name := fmt.Sprintf("floor-%d", i)
	began := time.Now()
	c, err := f.client.NewContainer(ctx, name,
		containerd.WithNewSnapshot(name, f.image),
		containerd.WithNewSpec(oci.WithImageConfig(f.image), oci.WithHostNamespace("network"), oci.WithEnv([]string{"PORT=" + port(addr)})),
		containerd.WithRuntime(f.shim, f.opts))
	if err != nil {
		return 0, fmt.Errorf("making a container: %w", err)
	}
	end := context.WithoutCancel(ctx)
	defer func() { err = errors.Join(err, c.Delete(end, containerd.WithSnapshotCleanup)) }()
	task, err := c.NewTask(ctx, cio.NullIO)
	if err != nil {
		return 0, fmt.Errorf("making a task: %w", err)
	}
	defer func() {
		if _, derr := task.Delete(end, containerd.WithProcessKill); derr != nil && !errdefs.IsNotFound(derr) {
			err = errors.Join(err, derr)
		}
	}()
	if err := task.Start(ctx); err != nil {
		return 0, fmt.Errorf("starting a task: %w", err)
	}
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			took = time.Since(began)
			return took, conn.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return 0, err
		}
		select {
		case <-limit.Done():
			return 0, fmt.Errorf("the container never answered: %w", limit.Err())
		case <-time.After(time.Millisecond):
		}
	}
}

func (f *floor) close(ctx context.Context, err *error) {
	end := namespaces.WithNamespace(context.WithoutCancel(ctx), floorNamespace)
	if f.image != nil {
		*err = errors.Join(*err, f.client.ImageService().Delete(end, f.image.Name()))
	}
	*err = errors.Join(*err, f.client.Close())
}
