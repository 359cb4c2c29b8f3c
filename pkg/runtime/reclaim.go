package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"
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
		if err := r.drop(ctx, img.Name); err != nil {
			errs = append(errs, fmt.Errorf("removing image %s: %w", img.Name, err))
		}
	}
	errs = append(errs, r.endLeases(ctx), r.collect(ctx))
	if err := r.net.Reclaim(ctx, keep.Environments); err != nil {
		errs = append(errs, fmt.Errorf("removing unused networks: %w", err))
	}
	return failure(errors.Join(errs...), "cannot free all the space")
}

// drop removes an image's record, unless somebody has asked for it meanwhile.
func (r *Runtime) drop(ctx context.Context, dgst string) error {
	r.keeping.Lock()
	defer r.keeping.Unlock()
	img, err := r.client.ImageService().Get(ctx, dgst)
	if errdefs.IsNotFound(err) || err == nil && time.Since(lastUsed(img)) < r.cfg.ImageGrace {
		return nil
	}
	if err == nil {
		r.images.Delete(dgst)
		err = r.client.ImageService().Delete(ctx, dgst)
	}
	if err != nil {
		return err
	}
	r.log.Info().Str("image", dgst).Msg("removed an unused image")
	return nil
}

// endLeases ends those of starts that containerd was killed under.
func (r *Runtime) endLeases(ctx context.Context) error {
	ls := r.client.LeasesService()
	all, err := ls.List(ctx, `labels."`+labelLease+`"==`+leaseOfStart)
	if err != nil {
		return fmt.Errorf("listing leases: %w", err)
	}
	var errs []error
	for _, l := range all {
		if time.Since(l.CreatedAt) < r.cfg.ImageGrace {
			continue
		}
		if err := ls.Delete(ctx, l); err != nil && !errdefs.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("ending lease %s: %w", l.ID, err))
		}
	}
	return errors.Join(errs...)
}

// collect has containerd remove what nothing refers to, and waits for it. Ending a lease is how it is asked to.
func (r *Runtime) collect(ctx context.Context) error {
	ls := r.client.LeasesService()
	lease, err := ls.Create(ctx, leases.WithRandomID(), leases.WithLabel(labelLease, "1"))
	if err != nil {
		return fmt.Errorf("freeing space: %w", err)
	}
	if err := ls.Delete(ctx, lease, leases.SynchronousDelete); err != nil {
		return fmt.Errorf("freeing space: %w", err)
	}
	return nil
}

func lastUsed(img images.Image) time.Time {
	if t, err := time.Parse(time.RFC3339, img.Labels[labelImageUsed]); err == nil {
		return t
	}
	return img.UpdatedAt
}
