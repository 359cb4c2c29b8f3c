package ociimage

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// TestBaseHoldsASystem looks into the layer of a base of Debian's packages.
func TestBaseHoldsASystem(t *testing.T) {
	cache, err := CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	bases, err := Bases(t.Context(), cache, "debian")
	if err != nil || len(bases) != 1 || bases[0].Name != "debian:bookworm-slim" {
		t.Fatalf("%v, %v", bases, err)
	}
	again, err := Bases(t.Context(), cache, "debian")
	if err != nil || again[0].Archive != bases[0].Archive {
		t.Errorf("the second time: %v, %v", again, err)
	}
	files := entries(t, bases[0].Archive)
	for name, kind := range map[string]byte{
		"bin": tar.TypeSymlink, "usr/bin/sh": tar.TypeSymlink, "usr/bin/dash": tar.TypeReg, "usr/bin/cp": tar.TypeReg, "tmp/": tar.TypeDir,
		"etc/passwd": tar.TypeReg, "etc/ssl/certs/ca-certificates.crt": tar.TypeReg, "usr/lib64/ld-linux-x86-64.so.2": tar.TypeSymlink,
	} {
		if h, ok := files[name]; !ok || h.Typeflag != kind {
			t.Errorf("%s: %+v", name, h)
		}
	}
	if h := files["etc/ssl/certs/ca-certificates.crt"]; h.Size < 100<<10 {
		t.Errorf("the authorities are %d bytes", h.Size)
	}
	for name := range files {
		if strings.HasPrefix(name, "usr/share/doc/") && !strings.HasSuffix(name, "/") {
			t.Errorf("%s is there", name)
		}
	}
}

// entries returns what the one layer of an archive holds.
func entries(t *testing.T, archive string) map[string]tar.Header {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var layer string
	small := map[string][]byte{}
	dir := t.TempDir()
	for tr := tar.NewReader(f); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Size < 1<<16 {
			if small[h.Name], err = io.ReadAll(tr); err != nil {
				t.Fatal(err)
			}
			continue
		}
		layer = filepath.Join(dir, "layer")
		out, err := os.Create(layer)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(out, tr); err != nil {
			t.Fatal(err)
		}
		_ = out.Close()
	}
	var index struct {
		Manifests []struct{ Digest string }
	}
	if err := json.Unmarshal(small["index.json"], &index); err != nil || len(index.Manifests) != 1 || layer == "" {
		t.Fatalf("index.json is %s, %v", small["index.json"], err)
	}
	in, err := os.Open(layer)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	z, err := zstd.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	out := map[string]tar.Header{}
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := out[h.Name]; twice {
			t.Errorf("%s is there twice", h.Name)
		}
		out[h.Name] = *h
	}
}
