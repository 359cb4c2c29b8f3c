package git

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"github.com/pandabox/pandabox/pkg/model"
)

// objects are those of a push above those of the repository.
type objects struct {
	storer.EncodedObjectStorer // of the repository
	fresh                      storer.EncodedObjectStorer
}

// EncodedObject implements storer.EncodedObjectStorer.
func (o objects) EncodedObject(t plumbing.ObjectType, h plumbing.Hash) (plumbing.EncodedObject, error) {
	one, err := o.fresh.EncodedObject(t, h)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return o.EncodedObjectStorer.EncodedObject(t, h)
	}
	return one, err
}

// HasEncodedObject implements storer.EncodedObjectStorer.
func (o objects) HasEncodedObject(h plumbing.Hash) error {
	if o.fresh.HasEncodedObject(h) == nil {
		return nil
	}
	return o.EncodedObjectStorer.HasEncodedObject(h)
}

// EncodedObjectSize implements storer.EncodedObjectStorer.
func (o objects) EncodedObjectSize(h plumbing.Hash) (int64, error) {
	n, err := o.fresh.EncodedObjectSize(h)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return o.EncodedObjectStorer.EncodedObjectSize(h)
	}
	return n, err
}

// complete refuses a push whose objects name others that are nowhere. What the repository holds is complete already, so
// that only the new objects are looked at. The parents of shallow commits may be missing.
func (o objects) complete(ctx context.Context, shallow map[plumbing.Hash]bool) error {
	commits, err := o.fresh.IterEncodedObjects(plumbing.CommitObject)
	if err != nil {
		return err
	}
	err = commits.ForEach(func(e plumbing.EncodedObject) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		c, err := object.DecodeCommit(o, e)
		if err != nil {
			return unreadable(e, err)
		}
		if err := o.has(c.TreeHash); err != nil || shallow[c.Hash] {
			return err
		}
		for _, p := range c.ParentHashes {
			if err := o.has(p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	trees, err := o.fresh.IterEncodedObjects(plumbing.TreeObject)
	if err != nil {
		return err
	}
	err = trees.ForEach(func(e plumbing.EncodedObject) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		t, err := object.DecodeTree(o, e)
		if err != nil {
			return unreadable(e, err)
		}
		for _, entry := range t.Entries {
			if entry.Mode == filemode.Submodule {
				continue
			}
			if err := o.has(entry.Hash); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	tags, err := o.fresh.IterEncodedObjects(plumbing.TagObject)
	if err != nil {
		return err
	}
	return tags.ForEach(func(e plumbing.EncodedObject) error {
		t, err := object.DecodeTag(o, e)
		if err != nil {
			return unreadable(e, err)
		}
		return o.has(t.Target)
	})
}

func (o objects) has(h plumbing.Hash) error {
	err := o.HasEncodedObject(h)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return model.Invalid("the push lacks the object %s", h).WithWhy("the box has not all of the history that your git thinks it has").
			WithHint("delete the branch on the box and push it whole: git push pandabox --delete BRANCH")
	}
	return err
}

func unreadable(e plumbing.EncodedObject, err error) error {
	return model.Invalid("the %s %s cannot be read", e.Type(), e.Hash()).Wrap(err).WithWhy("%s", err).WithHint("look at your repository: git fsck")
}

// content reads an object of at most most bytes.
func content(e plumbing.EncodedObject, most int64) (_ []byte, err error) {
	if e.Size() > most {
		return nil, fmt.Errorf("%d bytes are too long", e.Size())
	}
	r, err := e.Reader()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return io.ReadAll(io.LimitReader(r, most))
}
