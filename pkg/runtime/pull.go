package runtime

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/semaphore"

	"github.com/pandabox/pandabox/pkg/model"
)

const (
	pullParallel = 4
	progressTick = 250 * time.Millisecond
)

// pull fetches an image from its registry and keeps it.
func (r *Runtime) pull(ctx context.Context, img model.Image, progress func(int, string)) (*image, error) {
	ref, err := parseRef(img)
	if err != nil {
		return nil, err
	}
	regs, err := loadRegistries(r.cfg.DataDir)
	if err != nil {
		return nil, err
	}
	resolver := docker.NewResolver(docker.ResolverOptions{Hosts: regs.hosts})
	var have *image
	err = r.withLease(ctx, func(ctx context.Context) error {
		progress(0, "looking up "+img.Ref)
		name, desc, err := resolver.Resolve(ctx, ref)
		if err != nil {
			return pullFailure(img.Ref, err)
		}
		fetcher, err := resolver.Fetcher(ctx, name)
		if err != nil {
			return pullFailure(img.Ref, err)
		}
		target, err := r.fetch(ctx, fetcher, desc, progress)
		if err != nil {
			return pullFailure(img.Ref, err)
		}
		progress(99, "unpacking")
		have, err = r.keep(ctx, target)
		return err
	})
	if err != nil {
		return nil, err
	}
	progress(100, "done")
	return have, nil
}

// parseRef returns the full reference, pinned to the digest where one is asked for.
func parseRef(img model.Image) (string, error) {
	named, err := reference.ParseDockerRef(img.Ref)
	if err != nil {
		return "", model.Invalid("%q is not an image reference", img.Ref).
			WithWhy("%v", err).WithHint("write it as nginx:1.27 or registry.example.com/team/app:v3")
	}
	if img.Digest == "" {
		return named.String(), nil
	}
	d, err := digest.Parse(img.Digest)
	if err != nil {
		return "", model.Invalid("%q is not a digest", img.Digest).WithHint("it looks like sha256:1f0c…")
	}
	pinned, err := reference.WithDigest(reference.TrimNamed(named), d)
	if err != nil {
		return "", model.Invalid("%q cannot be pinned to %s", img.Ref, img.Digest)
	}
	return pinned.String(), nil
}

// fetch brings the content below desc that this box needs, and returns its manifest.
func (r *Runtime) fetch(ctx context.Context, fetcher remotes.Fetcher, desc ocispec.Descriptor, progress func(int, string)) (ocispec.Descriptor, error) {
	cs := r.client.ContentStore()
	get := remotes.FetchHandler(cs, fetcher)
	if images.IsIndexType(desc.MediaType) {
		if _, err := get(ctx, desc); err != nil {
			return desc, err
		}
		var idx ocispec.Index
		if err := readJSON(ctx, cs, desc, &idx); err != nil {
			return desc, malformed(err)
		}
		chosen, err := chooseRemote(idx.Manifests)
		if err != nil {
			return desc, err
		}
		desc = chosen
	}
	if !images.IsManifestType(desc.MediaType) {
		return desc, model.Invalid("this is not an image").WithWhy("its type is %s", desc.MediaType)
	}
	meter := &meter{parts: map[string]ocispec.Descriptor{}}
	handler := images.Handlers(images.HandlerFunc(meter.add), get, images.ChildrenHandler(cs), images.HandlerFunc(meter.finish))
	watch, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { r.report(watch, meter, progress) })
	err := images.Dispatch(ctx, handler, semaphore.NewWeighted(pullParallel), desc)
	stop()
	wg.Wait()
	return desc, err
}

// chooseRemote picks this box's manifest out of an index.
func chooseRemote(all []ocispec.Descriptor) (ocispec.Descriptor, error) {
	var best *ocispec.Descriptor
	var others []ocispec.Platform
	for i, d := range all {
		switch {
		case d.Platform == nil || d.Platform.OS == "unknown":
			if d.Platform == nil && len(all) == 1 {
				return d, nil
			}
		case !platforms.Default().Match(*d.Platform):
			others = append(others, *d.Platform)
		case best == nil || platforms.Default().Less(*d.Platform, *best.Platform):
			best = &all[i]
		}
	}
	if best == nil {
		return ocispec.Descriptor{}, wrongPlatform(others)
	}
	return *best, nil
}

// meter counts what a pull has brought.
type meter struct {
	mu    sync.Mutex
	parts map[string]ocispec.Descriptor // under way, by the name of their write
	total int64
	done  int64
}

func (m *meter) add(ctx context.Context, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total += desc.Size
	m.parts[remotes.MakeRefKey(ctx, desc)] = desc
	if images.IsManifestType(desc.MediaType) {
		return nil, nil
	}
	return nil, nil
}

func (m *meter) finish(ctx context.Context, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.parts, remotes.MakeRefKey(ctx, desc))
	m.done += desc.Size
	return nil, nil
}

// report tells how far the pull is until ctx ends. 95 is all that is fetched; the rest is unpacking.
func (r *Runtime) report(ctx context.Context, m *meter, progress func(int, string)) {
	tick := time.NewTicker(progressTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		under, err := r.client.ContentStore().ListStatuses(ctx, "")
		if err != nil {
			continue // the next tick asks again
		}
		m.mu.Lock()
		done, total := m.done, m.total
		for _, s := range under {
			if _, ours := m.parts[s.Ref]; ours {
				done += s.Offset
			}
		}
		m.mu.Unlock()
		if total > 0 {
			progress(int(done*95/total), fmt.Sprintf("%.1f of %.1f MB", float64(done)/1e6, float64(total)/1e6))
		}
	}
}

// pullFailure says what a person can do about a registry that did not give the image.
func pullFailure(ref string, err error) error {
	var known *model.Error
	var status remoteerrors.ErrUnexpectedStatus
	var netErr net.Error
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	code := 0
	if errors.As(err, &status) {
		code = status.StatusCode
	}
	switch {
	case errors.As(err, &known):
		return err
	case isNoSpace(err), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &unknown), errors.As(err, &host):
		return model.Errorf(model.KindUnavailable, "the registry of %s is not trusted", ref).
			WithWhy("%v", err).WithHint("name its certificate authority in registries.toml: ca = \"/path.pem\"").Wrap(err)
	case code == http.StatusUnauthorized, code == http.StatusForbidden, errors.Is(err, docker.ErrInvalidAuthorization),
		containsAny(err.Error(), "authorization failed", "insufficient_scope", "no basic auth credentials", "401 Unauthorized", "403 Forbidden"):
		return model.Errorf(model.KindForbidden, "the registry does not give us %s", ref).
			WithWhy("it asks for other credentials, or there is no such image").
			WithHint("check the name, and set username and password in registries.toml").Wrap(err)
	case code == http.StatusNotFound, errdefs.IsNotFound(err):
		return model.NotFound("there is no image %s", ref).WithHint("check its name and tag").Wrap(err)
	case code == http.StatusTooManyRequests:
		return model.Errorf(model.KindUnavailable, "the registry of %s answers too many requests", ref).
			WithHint("wait, or set credentials or a mirror in registries.toml").Wrap(err)
	case containsAny(err.Error(), "unexpected commit digest", "failed size validation"):
		return model.Invalid("the registry sent something else than %s", ref).
			WithWhy("digest mismatch").WithHint("try again; if it happens again, the registry or a proxy on the way is broken").Wrap(err)
	case code >= 500, errors.As(err, &netErr), strings.Contains(err.Error(), "connection refused"), strings.Contains(err.Error(), "no such host"):
		return model.Errorf(model.KindUnavailable, "the registry of %s cannot be reached", ref).
			WithWhy("%v", err).WithHint("check the name and this box's network, or deploy an archive with --image FILE").Wrap(err)
	}
	return fmt.Errorf("pulling %s: %w", ref, err)
}
