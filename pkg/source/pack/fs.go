package pack

import (
	"io/fs"
	"os"
	"path"
	"slices"
)

// FS returns the folder as it is where it is unpacked: with the files of the tree, and nothing else. It reads what is on
// the disk now.
func (t *Tree) FS() fs.FS {
	f := treeFS{below: os.DirFS(t.Dir), names: map[string]bool{".": true}}
	for _, name := range t.Files {
		if slices.Contains(t.Outside, name) {
			continue
		}
		for ; !f.names[name]; name = path.Dir(name) {
			f.names[name] = true
		}
	}
	return f
}

// treeFS is a file system of which some names are there.
type treeFS struct {
	below fs.FS
	names map[string]bool // files, and the folders above them
}

// Open opens a file or folder of the tree.
func (f treeFS) Open(name string) (fs.File, error) {
	if !f.names[name] {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	file, err := f.below.Open(name)
	if err != nil {
		return nil, err
	}
	if dir, ok := file.(fs.ReadDirFile); ok {
		return treeDir{dir, f, name}, nil
	}
	return file, nil
}

// treeDir is a folder of which some entries are there.
type treeDir struct {
	fs.ReadDirFile
	in   treeFS
	name string
}

// ReadDir returns the entries that are in the tree.
func (d treeDir) ReadDir(n int) ([]fs.DirEntry, error) {
	for {
		entries, err := d.ReadDirFile.ReadDir(n)
		entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return !d.in.names[path.Join(d.name, e.Name())] })
		if err != nil {
			return entries, err
		}
		if n <= 0 || len(entries) > 0 {
			return entries, nil
		}
	}
}
