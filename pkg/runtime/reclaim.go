package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"

	"github.com/pandabox/pandabox/pkg/model"
)

// Reclaim removes images that pandabox brought here and nobody needs: not in keep, not behind a container, and not
// asked for within Config.ImageGrace. What they were made of goes with them. It also removes networks of environments
// that are gone. What pandabox did not make is never touched.
func (r *Runtime) Reclaim(ctx context.Context, keep model.Keep) error {
	ctx, err := r.begin(ctx)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, d := range keep.Images {
		wanted[d] = true
	}
	// Images first: a container started meanwhile has asked for its image, which is then young, or holds its snapshot.
	all, err := r.client.ImageService().List(ctx, `labels."`+labelImage+`"`)
	if err != nil {
		return failure(err, "cannot list the images")
	}
	records, err := r.client.ContainerService().List(ctx)
	if err != nil {
		return failure(err, "cannot list the containers")
	}
	for _, c := range records {
		wanted[c.Image] = true
	}
	var errs []error
	for _, img := range all {
		if wanted[img.Name] || time.Since(lastUsed(img)) < r.cfg.ImageGrace {
			continue
		}
		r.images.Delete(img.Name)
		if err := r.client.ImageService().Delete(ctx, img.Name, images.SynchronousDelete()); err != nil && !errdefs.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("removing image %s: %w", img.Name, err))
			continue
		}
		r.log.Info().Str("image", img.Name).Msg("removed an unused image")
	}
	if err := r.net.Reclaim(ctx, keep.Environments); err != nil {
		errs = append(errs, fmt.Errorf("removing unused networks: %w", err))
	}
	return failure(errors.Join(errs...), "cannot free all the space")
}

func lastUsed(img images.Image) time.Time {
	if t, err := time.Parse(time.RFC3339, img.Labels[labelImageUsed]); err == nil {
		return t
	}
	return img.UpdatedAt
}
