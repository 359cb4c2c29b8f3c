package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/edge/bundle"
	"github.com/pandabox/pandabox/pkg/manifest"
	"github.com/pandabox/pandabox/pkg/model"
)

// function bundles the function in a folder of a tree and uploads it. That is done with the rights of the box: nothing that
// is not of the tree comes into the bundle, nor into an error.
func (s *Service) function(ctx context.Context, actor model.Actor, ref control.Ref, tree, dir string, f manifest.Function) (*model.Function, error) {
	tree, err := filepath.EvalSymlinks(tree)
	if err != nil {
		return nil, err
	}
	if err := closed(ctx, tree); err != nil {
		return nil, err
	}
	b, err := bundle.Build(ctx, dir, bundle.Options{Main: f.Main, Runtime: f.Runtime, Within: tree})
	if err != nil {
		return nil, ownError(tree, dir, err)
	}
	for _, name := range b.Inputs {
		if !within(tree, name) {
			return nil, outside()
		}
	}
	var tar bytes.Buffer
	if err := b.Write(&tar); err != nil {
		return nil, err
	}
	held, err := s.cfg.Control.Functions.Import(ctx, actor, ref.Org, &tar)
	if err != nil {
		return nil, err
	}
	out := f.Function
	out.Digest, out.Size, out.Runtime = held.Digest, held.Size, held.Runtime
	return &out, nil
}

func outside() *model.Error {
	return model.Invalid("the function is made of files that are not in the source").WithWhy("an import leads out of it").
		WithHint("put the files there, or bundle it on your machine: pandabox deploy")
}

// within tells whether a path, of which no link leads out of the tree, is in it.
func within(tree, name string) bool {
	rel, err := filepath.Rel(tree, name)
	return err == nil && filepath.IsLocal(rel)
}

// closed refuses a tree with a link or a setting of the compiler's that leads out of it: what is there is read, whatever it
// is, before it is known that nobody may see it.
func closed(ctx context.Context, tree string) error {
	root, err := os.OpenRoot(tree)
	if err != nil {
		return fmt.Errorf("looking through the source: %w", err)
	}
	defer func() { _ = root.Close() }()
	return fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("looking through the source: %w", err)
		case ctx.Err() != nil:
			return ctx.Err()
		case e.Type()&fs.ModeSymlink != 0:
			if _, err := root.Stat(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return model.Invalid("the link %s leads out of the source", name).Wrap(err).WithHint("put the file itself there, or remove the link")
			}
		case e.Name() == "tsconfig.json", e.Name() == "jsconfig.json":
			return closedConfig(root, name)
		}
		return nil
	})
}

// extends is how the settings in another file are asked for, and how that can be hidden.
var extends = regexp.MustCompile(`extends|\\u`)

func closedConfig(root *os.Root, name string) error {
	if nodeModules.MatchString(name) {
		return nil // settings there are passed over
	}
	text, err := root.ReadFile(name)
	if err != nil {
		return fmt.Errorf("looking through the source: %w", err)
	}
	if extends.Match(text) {
		return model.Invalid("%s extends another file", name).WithWhy("the box does not look for what it extends").
			WithHint("write the settings into it, or bundle the function on your machine: pandabox deploy")
	}
	return nil
}

var nodeModules = regexp.MustCompile(`(^|/)node_modules/`)

// places are those that an error of the bundler names, with a part of the file.
var places = regexp.MustCompile(`(?m)(?:^|also )([^"\n]*?):\d+:\d+: `)

// ownError keeps from whoever deploys what stands in files that are not of the tree.
func ownError(tree, dir string, err error) error {
	for _, at := range places.FindAllStringSubmatch(whole(err), -1) {
		name := at[1]
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, filepath.FromSlash(name))
		}
		if !within(tree, name) {
			return outside()
		}
	}
	return err
}

func whole(err error) string {
	var e *model.Error
	if errors.As(err, &e) {
		return e.What + "\n" + e.Why
	}
	return err.Error()
}
