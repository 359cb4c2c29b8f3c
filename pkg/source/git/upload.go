package git

import (
	"bufio"
	"compress/zlib"
	"context"
	"crypto/sha1" //nolint:gosec // git names packs by it
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"

	"github.com/pandabox/pandabox/pkg/model"
)

const maxHaves = 100_000 // of one fetch

// upload serves one clone or fetch. With once a flush ends the answer, as over HTTP, where each round is a request.
func (s *Server) upload(ctx context.Context, actor model.Actor, at place, in io.Reader, out io.Writer, once bool) error {
	id, err := s.cfg.Box.App(ctx, actor, at.org, at.app)
	if err != nil {
		return err
	}
	if id == "" {
		return model.NotFound("nothing was pushed to %s yet", at.app).WithHint("git push pandabox main")
	}
	leave, err := s.moves.Take(ctx, at.org)
	if err != nil {
		return err
	}
	defer leave()
	unlock := s.share(id)
	defer unlock()
	r := openRepo(s.dirOf(id))
	defer func() { _ = r.Close() }()
	f := &fetch{repo: r, seen: map[plumbing.Hash]bool{}}
	lines := pktline.NewScanner(in)
	if err := f.readWants(lines); err != nil || len(f.wants) == 0 {
		return err
	}
	if done, err := f.readHaves(lines, out, once); err != nil || !done {
		return err
	}
	if err := s.look(ctx, func() error { return f.choose(ctx) }); err != nil {
		return err
	}
	return f.send(ctx, out)
}

// fetch is what one clone or fetch asks for.
type fetch struct {
	repo         *repo
	wants, haves []plumbing.Hash
	caps         []string
	seen         map[plumbing.Hash]bool
	list         []plumbing.Hash // of what is sent
}

// readWants reads what the client wants; only what a branch or tag is at can be had.
func (f *fetch) readWants(lines *pktline.Scanner) error {
	refs, err := f.repo.refs()
	if err != nil {
		return err
	}
	offered := map[plumbing.Hash]bool{}
	for _, h := range refs {
		offered[h] = true
	}
	for lines.Scan() {
		line := strings.TrimSuffix(string(lines.Bytes()), "\n")
		if line == "" {
			return nil
		}
		text, ok := strings.CutPrefix(line, "want ")
		if !ok {
			return malformed("%q is not to be had here", plain(line))
		}
		text, caps, _ := strings.Cut(text, " ")
		if len(f.wants) == 0 {
			f.caps = strings.Fields(caps)
		}
		h, err := parseHash(text)
		if err != nil {
			return err
		}
		if !offered[h] {
			return model.NotFound("there is no branch or tag at %s", h).WithHint("git fetch again")
		}
		if f.wants = append(f.wants, h); len(f.wants) > 2*MaxRefs {
			return malformed("it wants too much")
		}
	}
	return errors.Join(lines.Err(), io.ErrUnexpectedEOF)
}

// readHaves finds out what the client has, and tells whether the pack comes next.
func (f *fetch) readHaves(lines *pktline.Scanner, out io.Writer, once bool) (done bool, err error) {
	e := pktline.NewEncoder(out)
	for n := 0; lines.Scan(); n++ {
		line := strings.TrimSuffix(string(lines.Bytes()), "\n")
		text, have := strings.CutPrefix(line, "have ")
		switch {
		case n > maxHaves:
			return false, malformed("it has too much")
		case line == "done":
			if len(f.haves) == 0 {
				return true, e.EncodeString("NAK\n")
			}
			return true, nil
		case line == "":
			if len(f.haves) == 0 {
				if err := e.EncodeString("NAK\n"); err != nil {
					return false, err
				}
			}
			if once {
				return false, nil
			}
		case have:
			h, err := parseHash(text)
			if err != nil {
				return false, err
			}
			if f.repo.HasEncodedObject(h) != nil {
				continue
			}
			if f.haves = append(f.haves, h); len(f.haves) == 1 {
				if err := e.Encodef("ACK %s\n", h); err != nil {
					return false, err
				}
			}
		default:
			return false, malformed("%q is not understood", plain(line))
		}
	}
	return false, lines.Err()
}

// choose lists what is sent.
func (f *fetch) choose(ctx context.Context) error {
	for _, h := range f.haves {
		if err := f.walk(ctx, h, false); err != nil {
			return err
		}
	}
	for _, h := range f.wants {
		if err := f.walk(ctx, h, true); err != nil {
			return err
		}
	}
	f.seen = nil
	return nil
}

// send writes the pack.
func (f *fetch) send(ctx context.Context, out io.Writer) error {
	if !slices.Contains(f.caps, sideBand) {
		return f.pack(ctx, out)
	}
	b := bufio.NewWriterSize(band{sideband.NewMuxer(sideband.Sideband64k, out), sideband.PackData}, maxChunk)
	if err := f.pack(ctx, b); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(out, "0000")
	return err
}

// walk marks everything that can be reached from an object as seen, and with list lists what was not.
func (f *fetch) walk(ctx context.Context, from plumbing.Hash, list bool) error {
	for next := []plumbing.Hash{from}; len(next) > 0; {
		h := next[len(next)-1]
		next = next[:len(next)-1]
		if f.seen[h] {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := f.repo.EncodedObject(plumbing.AnyObject, h)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			continue // a parent of a shallow commit
		} else if err != nil {
			return fmt.Errorf("reading %s: %w", h, err)
		}
		f.mark(h, list)
		switch e.Type() {
		case plumbing.CommitObject:
			c, err := object.DecodeCommit(f.repo, e)
			if err != nil {
				return fmt.Errorf("reading %s: %w", h, err)
			}
			next = append(append(next, c.ParentHashes...), c.TreeHash)
		case plumbing.TagObject:
			t, err := object.DecodeTag(f.repo, e)
			if err != nil {
				return fmt.Errorf("reading %s: %w", h, err)
			}
			next = append(next, t.Target)
		case plumbing.TreeObject:
			t, err := object.DecodeTree(f.repo, e)
			if err != nil {
				return fmt.Errorf("reading %s: %w", h, err)
			}
			for _, one := range t.Entries {
				switch one.Mode {
				case filemode.Submodule:
				case filemode.Dir:
					next = append(next, one.Hash)
				default:
					f.mark(one.Hash, list)
				}
			}
		}
	}
	return nil
}

func (f *fetch) mark(h plumbing.Hash, list bool) {
	if list && !f.seen[h] {
		f.list = append(f.list, h)
	}
	f.seen[h] = true
}

// pack writes the listed objects, each whole: that takes more bytes than differences would, and next to no memory.
func (f *fetch) pack(ctx context.Context, out io.Writer) error {
	sum := sha1.New() //nolint:gosec // git names packs by it
	w := io.MultiWriter(out, sum)
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("PACK"), 2), uint32(len(f.list))) // as many as packs brought
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("sending a pack: %w", err)
	}
	z := zlib.NewWriter(w)
	for _, h := range f.list {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := f.repo.EncodedObject(plumbing.AnyObject, h)
		if err != nil {
			return fmt.Errorf("reading %s: %w", h, err)
		}
		if _, err := w.Write(entryHead(e.Type(), uint64(e.Size()))); err != nil {
			return fmt.Errorf("sending a pack: %w", err)
		}
		z.Reset(w)
		if err := copyObject(z, e); err != nil {
			return fmt.Errorf("sending a pack: %w", err)
		}
	}
	_, err := out.Write(sum.Sum(nil))
	return err
}

func copyObject(z *zlib.Writer, e plumbing.EncodedObject) error {
	r, err := e.Reader()
	if err != nil {
		return err
	}
	_, err = io.Copy(z, r)
	return errors.Join(err, r.Close(), z.Close())
}

// entryHead is an object's type and size as a pack has them: four bits of the size beside the type, then seven a byte.
func entryHead(t plumbing.ObjectType, size uint64) []byte {
	b := byte(t)<<4 | byte(size&15)
	var out []byte
	for size >>= 4; size > 0; size >>= 7 {
		out = append(out, b|0x80)
		b = byte(size & 0x7f)
	}
	return append(out, b)
}
