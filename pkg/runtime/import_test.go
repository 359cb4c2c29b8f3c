package runtime_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest"
	"github.com/pandabox/pandabox/pkg/runtime/runtimetest/boxtest"
)

func otherArch() string {
	if goruntime.GOARCH == "arm64" {
		return "amd64"
	}
	return "arm64"
}

// tiny is an image without the test app.
func tiny(t *testing.T, spec runtimetest.ImageSpec) *runtimetest.Built {
	spec.NoApp = true
	spec.Files = append(spec.Files, runtimetest.File{Path: "/etc/passwd", Content: []byte("root:x:0:0::/:/bin/sh\nweb:x:1000:1001::/:/bin/sh\n")},
		runtimetest.File{Path: "/etc/group", Content: []byte("root:x:0:\nweb:x:1001:\nextra:x:2000:web\n")})
	return runtimetest.Build(t, spec)
}

func TestImportForms(t *testing.T) {
	cfg := boxtest.Config(t)
	r := boxtest.Start(t, cfg)
	spec := runtimetest.ImageSpec{
		Entrypoint: []string{"/app"}, Cmd: []string{"serve"}, Ports: []int{9000, 80}, User: "web", Layers: 2,
		Files: []runtimetest.File{{Path: "/usr/bin/busybox", Mode: 0o755, Content: []byte("x")}, {Path: "/bin", Link: "usr/bin"},
			{Path: "/usr/bin/sh", Link: "/bin/busybox"}},
	}
	b := tiny(t, spec)
	other := tiny(t, runtimetest.ImageSpec{Arch: otherArch(), Files: []runtimetest.File{{Path: "/other"}}})
	plain, err := io.ReadAll(runtimetest.Tar(t, b.OCI()))
	if err != nil {
		t.Fatal(err)
	}
	var gz, zst bytes.Buffer
	w := gzip.NewWriter(&gz)
	z, err := zstd.NewWriter(&zst)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []io.WriteCloser{w, z} {
		if _, err := c.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for name, src := range map[string]io.Reader{
		"OCI layout":         bytes.NewReader(plain),
		"one byte at a time": iotest.HalfReader(bytes.NewReader(plain)),
		"gzip":               &gz,
		"zstd":               &zst,
		"docker archive":     runtimetest.Tar(t, b.Docker(t, "shop:1")),
		"several platforms": runtimetest.Tar(t, runtimetest.MultiPlatform(
			runtimetest.Platformed{Arch: otherArch(), Image: other}, runtimetest.Platformed{Arch: goruntime.GOARCH, Image: b})),
	} {
		t.Run(name, func(t *testing.T) {
			img, err := r.Import(t.Context(), src)
			if err != nil {
				t.Fatal(err)
			}
			if name != "docker archive" && img.Digest != b.Manifest {
				t.Errorf("digest %s, want %s", img.Digest, b.Manifest)
			}
			c := img.Config
			if !slices.Equal(c.Entrypoint, spec.Entrypoint) || !slices.Equal(c.Cmd, spec.Cmd) || !slices.Equal(c.Ports, []int{80, 9000}) || c.User != "web" || !c.Shell {
				t.Errorf("configuration %+v", c)
			}
		})
	}
	left, err := r.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range left { // the other platform's content goes with the lease, sooner or later
		if strings.HasPrefix(l, "lease") || strings.HasPrefix(l, "unfinished") || strings.Contains(l, "inspect") {
			t.Errorf("left behind: %s", l)
		}
	}
}

func TestImportRefuses(t *testing.T) {
	cfg := boxtest.Config(t)
	r := boxtest.Start(t, cfg)
	good := tiny(t, runtimetest.ImageSpec{})
	plain, err := io.ReadAll(runtimetest.Tar(t, good.OCI()))
	if err != nil {
		t.Fatal(err)
	}
	edit := func(fn func([]runtimetest.File) []runtimetest.File) io.Reader {
		return runtimetest.Tar(t, fn(good.OCI()))
	}
	drop := func(digest string) io.Reader {
		return edit(func(all []runtimetest.File) []runtimetest.File {
			return slices.DeleteFunc(all, func(f runtimetest.File) bool { return strings.HasSuffix(f.Path, digest[7:]) })
		})
	}
	rebuilt := func(change func(config, manifest map[string]any)) io.Reader {
		return runtimetest.Tar(t, reworked(t, good, change))
	}
	cases := []struct {
		name string
		src  io.Reader
		kind model.Kind
		says string
	}{
		{"nothing", strings.NewReader(""), model.KindInvalid, ""},
		{"garbage", strings.NewReader(strings.Repeat("garbage", 1000)), model.KindInvalid, ""},
		{"broken gzip", bytes.NewReader([]byte{0x1f, 0x8b, 8, 0, 1, 2, 3}), model.KindInvalid, ""},
		{"another tar", runtimetest.Tar(t, []runtimetest.File{{Path: "/hello", Content: []byte("x")}}), model.KindInvalid, ""},
		{"cut in the middle", bytes.NewReader(plain[:len(plain)/2+100]), model.KindInvalid, "too early"},
		{"cut near the end", bytes.NewReader(plain[:len(plain)-1600]), model.KindInvalid, ""},
		{"connection lost", io.MultiReader(bytes.NewReader(plain[:len(plain)/2]), iotest.ErrReader(errors.New("reset"))), model.KindCanceled, "not sent to its end"},
		{"no configuration", drop(good.Config), model.KindInvalid, "missing"},
		{"no layer", drop(good.Layers[0]), model.KindInvalid, "missing"},
		{"no manifest", drop(good.Manifest), model.KindInvalid, "missing"},
		{"digest mismatch", edit(func(all []runtimetest.File) []runtimetest.File {
			for i := range all {
				if strings.HasSuffix(all[i].Path, good.Layers[0][7:]) {
					all[i].Content = append(slices.Clone(all[i].Content), 0)
				}
			}
			return all
		}), model.KindInvalid, "digest mismatch"},
		{"wrong architecture", runtimetest.Tar(t, tiny(t, runtimetest.ImageSpec{Arch: otherArch()}).OCI()), model.KindInvalid, "architecture"},
		{"only other platforms", runtimetest.Tar(t, runtimetest.MultiPlatform(runtimetest.Platformed{Arch: "s390x", Image: tiny(t, runtimetest.ImageSpec{Arch: "s390x"})})), model.KindInvalid, "architecture"},
		{"index that lies about the platform", runtimetest.Tar(t, runtimetest.MultiPlatform(runtimetest.Platformed{Arch: goruntime.GOARCH, Image: tiny(t, runtimetest.ImageSpec{Arch: otherArch()})})), model.KindInvalid, "architecture"},
		{"several images", runtimetest.Tar(t, runtimetest.MultiPlatform(runtimetest.Platformed{Arch: goruntime.GOARCH, Image: good},
			runtimetest.Platformed{Arch: goruntime.GOARCH, Image: tiny(t, runtimetest.ImageSpec{Env: []string{"A=1"}})})), model.KindInvalid, "several"},
		{"unknown user", runtimetest.Tar(t, tiny(t, runtimetest.ImageSpec{User: "nobody-knows"}).OCI()), model.KindInvalid, "user"},
		{"layers that are not what they say", rebuilt(func(c, _ map[string]any) {
			c["rootfs"] = map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + strings.Repeat("1", 64)}}
		}), model.KindInvalid, "not what the configuration says"},
		{"more layers than it has", rebuilt(func(c, _ map[string]any) {
			c["rootfs"] = map[string]any{"type": "layers", "diff_ids": []string{good.DiffIDs[0], good.DiffIDs[0]}}
		}), model.KindInvalid, "layers"},
		{"a configuration without a platform", rebuilt(func(c, _ map[string]any) { delete(c, "architecture"); delete(c, "os") }), model.KindInvalid, "names no platform"},
		{"a manifest of something else", rebuilt(func(_, m map[string]any) { m["layers"] = "none" }), model.KindInvalid, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := r.Import(t.Context(), c.src)
			if model.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%s: %v", model.KindOf(err), err)
			}
			var e *model.Error
			if errors.As(err, &e); e.Hint == "" {
				t.Errorf("no hint with %v", err)
			}
			t.Log(err)
			boxtest.Leftovers(t, r, cfg)
		})
	}
}

// reworked returns an OCI layout with a changed configuration and manifest, digests set right again.
func reworked(t *testing.T, b *runtimetest.Built, change func(config, manifest map[string]any)) []runtimetest.File {
	t.Helper()
	var config, manifest map[string]any
	if err := errors.Join(json.Unmarshal(b.Blobs[b.Config], &config), json.Unmarshal(b.Blobs[b.Manifest], &manifest)); err != nil {
		t.Fatal(err)
	}
	change(config, manifest)
	return b.Rework(t, config, manifest).OCI()
}
