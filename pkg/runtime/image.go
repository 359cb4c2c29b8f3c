package runtime

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/pandabox/pandabox/pkg/model"
)

const snapshotter = "overlayfs"

// image is an image that is on the box, unpacked: all that a container needs of it. It never changes.
type image struct {
	digest string // of the manifest, and the name of the record
	chain  string // the snapshot of its file system
	config ocispec.ImageConfig
	user   imageUser
}

// imageUser is what had to be looked up inside the image.
type imageUser struct {
	UID   uint32   `json:"uid"`
	GID   uint32   `json:"gid"`
	GIDs  []uint32 `json:"gids,omitempty"`
	Shell bool     `json:"shell,omitempty"` // /bin/sh is there
}

// Ensure makes sure an image is on the box, unpacked. With a digest that is present it does no network traffic;
// otherwise it resolves and pulls Ref. It fills Digest and Config. progress may be nil; it is called from one
// goroutine, with 0 to 100.
func (r *Runtime) Ensure(ctx context.Context, img model.Image, progress func(percent int, detail string)) (model.Image, error) {
	ctx, err := r.begin(ctx)
	if err != nil {
		return model.Image{}, err
	}
	if progress == nil {
		progress = func(int, string) {}
	}
	pinned := img.Digest
	if pinned == "" { // a reference by digest may be here already
		_, pinned, _ = strings.Cut(img.Ref, "@")
	}
	if pinned != "" {
		have, err := r.used(ctx, pinned)
		switch {
		case err == nil:
			img.Digest, img.Config = pinned, have.model()
			return img, nil
		case model.KindOf(err) != model.KindNotFound:
			return model.Image{}, err
		case img.Ref == "":
			return model.Image{}, err
		}
	}
	have, err := r.pull(ctx, img, progress)
	if err != nil {
		return model.Image{}, failure(err, "cannot pull %s", img.Ref)
	}
	return model.Image{Ref: img.Ref, Digest: have.digest, Config: have.model()}, nil
}

// used returns an image that is present, and notes that somebody asked for it.
func (r *Runtime) used(ctx context.Context, dgst string) (*image, error) {
	r.keeping.RLock()
	defer r.keeping.RUnlock()
	have, err := r.image(ctx, dgst)
	if err == nil {
		r.touch(ctx, dgst)
	}
	return have, err
}

// image returns an image that is present.
func (r *Runtime) image(ctx context.Context, dgst string) (*image, error) {
	if have, ok := r.images.Load(dgst); ok {
		return have.(*image), nil
	}
	rec, err := r.client.ImageService().Get(ctx, dgst)
	if errdefs.IsNotFound(err) {
		return nil, model.NotFound("image %s is not on this box", short(dgst)).WithHint("deploy it again")
	}
	if err != nil {
		return nil, failure(err, "cannot look up image %s", short(dgst))
	}
	have, err := r.describe(ctx, rec.Target)
	if err != nil {
		return nil, failure(err, "cannot read image %s", short(dgst))
	}
	if err := json.Unmarshal([]byte(rec.Labels[labelImageUser]), &have.user); err != nil {
		return nil, fmt.Errorf("reading the labels of image %s: %w", dgst, err)
	}
	r.images.Store(dgst, have)
	return have, nil
}

// describe reads the manifest and configuration of an image.
func (r *Runtime) describe(ctx context.Context, target ocispec.Descriptor) (*image, error) {
	cs := r.client.ContentStore()
	manifest, err := images.Manifest(ctx, cs, target, platforms.Default())
	if err != nil {
		return nil, fmt.Errorf("reading the manifest: %w", err)
	}
	var config ocispec.Image
	if err := readJSON(ctx, cs, manifest.Config, &config); err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return &image{
		digest: target.Digest.String(),
		chain:  identity.ChainID(config.RootFS.DiffIDs).String(),
		config: config.Config,
	}, nil
}

// touch notes that somebody asked for the image, which keeps it from being reclaimed for a while.
func (r *Runtime) touch(ctx context.Context, dgst string) {
	rec := images.Image{Name: dgst, Labels: map[string]string{labelImageUsed: time.Now().UTC().Format(time.RFC3339)}}
	if _, err := r.client.ImageService().Update(ctx, rec, "labels."+labelImageUsed); err != nil {
		r.log.Warn().Err(err).Str("image", dgst).Msg("noting that an image is used")
	}
}

func (i *image) model() *model.ImageConfig {
	c := &model.ImageConfig{
		Entrypoint: i.config.Entrypoint,
		Cmd:        i.config.Cmd,
		User:       i.config.User,
		Shell:      i.user.Shell,
	}
	for p := range i.config.ExposedPorts {
		number, proto, _ := strings.Cut(p, "/")
		if n, err := strconv.Atoi(number); err == nil && (proto == "" || proto == "tcp") {
			c.Ports = append(c.Ports, n)
		}
	}
	slices.Sort(c.Ports)
	return c
}

// readJSON reads a small blob.
func readJSON(ctx context.Context, cs content.Provider, desc ocispec.Descriptor, into any) error {
	b, err := content.ReadBlob(ctx, cs, desc)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

// short returns the beginning of a digest, as people see it.
func short(dgst string) string {
	d := digest.Digest(dgst)
	if d.Validate() != nil {
		return strconv.Quote(dgst)
	}
	return d.Encoded()[:12]
}

func containsAny(s string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(s, p) })
}
