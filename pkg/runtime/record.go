package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/pandabox/pandabox/pkg/model"
)

// leaseLife bounds how long what a crashed import left behind takes up space.
const leaseLife = 24 * time.Hour

// leaseOfStart is the value of labelLease on a lease that only making a container takes.
const leaseOfStart = "start"

// withLease runs fn with a lease that protects what it writes. When fn fails, all that nothing else refers to is
// removed before withLease returns.
func (r *Runtime) withLease(ctx context.Context, fn func(context.Context) error) error {
	ls := r.client.LeasesService()
	lease, err := ls.Create(ctx, leases.WithRandomID(), leases.WithExpiration(leaseLife), leases.WithLabel(labelLease, "1"))
	if err != nil {
		return fmt.Errorf("making a lease: %w", err)
	}
	err = fn(leases.WithLease(ctx, lease.ID))
	var opts []leases.DeleteOpt
	if err != nil {
		opts = append(opts, leases.SynchronousDelete)
	}
	end, cancel := cleanup(ctx)
	defer cancel()
	return errors.Join(err, ls.Delete(end, lease, opts...))
}

// keep turns content that is complete into an image of ours: it checks it, unpacks it, and records it. ctx carries a
// lease.
func (r *Runtime) keep(ctx context.Context, target ocispec.Descriptor) (*image, error) {
	if have, err := r.used(ctx, target.Digest.String()); err == nil {
		return have, nil
	}
	cs := r.client.ContentStore()
	target = ocispec.Descriptor{MediaType: target.MediaType, Digest: target.Digest, Size: target.Size}
	if err := checkWhole(ctx, cs, target); err != nil {
		return nil, err
	}
	label := images.SetChildrenMappedLabels(cs, images.ChildrenHandler(cs), nil)
	if err := images.Walk(ctx, label, target); err != nil {
		return nil, fmt.Errorf("labelling the image's content: %w", err)
	}
	have, err := r.describe(ctx, target)
	if err != nil {
		return nil, err
	}
	rec := images.Image{Name: have.digest, Target: target}
	unpack := containerd.NewImageWithPlatform(r.client, rec, platforms.All)
	if err := unpack.Unpack(ctx, snapshotter); err != nil {
		return nil, unpackFailure(err)
	}
	if have.user, err = r.inspect(ctx, have); err != nil {
		return nil, err
	}
	user, err := json.Marshal(have.user)
	if err != nil {
		return nil, fmt.Errorf("recording the image: %w", err)
	}
	rec.Labels = map[string]string{
		labelImage:     "1",
		labelImageUser: string(user),
		labelImageUsed: time.Now().UTC().Format(time.RFC3339),
	}
	if _, err := r.client.ImageService().Create(ctx, rec); err != nil && !errdefs.IsAlreadyExists(err) {
		return nil, fmt.Errorf("recording the image: %w", err)
	}
	r.images.Store(have.digest, have)
	return have, nil
}

// checkWhole refuses an image that is for another platform or lacks a part.
func checkWhole(ctx context.Context, cs content.Store, target ocispec.Descriptor) error {
	var manifest ocispec.Manifest
	if err := readJSON(ctx, cs, target, &manifest); err != nil {
		return incomplete(err)
	}
	var config ocispec.Image
	if err := readJSON(ctx, cs, manifest.Config, &config); err != nil {
		return incomplete(err)
	}
	if config.OS == "" || config.Architecture == "" {
		return malformed(nil).WithWhy("its configuration names no platform")
	}
	if p := platforms.Normalize(config.Platform); !platforms.Default().Match(p) {
		return wrongPlatform([]ocispec.Platform{p})
	}
	layers := 0
	for _, l := range manifest.Layers {
		if !images.IsLayerType(l.MediaType) {
			return malformed(nil).WithWhy("layer %s has the unknown type %q", short(l.Digest.String()), l.MediaType)
		}
		info, err := cs.Info(ctx, l.Digest)
		if err != nil {
			return incomplete(fmt.Errorf("layer %s: %w", l.Digest, err))
		}
		if info.Size != l.Size {
			return malformed(nil).WithWhy("layer %s has %d bytes, its manifest says %d", short(l.Digest.String()), info.Size, l.Size)
		}
		layers++
	}
	if layers != len(config.RootFS.DiffIDs) {
		return malformed(nil).WithWhy("its manifest has %d layers, its configuration %d", layers, len(config.RootFS.DiffIDs))
	}
	return nil
}

// inspect looks up the image's user and shell in its file system.
func (r *Runtime) inspect(ctx context.Context, img *image) (imageUser, error) {
	sn := r.client.SnapshotService(snapshotter)
	key := "inspect-" + digest.FromString(img.digest + time.Now().String()).Encoded()[:16]
	mounts, err := sn.View(ctx, key, img.chain, snapshots.WithLabels(map[string]string{labelContainer: key}))
	if err != nil {
		return imageUser{}, fmt.Errorf("looking into the image: %w", err)
	}
	defer func() {
		end, cancel := cleanup(ctx)
		defer cancel()
		if err := sn.Remove(end, key); err != nil && !errdefs.IsNotFound(err) {
			r.log.Warn().Err(err).Str("snapshot", key).Msg("removing a view of an image")
		}
	}()
	var out imageUser
	err = mount.WithReadonlyTempMount(ctx, mounts, func(root string) error {
		out.Shell, err = hasFile(root, "bin/sh")
		return err
	})
	if err != nil {
		return imageUser{}, fmt.Errorf("looking into the image: %w", err)
	}
	c := &containers.Container{ID: key, Snapshotter: snapshotter, SnapshotKey: key}
	s := &oci.Spec{Process: &specs.Process{}, Linux: &specs.Linux{}}
	user := img.config.User
	opts := []oci.SpecOpts{oci.WithAdditionalGIDs("root")}
	if user != "" {
		opts = []oci.SpecOpts{oci.WithUser(user), oci.WithAdditionalGIDs(user)}
	}
	if err := oci.ApplyOpts(ctx, r.client, c, s, opts...); err != nil {
		return imageUser{}, model.Invalid("the image's user %q cannot be used", user).
			WithHint("name a user and group that its /etc/passwd and /etc/group hold, or numbers").Wrap(err)
	}
	out.UID, out.GID, out.GIDs = s.Process.User.UID, s.Process.User.GID, s.Process.User.AdditionalGids
	return out, nil
}

// hasFile tells whether path is a file inside root, where symbolic links cannot lead out.
func hasFile(root, path string) (bool, error) {
	dir, err := os.Open(root)
	if err != nil {
		return false, err
	}
	defer func() { _ = dir.Close() }()
	fd, err := unix.Openat2(int(dir.Fd()), path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return false, nil
	case err != nil:
		return false, err
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, err
	}
	return st.Mode&unix.S_IFMT == unix.S_IFREG, nil
}

func malformed(err error) *model.Error {
	return model.Invalid("this is not an image that can be used").
		WithHint("make it with `docker save` or as an OCI layout in a tar archive").Wrap(err)
}

func incomplete(err error) error {
	if errdefs.IsNotFound(err) {
		return malformed(err).WithWhy("a part is missing, or its content is not what its digest says: %v", err)
	}
	return malformed(err)
}

func unpackFailure(err error) error {
	switch {
	case isNoSpace(err), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errdefs.IsUnavailable(err):
		return fmt.Errorf("unpacking the image: %w", err)
	case containsAny(err.Error(), "wrong diff id"):
		return malformed(err).WithWhy("a layer's content is not what the configuration says")
	}
	return malformed(err).WithWhy("a layer cannot be unpacked: %v", err)
}

func wrongPlatform(have []ocispec.Platform) error {
	var names string
	for i, p := range have {
		if i > 0 {
			names += ", "
		}
		names += platforms.Format(p)
	}
	box := platforms.Format(platforms.DefaultSpec())
	return model.Invalid("the image is for the wrong architecture").
		WithWhy("it is for %s, this box is %s", names, box).
		WithHint("build it with `docker build --platform %s`", box)
}

// cleanup returns a context for tidying up after ctx may have ended.
func cleanup(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
}

// cleanupTime bounds tidying up after something failed.
const cleanupTime = 20 * time.Second
