package runtime

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/pandabox/pandabox/pkg/model"
)

// labelBase marks the record of a base image.
const labelBase = "pandabox/base"

// AddBases keeps the images of an archive under the names it has for them, for builds to begin with. name, unless "", is
// for the one image of an archive. The same name again replaces what had it.
func (r *Runtime) AddBases(ctx context.Context, src io.Reader, name string) ([]model.BaseImage, error) {
	ctx, err := r.begin(ctx)
	if err != nil {
		return nil, err
	}
	var out []model.BaseImage
	err = r.withLease(ctx, func(ctx context.Context) error {
		return r.ingestAll(ctx, src, func(index ocispec.Index) error {
			named, err := r.namesOf(ctx, index, name)
			if err != nil {
				return err
			}
			for _, n := range named {
				one, err := r.keepBase(ctx, n.name, n.target)
				if err != nil {
					return err
				}
				out = append(out, one)
			}
			return nil
		})
	})
	if err != nil {
		return nil, failure(err, "cannot keep the base image")
	}
	return out, nil
}

type namedImage struct {
	name   string
	target ocispec.Descriptor
}

// namesOf returns an archive's images for this box with the names they will have; all are checked before any is kept.
func (r *Runtime) namesOf(ctx context.Context, index ocispec.Index, name string) ([]namedImage, error) {
	cs := r.client.ContentStore()
	var out []namedImage
	for _, desc := range index.Manifests {
		n := cmp.Or(name, desc.Annotations[images.AnnotationImageName])
		if ref := desc.Annotations[ocispec.AnnotationRefName]; n == "" && strings.ContainsAny(ref, ":/") { // else it is a tag of an image without a name
			n = ref
		}
		full, err := baseName(n)
		if err != nil {
			return nil, err
		}
		target, err := choose(ctx, cs, desc)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(o namedImage) bool { return o.name == full }) {
			return nil, model.Invalid("the archive has two images for the name %s", full).WithHint("save them one by one: docker save NAME")
		}
		out = append(out, namedImage{full, target})
	}
	if len(out) == 0 {
		return nil, malformed(nil).WithWhy("it holds no image")
	}
	return out, nil
}

// baseName returns the full name that FROM means by a short one.
func baseName(name string) (string, error) {
	if name == "" {
		return "", model.Invalid("the archive does not say what its image is called").WithHint("say it: pandabox build base add FILE --name golang:1.26")
	}
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", model.Invalid("%q is not the name of an image", name).Wrap(err).WithWhy("%s", err).WithHint("write it as in FROM: golang:1.26")
	}
	if _, pinned := ref.(reference.Digested); pinned {
		return "", model.Invalid("%q names an image by its digest", name).WithHint("give it a name and a tag: golang:1.26")
	}
	return reference.TagNameOnly(ref).String(), nil
}

func (r *Runtime) keepBase(ctx context.Context, name string, target ocispec.Descriptor) (model.BaseImage, error) {
	target.Annotations, target.Platform = nil, nil
	cs := r.client.ContentStore()
	if err := checkWhole(ctx, cs, target); err != nil {
		return model.BaseImage{}, err
	}
	// The labels are what keeps its layers from being collected.
	if err := images.Walk(ctx, images.SetChildrenMappedLabels(cs, images.ChildrenHandler(cs), nil), target); err != nil {
		return model.BaseImage{}, fmt.Errorf("labelling the image's content: %w", err)
	}
	if _, err := r.describe(ctx, target); err != nil {
		return model.BaseImage{}, err
	}
	rec := images.Image{Name: name, Target: target, Labels: map[string]string{labelBase: "true"}}
	made, err := r.client.ImageService().Create(ctx, rec)
	if errdefs.IsAlreadyExists(err) {
		made, err = r.client.ImageService().Update(ctx, rec)
	}
	if err != nil {
		return model.BaseImage{}, fmt.Errorf("recording %s: %w", name, err)
	}
	return r.base(ctx, made), nil
}

func (r *Runtime) base(ctx context.Context, rec images.Image) model.BaseImage {
	size, err := rec.Size(ctx, r.client.ContentStore(), platforms.Default())
	if err != nil {
		size = 0 // a part is missing: builds will say which
	}
	return model.BaseImage{Name: rec.Name, Digest: rec.Target.Digest.String(), Size: size, AddedAt: rec.UpdatedAt.UTC()}
}

// Bases returns the base images by name.
func (r *Runtime) Bases(ctx context.Context) ([]model.BaseImage, error) {
	ctx, err := r.begin(ctx)
	if err != nil {
		return nil, err
	}
	all, err := r.client.ImageService().List(ctx, `labels."`+labelBase+`"`)
	if err != nil {
		return nil, failure(err, "cannot list the base images")
	}
	out := make([]model.BaseImage, 0, len(all))
	for _, rec := range all {
		out = append(out, r.base(ctx, rec))
	}
	slices.SortFunc(out, func(a, b model.BaseImage) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// RemoveBase forgets a base image. What was built of it stays.
func (r *Runtime) RemoveBase(ctx context.Context, name string) error {
	full, err := baseName(name)
	if err != nil {
		return err
	}
	if ctx, err = r.begin(ctx); err != nil {
		return err
	}
	rec, err := r.client.ImageService().Get(ctx, full)
	if errdefs.IsNotFound(err) || err == nil && rec.Labels[labelBase] == "" {
		return model.NotFound("there is no base image %s", full).WithHint("see which there are: pandabox build base")
	}
	if err == nil {
		err = r.client.ImageService().Delete(ctx, full)
	}
	if err != nil {
		return failure(err, "cannot remove the base image")
	}
	return nil
}
