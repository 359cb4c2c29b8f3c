package runtimetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
)

// ImageSpec says what an image for a test holds. The zero ImageSpec is the test app, serving on $PORT or 8080.
type ImageSpec struct {
	Files      []File
	NoApp      bool     // leave /app out
	Entrypoint []string // nil: /app, unless NoApp
	Cmd        []string
	Env        []string
	User       string
	WorkDir    string
	StopSignal string
	Ports      []int
	Arch       string // "": this box's
	Layers     int    // how many layers the files are dealt out to; 0 means 1
}

// File is a file, directory (Mode with os.ModeDir) or symbolic link (Link) in an image.
type File struct {
	Path     string // absolute
	Mode     os.FileMode
	Content  []byte
	Link     string
	UID, GID int
}

// Built is an image in memory, ready to be written in any form.
type Built struct {
	Blobs    map[string][]byte // by digest "sha256:…"
	Manifest string            // digest
	Config   string            // digest
	Layers   []string          // digests; gzip
	DiffIDs  []string
	plain    [][]byte
}

// Image writes an image as an OCI layout in a tar archive and returns its path.
func Image(t testing.TB, spec ImageSpec) string {
	t.Helper()
	return WriteTar(t, Build(t, spec).OCI())
}

// Build makes an image. The same ImageSpec always gives the same digests.
func Build(t testing.TB, spec ImageSpec) *Built {
	t.Helper()
	files := slices.Clone(spec.Files)
	if !spec.NoApp {
		app, err := os.ReadFile(TestApp(t))
		if err != nil {
			t.Fatal(err)
		}
		files = append([]File{{Path: "/app", Mode: 0o755, Content: app}}, files...)
		if spec.Entrypoint == nil {
			spec.Entrypoint = []string{"/app"}
		}
	}
	b := &Built{Blobs: map[string][]byte{}}
	for _, layer := range deal(files, max(spec.Layers, 1)) {
		plain := tarOf(t, layer)
		b.plain = append(b.plain, plain)
		b.DiffIDs = append(b.DiffIDs, digestOf(plain))
		b.Layers = append(b.Layers, b.put(gzipped(t, plain)))
	}
	arch := spec.Arch
	if arch == "" {
		arch = goruntime.GOARCH
	}
	ports := map[string]struct{}{}
	for _, p := range spec.Ports {
		ports[fmt.Sprintf("%d/tcp", p)] = struct{}{}
	}
	b.Config = b.put(jsonOf(t, map[string]any{
		"architecture": arch, "os": "linux",
		"config": map[string]any{
			"Entrypoint": spec.Entrypoint, "Cmd": spec.Cmd, "Env": spec.Env, "User": spec.User,
			"WorkingDir": spec.WorkDir, "StopSignal": spec.StopSignal, "ExposedPorts": ports,
		},
		"rootfs": map[string]any{"type": "layers", "diff_ids": b.DiffIDs},
	}))
	var layers []any
	for _, l := range b.Layers {
		layers = append(layers, b.Descriptor("application/vnd.oci.image.layer.v1.tar+gzip", l))
	}
	b.Manifest = b.put(jsonOf(t, map[string]any{
		"schemaVersion": 2, "mediaType": MediaTypeManifest,
		"config": b.Descriptor("application/vnd.oci.image.config.v1+json", b.Config), "layers": layers,
	}))
	return b
}

// MediaTypeManifest is the type of the manifests that Build makes.
const MediaTypeManifest = "application/vnd.oci.image.manifest.v1+json"

// Descriptor points at one of the image's blobs.
func (b *Built) Descriptor(mediaType, digest string) map[string]any {
	return map[string]any{"mediaType": mediaType, "digest": digest, "size": len(b.Blobs[digest])}
}

// Platformed is an image and the architecture an index says it is for.
type Platformed struct {
	Arch  string
	Image *Built
}

// OCI returns the files of an OCI layout.
func (b *Built) OCI() []File {
	return layout(b.Blobs, []any{b.Descriptor(MediaTypeManifest, b.Manifest)})
}

// MultiPlatform returns the files of an OCI layout whose index names several platforms.
func MultiPlatform(images ...Platformed) []File {
	blobs := map[string][]byte{}
	var manifests []any
	for _, p := range images {
		d := p.Image.Descriptor(MediaTypeManifest, p.Image.Manifest)
		d["platform"] = map[string]any{"os": "linux", "architecture": p.Arch}
		manifests = append(manifests, d)
		for k, v := range p.Image.Blobs {
			blobs[k] = v
		}
	}
	return layout(blobs, manifests)
}

// Docker returns the files of an archive as `docker save` writes it.
func (b *Built) Docker(t testing.TB, tag string) []File {
	t.Helper()
	var names []string
	out := []File{{Path: "/" + hexOf(b.Config) + ".json", Content: b.Blobs[b.Config]}}
	for i, plain := range b.plain {
		name := hexOf(b.DiffIDs[i]) + "/layer.tar"
		names = append(names, name)
		out = append(out, File{Path: "/" + name, Content: plain})
	}
	manifest := jsonOf(t, []any{map[string]any{"Config": hexOf(b.Config) + ".json", "RepoTags": []string{tag}, "Layers": names}})
	return append(out, File{Path: "/manifest.json", Content: manifest})
}

// WriteTar writes files as a tar archive and returns its path.
func WriteTar(t testing.TB, files []File) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(path, tarOf(t, files), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Tar returns files as a tar archive.
func Tar(t testing.TB, files []File) io.Reader {
	t.Helper()
	return bytes.NewReader(tarOf(t, files))
}

func layout(blobs map[string][]byte, manifests []any) []File {
	index, _ := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests})
	out := []File{
		{Path: "/oci-layout", Content: []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{Path: "/index.json", Content: index},
	}
	var digests []string
	for d := range blobs {
		digests = append(digests, d)
	}
	slices.Sort(digests)
	for _, d := range digests {
		out = append(out, File{Path: "/blobs/sha256/" + hexOf(d), Content: blobs[d]})
	}
	return out
}

// deal puts the files into n layers, in order.
func deal(files []File, n int) [][]File {
	out := make([][]File, n)
	for i, f := range files {
		l := min(i*n/max(len(files), 1), n-1)
		out[l] = append(out[l], f)
	}
	return out
}

func tarOf(t testing.TB, files []File) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		h := &tar.Header{Name: strings.TrimPrefix(f.Path, "/"), Mode: int64(f.Mode.Perm()), Uid: f.UID, Gid: f.GID, Typeflag: tar.TypeReg, Size: int64(len(f.Content))}
		switch {
		case f.Link != "":
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, f.Link, 0
		case f.Mode.IsDir():
			h.Typeflag, h.Size = tar.TypeDir, 0
		case f.Mode == 0:
			h.Mode = 0o644
		}
		if f.Mode&os.ModeSetuid != 0 {
			h.Mode |= 0o4000
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write(f.Content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func jsonOf(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *Built) put(content []byte) string {
	d := digestOf(content)
	b.Blobs[d] = content
	return d
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func hexOf(digest string) string { return strings.TrimPrefix(digest, "sha256:") }

// Rework returns the image with another configuration and manifest. The manifest is made to point at the configuration.
func (b *Built) Rework(t testing.TB, config, manifest map[string]any) *Built {
	t.Helper()
	out := &Built{Blobs: map[string][]byte{}, Layers: b.Layers, DiffIDs: b.DiffIDs, plain: b.plain}
	for _, l := range b.Layers {
		out.Blobs[l] = b.Blobs[l]
	}
	out.Config = out.put(jsonOf(t, config))
	manifest["config"] = out.Descriptor("application/vnd.oci.image.config.v1+json", out.Config)
	out.Manifest = out.put(jsonOf(t, manifest))
	return out
}
