package git

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"compress/zlib"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/pandabox/pandabox/pkg/model"
)

// object writes one into the person's repository as it is, however wrong.
func (w *world) object(kind, content string) string {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "object")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSpace(w.must("hash-object", "-t", kind, "-w", "--literally", file))
}

func entry(mode, name, hash string) string {
	h := plumbing.NewHash(hash)
	return mode + " " + name + "\x00" + string(h[:])
}

// TestTreesThatAreRefused are pushes that git itself would not make.
func TestTreesThatAreRefused(t *testing.T) {
	w := newWorld(t, Config{})
	blob := w.object("blob", "hello\n")
	link := w.object("blob", "/etc")
	inner := w.object("tree", entry("100644", "passwd", blob))
	pointer := w.object("blob", "version https://git-lfs.github.com/spec/v1\noid sha256:"+strings.Repeat("0", 64)+"\nsize 5\n")
	deep := inner
	for range maxDepth + 1 {
		deep = w.object("tree", entry("40000", "d", deep))
	}
	for name, one := range map[string]struct{ tree, says string }{
		"above":         {entry("100644", "..", blob), "leads out of its folder"},
		"a path":        {entry("100644", "../evil", blob), "leads out of its folder"},
		"git's own":     {entry("40000", ".git", inner), "git keeps its own files"},
		"git's, Mac":    {entry("40000", ".g\u200cit", inner), "git keeps its own files"},
		"git's, DOS":    {entry("40000", "GIT~1", inner), "git keeps its own files"},
		"a newline":     {entry("100644", "a\nb", blob), "control character"},
		"too long":      {entry("100644", strings.Repeat("x", maxPath+1), blob), "more than 1024"},
		"twice":         {entry("120000", "a", link) + entry("40000", "a", inner), "is in its folder twice"},
		"a device":      {entry("60000", "sda", blob), ""},
		"a submodule":   {entry("160000", "lib", strings.Repeat("1", 40)), "lib is a submodule"},
		"LFS":           {entry("100644", "big.bin", pointer), "is a pointer of Git LFS"},
		"too deep":      {entry("40000", "d", deep), "folders deep"},
		"an empty link": {entry("120000", "a", w.object("blob", "")), "leads nowhere"},
	} {
		tree := w.object("tree", one.tree)
		commit := w.object("commit", "tree "+tree+"\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\n"+name+"\n")
		out, err := w.git("push", w.url, commit+":refs/heads/main")
		if err == nil || !strings.Contains(out, "rejected") || !strings.Contains(out, one.says) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		w.clean()
	}
	if w.deploys() != 0 {
		t.Error("something was deployed")
	}
}

// pack makes a pack of entries: each a type, the size it says it has, what stands before its content, and that.
func packOf(entries ...[]byte) []byte {
	out := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("PACK"), 2), uint32(len(entries)))
	for _, e := range entries {
		out = append(out, e...)
	}
	sum := sha1.Sum(out)
	return append(out, sum[:]...)
}

func packed(t plumbing.ObjectType, size uint64, before, content string) []byte {
	var b bytes.Buffer
	b.Write(entryHead(t, size))
	b.WriteString(before)
	z := zlib.NewWriter(&b)
	_, _ = io.WriteString(z, content)
	_ = z.Close()
	return b.Bytes()
}

func TestPacksThatAreRefused(t *testing.T) {
	w := newWorld(t, Config{MaxBlob: 1 << 20})
	blob := packed(plumbing.BlobObject, 5, "", "hello")
	bomb := string(binary.AppendUvarint(binary.AppendUvarint(nil, 5), 1<<40)) + "\x90\x05"
	many := packOf()
	binary.BigEndian.PutUint32(many[8:], MaxObjects+1)
	for name, one := range map[string]struct {
		pack []byte
		says string
		kind model.Kind
	}{
		"nothing":              {nil, "there is no pack", model.KindInvalid},
		"no pack":              {[]byte("hello, this is no pack at all"), "cannot be read", model.KindInvalid},
		"cut short":            {packOf(blob)[:20], "cannot be read", model.KindInvalid},
		"without a sum":        {packOf(blob)[:len(packOf(blob))-20], "is damaged", model.KindInvalid},
		"with more behind it":  {append(packOf(blob), "more"...), "something follows the pack", model.KindInvalid},
		"a wrong sum":          {append(packOf(blob)[:len(packOf(blob))-1], 0), "is damaged", model.KindInvalid},
		"too many":             {many, "1000001 objects", model.KindTooLarge},
		"a large object":       {packOf(packed(plumbing.BlobObject, 2<<20, "", "x")), "a file in the push is 2 MB", model.KindTooLarge},
		"more than it says":    {packOf(packed(plumbing.BlobObject, 5, "", strings.Repeat("x", 1000))), "cannot be read", model.KindInvalid},
		"less than it says":    {packOf(packed(plumbing.BlobObject, 50, "", "x")), "not as long as it says", model.KindInvalid},
		"a difference's bomb":  {packOf(blob, packed(plumbing.OFSDeltaObject, uint64(len(bomb)), string([]byte{byte(len(blob))}), bomb)), "a file in the push is", model.KindTooLarge},
		"to what is not there": {packOf(packed(plumbing.REFDeltaObject, 5, strings.Repeat("\x11", 20), "\x05\x05\x90\x05\x00")), "", model.KindInvalid},
	} {
		dir := t.TempDir()
		err := w.server.take(t.Context(), bytes.NewReader(one.pack), dir)
		if err == nil || !strings.Contains(err.Error(), one.says) || model.KindOf(err) != one.kind {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: %v is left", name, left)
		}
	}
	if err := w.server.take(t.Context(), bytes.NewReader(packOf(blob)), t.TempDir()); err != nil {
		t.Errorf("a good pack: %v", err)
	}
}

func line(s string) string { return fmt.Sprintf("%04x%s", len(s)+4, s) }

func FuzzReadCommands(f *testing.F) {
	hash, zero := strings.Repeat("a", 40), strings.Repeat("0", 40)
	f.Add([]byte("0000"))
	f.Add([]byte(line(zero+" "+hash+" refs/heads/main\x00 report-status side-band-64k") + "0000PACK"))
	f.Add([]byte(line("shallow "+hash) + line(hash+" "+zero+" refs/heads/a\x00atomic") + line(zero+" "+hash+" refs/tags/b\n") + "0000"))
	f.Add([]byte("0004"))
	f.Add([]byte("fff1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := readCommands(bytes.NewReader(b))
		if err != nil {
			return
		}
		if len(got.list) > MaxCommands || len(got.shallow) > MaxShallow {
			t.Errorf("%d commands, %d shallow commits", len(got.list), len(got.shallow))
		}
		for i, c := range got.list {
			if slices.ContainsFunc(got.list[:i], func(o command) bool { return o.ref == c.ref }) {
				t.Errorf("%q is there twice", c.ref)
			}
			if checkRef(c.ref) == nil && (strings.Contains(c.ref, "..") || strings.ContainsAny(c.ref, "\n\x00 ") || !strings.HasPrefix(c.ref, "refs/")) {
				t.Errorf("%q is taken for a name", c.ref)
			}
		}
	})
}

func FuzzParsePlace(f *testing.F) {
	for _, s := range []string{"/git/shop.git", "shop", "/acme/shop.git", "../../etc/passwd", "'shop.git'", "/git/git/shop"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, err := parsePlace(s)
		if err == nil && (model.CheckName("org", at.org) != nil || model.CheckName("app", at.app) != nil) {
			t.Errorf("%q means %v", s, at)
		}
		if service, path, ok := splitCommand(s); ok && (path == "" || service != receivePack && service != uploadPack) {
			t.Errorf("%q runs %q %q", s, service, path)
		}
	})
}
