package runtimetest

import (
	"context"
	"io"
	"slices"

	"github.com/pandabox/pandabox/pkg/model"
)

// Ensure finds an image by digest, else by a reference given to AddRemote.
func (f *Fake) Ensure(ctx context.Context, img model.Image, progress func(percent int, detail string)) (model.Image, error) {
	if err := ctx.Err(); err != nil {
		return model.Image{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return model.Image{}, f.down
	}
	digest := img.Digest
	if _, ok := f.images[digest]; !ok {
		if img.Ref == "" {
			return model.Image{}, model.NotFound("image %s is not on this box", digest).WithHint("deploy it again")
		}
		remote, ok := f.remote[img.Ref]
		if !ok || digest != "" && digest != remote {
			return model.Image{}, model.NotFound("there is no image %s", img.Ref).WithHint("check its name and tag")
		}
		digest = remote
		if _, ok := f.images[digest]; !ok {
			f.images[digest] = complete(model.Image{Ref: img.Ref, Digest: digest})
		}
	}
	if progress != nil {
		progress(100, "done")
	}
	have := f.images[digest]
	return model.Image{Ref: img.Ref, Digest: digest, Config: have.Config}, nil
}

// Import reads everything and makes an image named after its content.
func (f *Fake) Import(_ context.Context, r io.Reader) (model.Image, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return model.Image{}, model.Errorf(model.KindCanceled, "the image was not sent to its end").Wrap(err)
	}
	return f.AddImage(model.Image{Digest: digestOf(b)}), nil
}

// Reclaim forgets images that are neither kept nor behind a container.
func (f *Fake) Reclaim(_ context.Context, keep model.Keep) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return f.down
	}
	used := slices.Clone(keep.Images)
	for _, c := range f.containers {
		used = append(used, c.spec.Image)
	}
	for d := range f.images {
		if !slices.Contains(used, d) {
			delete(f.images, d)
		}
	}
	return nil
}

// Forget notes the workload; see Forgotten.
func (f *Fake) Forget(_ context.Context, workloadID string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return f.down
	}
	for _, c := range f.containers {
		if c.Replica.WorkloadID == workloadID {
			return model.Conflict("container %s still uses the volumes", c.Name)
		}
	}
	f.forgotten = append(f.forgotten, workloadID)
	return nil
}
