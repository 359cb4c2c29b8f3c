package git

import (
	"context"
	"path"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// maxChanged bounds the paths a push is said to change: with more, all count as changed.
const maxChanged = 20_000

// changed returns the paths that differ between two commits; nil where that cannot be told.
func changed(ctx context.Context, s storer.EncodedObjectStorer, from, to plumbing.Hash) []string {
	old, err := object.GetCommit(s, from)
	if err != nil {
		return nil // the first push, or the repository began anew
	}
	now, err := object.GetCommit(s, to)
	if err != nil {
		return nil
	}
	out := []string{}
	if !differences(ctx, s, old.TreeHash, now.TreeHash, "", 0, &out) {
		return nil
	}
	return out
}

// differences tells whether it got to the end. The zero hash is a folder that is not there.
func differences(ctx context.Context, s storer.EncodedObjectStorer, a, b plumbing.Hash, dir string, depth int, out *[]string) bool {
	if a == b {
		return true
	}
	olds, ok := entries(s, a)
	news, ok2 := entries(s, b)
	if !ok || !ok2 || depth > maxDepth || ctx.Err() != nil {
		return false
	}
	for name, e := range olds {
		if _, there := news[name]; !there {
			news[name] = object.TreeEntry{Mode: e.Mode} // gone: the zero hash
		}
	}
	for name, e := range news {
		old := olds[name]
		if old.Hash == e.Hash && old.Mode == e.Mode {
			continue
		}
		if old.Mode == filemode.Dir || e.Mode == filemode.Dir {
			if !differences(ctx, s, folder(old), folder(e), path.Join(dir, name), depth+1, out) {
				return false
			}
			if (old.Mode == filemode.Dir || old.Hash.IsZero()) && e.Mode == filemode.Dir {
				continue
			}
		}
		if *out = append(*out, path.Join(dir, name)); len(*out) > maxChanged {
			return false
		}
	}
	return true
}

func folder(e object.TreeEntry) plumbing.Hash {
	if e.Mode == filemode.Dir {
		return e.Hash
	}
	return plumbing.ZeroHash
}

func entries(s storer.EncodedObjectStorer, h plumbing.Hash) (map[string]object.TreeEntry, bool) {
	out := map[string]object.TreeEntry{}
	if h.IsZero() {
		return out, true
	}
	t, err := object.GetTree(s, h)
	if err != nil {
		return nil, false
	}
	for _, e := range t.Entries {
		out[e.Name] = e
	}
	return out, true
}
