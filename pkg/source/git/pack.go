package git

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"

	"github.com/pandabox/pandabox/pkg/model"
)

const packTrailer = 20 // bytes: the SHA-1 of what stands before it

// take writes the pack that r begins with into dir and indexes it there. No object is held in memory but the one that is
// looked at and what it is a difference to.
func (s *Server) take(ctx context.Context, r io.Reader, dir string) error {
	f, err := os.CreateTemp(dir, "pack-")
	if err != nil {
		return fmt.Errorf("taking a pack: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	name, err := s.receivePack(ctx, r, f)
	if count, _, _ := measure(f.Name()); err == nil && count > 0 {
		err = s.look(ctx, func() error { return indexPack(f, filepath.Join(dir, name)) })
	}
	return errors.Join(err, f.Close())
}

// look does what takes memory and a core once there is a place for it. It must not wait for a client, nor for a lock.
func (s *Server) look(ctx context.Context, do func() error) error {
	select {
	case s.looks <- struct{}{}:
		defer func() { <-s.looks }()
		return do()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// receivePack copies a pack and looks at the bounds of each object on the way. It returns what git calls the pack.
func (s *Server) receivePack(ctx context.Context, r io.Reader, f *os.File) (string, error) {
	in := &bounded{ctx: ctx, r: r, left: s.cfg.MaxPack, most: s.cfg.MaxPack}
	scan := packfile.NewScanner(io.TeeReader(in, f))
	err := scanPack(scan, s.cfg.MaxBlob)
	if in.err != nil {
		err = in.err
	}
	var fault *model.Error
	switch {
	case err == nil:
	case errors.As(err, &fault), ctx.Err() != nil:
		return "", err
	default:
		return "", model.Invalid("the pack that git sent cannot be read").Wrap(err).WithWhy("%s", err).WithHint("look at your repository: git fsck; then push again")
	}
	sum, err := scan.Checksum()
	if err != nil {
		return "", model.Invalid("the pack that git sent is damaged").Wrap(err).WithHint("push again")
	}
	var tail [packTrailer]byte
	if end, err := f.Seek(0, io.SeekCurrent); err != nil {
		return "", fmt.Errorf("taking a pack: %w", err)
	} else if _, err := f.ReadAt(tail[:], end-packTrailer); err != nil || plumbing.Hash(tail) != sum {
		return "", malformed("something follows the pack")
	}
	if err := f.Sync(); err != nil {
		return "", fmt.Errorf("taking a pack: %w", err)
	}
	return "pack-" + sum.String(), nil
}

// scanPack refuses a pack that would become too much. What a difference makes is written at its beginning, and not
// exceeded by whoever applies it.
func scanPack(scan *packfile.Scanner, maxBlob int64) error {
	_, count, err := scan.Header()
	if errors.Is(err, packfile.ErrEmptyPackfile) {
		return malformed("there is no pack")
	}
	if err != nil {
		return err
	}
	if count > MaxObjects {
		return model.Errorf(model.KindTooLarge, "the push has %d objects", count).WithHint("at most %d fit; push a shallow clone: git clone --depth 1", MaxObjects)
	}
	all := int64(0)
	for range count {
		h, err := scan.NextObjectHeader()
		if err != nil {
			return err
		}
		if h.Length > maxBlob || h.Length < 0 {
			return tooLarge(h.Length, maxBlob)
		}
		var begins head
		n, _, err := scan.NextObject(&begins)
		if err != nil {
			return err
		}
		if n != h.Length {
			return malformed("an object is not as long as it says")
		}
		size := h.Length
		if h.Type.IsDelta() {
			base, made, ok := begins.sizes()
			if !ok {
				return malformed("a difference does not say what it makes")
			}
			if size = max(base, made); size > maxBlob {
				return tooLarge(size, maxBlob)
			}
		}
		if all += size; all > MaxInflated {
			return model.Errorf(model.KindTooLarge, "the push is more than %d GB uncompressed", MaxInflated>>30).WithHint("push a shallow clone: git clone --depth 1")
		}
	}
	return nil
}

func tooLarge(size, maxBlob int64) error {
	return model.Errorf(model.KindTooLarge, "a file in the push is %d MB", size>>20).
		WithHint("at most %d MB fit in one file; fetch it in the build, or take it out of the history: git filter-repo", maxBlob>>20)
}

// head keeps the first bytes of what is written to it.
type head struct {
	b [2 * binary.MaxVarintLen64]byte
	n int
}

func (h *head) Write(b []byte) (int, error) {
	h.n += copy(h.b[h.n:], b)
	return len(b), nil
}

// sizes returns how large the base of a difference is, and what it makes of it.
func (h *head) sizes() (base, made int64, ok bool) {
	r := bytes.NewReader(h.b[:h.n])
	b, err := binary.ReadUvarint(r)
	m, err2 := binary.ReadUvarint(r)
	return int64(b & (1<<62 - 1)), int64(m & (1<<62 - 1)), err == nil && err2 == nil && b < 1<<62 && m < 1<<62
}

// indexPack finds out the names of a pack's objects and puts it to at, with .pack and .idx.
func indexPack(f *os.File, at string) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("indexing a pack: %w", err)
	}
	var w idxfile.Writer
	p, err := packfile.NewParser(packfile.NewScanner(f), &w)
	if err == nil {
		_, err = p.Parse()
	}
	if errors.Is(err, packfile.ErrReferenceDeltaNotFound) {
		return malformed("the pack lacks objects that others in it are differences to").Wrap(err)
	} else if err != nil {
		return malformed("%s", err).Wrap(err)
	}
	index, err := w.Index()
	if err != nil {
		return fmt.Errorf("indexing a pack: %w", err)
	}
	var b bytes.Buffer // at most 40 bytes per object
	if _, err := idxfile.NewEncoder(&b).Encode(index); err != nil {
		return fmt.Errorf("indexing a pack: %w", err)
	}
	if err := writeWhole(at+".idx", b.Bytes()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), at+".pack"); err != nil {
		return fmt.Errorf("keeping a pack: %w", err)
	}
	return nil
}

// bounded is a client's pack: no longer than it may be.
type bounded struct {
	ctx        context.Context // an io.Reader has no other way to one
	r          io.Reader
	left, most int64
	err        error
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.err == nil {
		b.err = b.ctx.Err()
	}
	if b.err == nil && b.left <= 0 {
		b.err = tooBig(b.most)
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func tooBig(most int64) error {
	return model.Errorf(model.KindTooLarge, "the push is larger than %d MB", most>>20).
		WithHint("push a shallow clone (git clone --depth 1), or leave large files out of the repository")
}
