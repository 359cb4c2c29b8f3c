package runtime

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/pandabox/pandabox/pkg/model"
)

// The directory always holds a README, so that this compiles before `make parts` has run.
//
//go:embed all:parts
var embedded embed.FS

// ErrNoParts means the binary was built without runc, shim and log writer inside.
var ErrNoParts = errors.New("built without its parts")

var partNames = [...]string{"runc", "shim", "log"}

const sumsFile = "SHA256SUMS"

// parts are the programs unpacked on this box: absolute paths.
type parts struct {
	Dir, Runc, Shim, Log string
}

// unpackParts makes sure that the programs packed in src stand below root, whole, under the hash of their content. Programs
// of an older pandabox are left alone: a shim may still run from there.
func unpackParts(src fs.FS, root string) (parts, error) {
	packed := make(map[string][]byte, len(partNames))
	hash := sha256.New()
	for _, name := range partNames {
		b, err := fs.ReadFile(src, "parts/"+name+".zst")
		if err != nil {
			return parts{}, model.Errorf(model.KindInternal, "this pandabox cannot run containers").
				WithWhy("it was built without its parts (%s is missing)", name).WithHint("run make").Wrap(ErrNoParts)
		}
		packed[name] = b
		hash.Write(b)
	}
	p := partsIn(filepath.Join(root, hex.EncodeToString(hash.Sum(nil))[:16]))
	if verifyParts(p.Dir) == nil {
		return p, nil
	}
	if err := makeDirs(root); err != nil {
		return parts{}, err
	}
	tmp, err := os.MkdirTemp(root, ".unpack-")
	if err != nil {
		return parts{}, fmt.Errorf("unpacking parts: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	if err := unpackInto(tmp, packed); err != nil {
		return parts{}, fmt.Errorf("unpacking parts: %w", err)
	}
	if err := os.RemoveAll(p.Dir); err != nil { // there, but damaged
		return parts{}, fmt.Errorf("unpacking parts: %w", err)
	}
	if err := os.Rename(tmp, p.Dir); err != nil {
		return parts{}, fmt.Errorf("unpacking parts: %w", err)
	}
	return p, nil
}

func partsIn(dir string) parts {
	return parts{Dir: dir, Runc: filepath.Join(dir, "runc"), Shim: filepath.Join(dir, "shim"), Log: filepath.Join(dir, "log")}
}

func unpackInto(dir string, packed map[string][]byte) error {
	var sums strings.Builder
	for _, name := range partNames {
		dec, err := zstd.NewReader(bytes.NewReader(packed[name]), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return err
		}
		var plain bytes.Buffer
		_, err = plain.ReadFrom(dec)
		dec.Close()
		if err != nil {
			return fmt.Errorf("decompressing %s: %w", name, err)
		}
		if err := writeSynced(filepath.Join(dir, name), plain.Bytes(), 0o755); err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(plain.Bytes()), name)
	}
	if err := writeSynced(filepath.Join(dir, sumsFile), []byte(sums.String()), 0o644); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

// verifyParts tells whether the programs in dir are what was unpacked there.
func verifyParts(dir string) error {
	sums, err := os.ReadFile(filepath.Join(dir, sumsFile))
	if err != nil {
		return err
	}
	for _, name := range partNames {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if !strings.Contains(string(sums), fmt.Sprintf("%x  %s\n", sha256.Sum256(b), name)) {
			return fmt.Errorf("%s in %s is damaged", name, dir)
		}
	}
	return nil
}

// removeUnusedParts removes what older versions unpacked below root. used tells of a path whether something still
// refers to a program in it.
func removeUnusedParts(root, current string, used func(dir string) bool) error {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listing parts: %w", err)
	}
	var errs []error
	for _, e := range entries {
		dir := filepath.Join(root, e.Name())
		if dir == current || used(dir) {
			continue
		}
		errs = append(errs, os.RemoveAll(dir))
	}
	return errors.Join(errs...)
}

// runningFrom tells whether any process on the box runs a program out of dir.
func runningFrom(dir string) bool {
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, l := range links {
		if exe, err := os.Readlink(l); err == nil && strings.HasPrefix(exe, dir+"/") {
			return true
		}
	}
	return false
}
