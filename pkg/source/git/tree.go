package git

import (
	"context"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// WriteTree writes the files of a tree into the empty folder dir. Nothing is written outside of it whatever the tree says.
// What cannot be deployed (a submodule, a pointer of Git LFS, a name that means something else) is a *model.Error.
func WriteTree(ctx context.Context, s storer.EncodedObjectStorer, tree plumbing.Hash, dir string) error {
	return writeTree(ctx, s, tree, dir)
}
