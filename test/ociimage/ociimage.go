// Package ociimage makes small container images without Docker, for the example, tests and benchmarks.
package ociimage

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Spec says what an image holds. The same Spec always gives the same digest.
type Spec struct {
	Files      map[string]File // by absolute path; parent directories are made
	Entrypoint []string
	Command    []string
	Env        []string // "NAME=value"
	Port       int      // exposed TCP port; 0: none
	User       string   // "" is root
	StopSignal string   // "" is SIGTERM
	WorkDir    string
	Arch       string // "" is this machine's
}

// File is one file of an image. The zero Mode means 0644.
type File struct {
	Data []byte
	Mode fs.FileMode
}

// Static returns the image of one static program, started with args.
func Static(program string, port int, args ...string) (Spec, error) {
	data, err := os.ReadFile(program)
	if err != nil {
		return Spec{}, fmt.Errorf("reading the program: %w", err)
	}
	name := "/" + filepath.Base(program)
	return Spec{
		Files:      map[string]File{name: {Data: data, Mode: 0o755}},
		Entrypoint: append([]string{name}, args...),
		Port:       port,
		User:       "65532:65532",
	}, nil
}

// Write writes the image as a tar of an OCI layout and returns the digest of its manifest.
func Write(w io.Writer, s Spec) (string, error) {
	img, err := image(s)
	if err != nil {
		return "", err
	}
	return writeImage(w, img)
}

func writeImage(w io.Writer, img v1.Image) (string, error) {
	digest, err := img.Digest()
	if err != nil {
		return "", fmt.Errorf("digesting the image: %w", err)
	}
	dir, err := os.MkdirTemp("", "ociimage-")
	if err != nil {
		return "", fmt.Errorf("making the layout: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		return "", fmt.Errorf("making the layout: %w", err)
	}
	if err := l.AppendImage(img); err != nil {
		return "", fmt.Errorf("making the layout: %w", err)
	}
	return digest.String(), tarDir(w, dir)
}

// WriteFile is Write to a file.
func WriteFile(name string, s Spec) (digest string, err error) {
	f, err := os.Create(name)
	if err != nil {
		return "", fmt.Errorf("making the archive: %w", err)
	}
	digest, err = Write(f, s)
	if cerr := f.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("writing the archive: %w", cerr)
	}
	return digest, err
}

func image(s Spec) (v1.Image, error) {
	data, err := layer(s.Files)
	if err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, fmt.Errorf("making the layer: %w", err)
	}
	return compose(l, s)
}

// compose returns the image of one layer, as s says but for its files.
func compose(l v1.Layer, s Spec) (v1.Image, error) {
	img, err := mutate.AppendLayers(mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1), l)
	if err != nil {
		return nil, fmt.Errorf("adding the layer: %w", err)
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("making the configuration: %w", err)
	}
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture = "linux", s.Arch
	if cfg.Architecture == "" {
		cfg.Architecture = runtime.GOARCH
	}
	cfg.Config = v1.Config{Entrypoint: s.Entrypoint, Cmd: s.Command, Env: s.Env, User: s.User, StopSignal: s.StopSignal, WorkingDir: s.WorkDir}
	if s.Port != 0 {
		cfg.Config.ExposedPorts = map[string]struct{}{fmt.Sprintf("%d/tcp", s.Port): {}}
	}
	img, err = mutate.ConfigFile(img, cfg)
	if err != nil {
		return nil, fmt.Errorf("making the configuration: %w", err)
	}
	return img, nil
}

// layer returns the tar of files, sorted and without times, so that it is always the same.
func layer(files map[string]File) ([]byte, error) {
	dirs := map[string]bool{}
	for name := range files {
		for d := path.Dir(path.Clean(name)); d != "/" && d != "."; d = path.Dir(d) {
			dirs[d] = true
		}
	}
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for _, d := range slices.Sorted(maps.Keys(dirs)) {
		if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(d, "/") + "/", Mode: 0o755}); err != nil {
			return nil, fmt.Errorf("writing the layer: %w", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f := files[name]
		if f.Mode == 0 {
			f.Mode = 0o644
		}
		if err := add(tw, strings.TrimPrefix(path.Clean(name), "/"), f.Mode, bytes.NewReader(f.Data), int64(len(f.Data))); err != nil {
			return nil, err
		}
	}
	if err := tw.Close(); err != nil {
		return nil, fmt.Errorf("writing the layer: %w", err)
	}
	return buf.Bytes(), nil
}

func tarDir(w io.Writer, dir string) error {
	tw := tar.NewWriter(w)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		return add(tw, rel, 0o644, f, info.Size())
	})
	if err != nil {
		return fmt.Errorf("writing the archive: %w", err)
	}
	if err := tw.Close(); err != nil {
		return fmt.Errorf("writing the archive: %w", err)
	}
	return nil
}

func add(tw *tar.Writer, name string, mode fs.FileMode, r io.Reader, size int64) error {
	if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(mode.Perm()), Size: size}); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if _, err := io.Copy(tw, r); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}
