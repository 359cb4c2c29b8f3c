package runtime

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/images/archive"
	"github.com/containerd/containerd/v2/pkg/archive/compression"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/pandabox/pandabox/pkg/model"
)

// Import reads an image archive, an OCI layout or what `docker save` writes, plain or compressed with gzip or zstd. Of
// an image for several platforms it takes this box's. Whatever is wrong with the archive, nothing of it stays.
func (r *Runtime) Import(ctx context.Context, src io.Reader) (model.Image, error) {
	ctx, err := r.begin(ctx)
	if err != nil {
		return model.Image{}, err
	}
	var have *image
	err = r.withLease(ctx, func(ctx context.Context) error {
		target, err := r.ingest(ctx, src)
		if err != nil {
			return err
		}
		have, err = r.keep(ctx, target)
		return err
	})
	if err != nil {
		return model.Image{}, failure(err, "cannot import the image")
	}
	return model.Image{Digest: have.digest, Config: have.model()}, nil
}

// ingest writes the archive's blobs and returns the manifest for this box.
func (r *Runtime) ingest(ctx context.Context, src io.Reader) (target ocispec.Descriptor, err error) {
	err = r.ingestIndex(ctx, src, func(index ocispec.Descriptor) error {
		target, err = choose(ctx, r.client.ContentStore(), index)
		return err
	})
	return target, err
}

// ingestAll writes the archive's blobs and gives its index to use.
func (r *Runtime) ingestAll(ctx context.Context, src io.Reader, use func(ocispec.Index) error) error {
	return r.ingestIndex(ctx, src, func(desc ocispec.Descriptor) error {
		var index ocispec.Index
		if err := readJSON(ctx, r.client.ContentStore(), desc, &index); err != nil {
			return malformed(err)
		}
		return use(index)
	})
}

func (r *Runtime) ingestIndex(ctx context.Context, src io.Reader, use func(ocispec.Descriptor) error) error {
	reader := &source{r: src}
	plain, err := compression.DecompressStream(reader)
	if err != nil {
		return archiveFailure(reader, err)
	}
	defer func() { _ = plain.Close() }()
	store := &importStore{Store: r.client.ContentStore(), prefix: "import-" + rand.Text() + "-"}
	defer store.abort(ctx)
	index, err := archive.ImportIndex(ctx, store, plain)
	if err != nil {
		return archiveFailure(reader, err)
	}
	return use(index)
}

// choose returns the one manifest below index that is for this box.
func choose(ctx context.Context, cs content.Provider, index ocispec.Descriptor) (ocispec.Descriptor, error) {
	var all []ocispec.Descriptor
	seen := map[digest.Digest]bool{}
	var others []ocispec.Platform
	walk := images.HandlerFunc(func(ctx context.Context, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		if seen[desc.Digest] {
			return nil, images.ErrSkipDesc
		}
		seen[desc.Digest] = true
		if images.IsIndexType(desc.MediaType) {
			var idx ocispec.Index
			if err := readJSON(ctx, cs, desc, &idx); err != nil {
				if errdefs.IsNotFound(err) {
					return nil, nil // a platform that was not saved
				}
				return nil, malformed(err)
			}
			return idx.Manifests, nil
		}
		if !images.IsManifestType(desc.MediaType) {
			return nil, nil
		}
		p, err := platformOf(ctx, cs, desc)
		if err != nil {
			return nil, err
		}
		switch {
		case p.OS == "unknown":
			// an attestation, not an image
		case platforms.Default().Match(p):
			desc.Platform = &p
			all = append(all, desc)
		default:
			others = append(others, p)
		}
		return nil, nil
	})
	if err := images.Walk(ctx, walk, index); err != nil {
		return ocispec.Descriptor{}, err
	}
	switch {
	case len(all) == 0 && len(others) > 0:
		return ocispec.Descriptor{}, wrongPlatform(others)
	case len(all) == 0:
		return ocispec.Descriptor{}, malformed(nil).WithWhy("it holds no image")
	}
	best := all[0]
	for _, d := range all[1:] {
		switch {
		case platforms.Default().Less(*d.Platform, *best.Platform):
			best = d
		case !platforms.Default().Less(*best.Platform, *d.Platform):
			return ocispec.Descriptor{}, model.Invalid("the archive holds several images").WithHint("save just one: `docker save NAME`")
		}
	}
	return best, nil
}

// platformOf returns the platform a manifest is for: as its index says, else as its configuration does.
func platformOf(ctx context.Context, cs content.Provider, desc ocispec.Descriptor) (ocispec.Platform, error) {
	if desc.Platform != nil && desc.Platform.Architecture != "" {
		return platforms.Normalize(*desc.Platform), nil
	}
	var manifest ocispec.Manifest
	var config ocispec.Image
	if err := readJSON(ctx, cs, desc, &manifest); err != nil {
		return ocispec.Platform{}, incomplete(err)
	}
	if err := readJSON(ctx, cs, manifest.Config, &config); err != nil {
		return ocispec.Platform{}, incomplete(err)
	}
	if config.OS == "" || config.Architecture == "" {
		return ocispec.Platform{}, malformed(nil).WithWhy("its configuration names no platform")
	}
	return platforms.Normalize(config.Platform), nil
}

// archiveFailure tells a bad archive from a caller that went away and from a failure of the box.
func archiveFailure(src *source, err error) error {
	var known *model.Error
	switch {
	case errors.As(err, &known):
		return known
	case src.err != nil && !errors.Is(src.err, io.EOF):
		return model.Errorf(model.KindCanceled, "the image was not sent to its end").Wrap(src.err).WithHint("send it again")
	case isNoSpace(err), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errdefs.IsUnavailable(err):
		return fmt.Errorf("reading the archive: %w", err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return malformed(err).WithWhy("it ends too early")
	}
	return malformed(err)
}

// source remembers how reading ended, to tell a broken connection from a broken archive.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil {
		s.err = err
	}
	return n, err
}

// importStore keeps two imports apart that use the same file names, checks the blobs of an OCI layout against their
// names, and forgets what was not finished.
type importStore struct {
	content.Store
	prefix string

	mu   sync.Mutex
	open map[string]struct{}
}

// Writer opens a write under a name of this import's own.
func (s *importStore) Writer(ctx context.Context, opts ...content.WriterOpt) (content.Writer, error) {
	var w content.WriterOpts
	for _, o := range opts {
		if err := o(&w); err != nil {
			return nil, err
		}
	}
	var want digest.Digest
	if hex, ok := strings.CutPrefix(w.Ref, "tar-blobs/sha256/"); ok {
		want = digest.NewDigestFromEncoded(digest.SHA256, hex)
	}
	ref := s.prefix + w.Ref
	inner, err := s.Store.Writer(ctx, content.WithRef(ref), content.WithDescriptor(w.Desc))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[string]struct{}{}
	}
	s.open[ref] = struct{}{}
	return &importWriter{Writer: inner, store: s, ref: ref, want: want}, nil
}

// abort forgets unfinished writes.
func (s *importStore) abort(ctx context.Context) {
	end, cancel := cleanup(ctx)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	for ref := range s.open {
		_ = s.Abort(end, ref) // gone already, or removed with the lease
	}
}

type importWriter struct {
	content.Writer
	store *importStore
	ref   string
	want  digest.Digest
}

// Commit ends a write, unless its content is not what the blob's name says.
func (w *importWriter) Commit(ctx context.Context, size int64, expected digest.Digest, opts ...content.Opt) error {
	if got := w.Digest(); w.want != "" && got != w.want {
		return malformed(nil).WithWhy("digest mismatch: %s has the content of %s", short(w.want.String()), short(got.String()))
	}
	err := w.Writer.Commit(ctx, size, expected, opts...)
	if err == nil || errdefs.IsAlreadyExists(err) {
		w.store.mu.Lock()
		delete(w.store.open, w.ref)
		w.store.mu.Unlock()
	}
	return err
}
