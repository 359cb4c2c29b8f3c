package ociimage

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Debian says what an image holds that is made of Debian's packages, taken from this machine's apt and unpacked without
// their scripts. No root and no other tool is needed.
type Debian struct {
	Packages []string          // with all they depend on
	Trees    map[string]string // folders of this machine, by their path in the image; packages do not replace them
	Files    map[string]File   // by absolute path; nothing replaces them
	Links    map[string]string // the target by the link's path
	Leave    []string          // paths, without a leading slash, whose files are left out with all below
	Env      []string
	Command  []string
	Salt     string // says what Trees hold: another Salt makes another image

	Offers     []string `json:",omitempty"` // packages that apt in the image can install, with all they depend on
	Writable   []string `json:",omitempty"` // folders, without a leading slash, that everybody may write to
	StopSignal string   `json:",omitempty"`
	WorkDir    string   `json:",omitempty"`
}

// Archive returns an archive of the image, an OCI layout in a tar. It is made once for a Debian of the same content and
// kept below cache: another process may ask for it at the same time.
func (d Debian) Archive(ctx context.Context, cache string) (string, error) {
	text, err := json.Marshal(d)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	dir := filepath.Join(cache, hex.EncodeToString(sum[:8]))
	out := filepath.Join(dir, "image.tar")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the cache: %w", err)
	}
	unlock, err := locked(filepath.Join(dir, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(out); err == nil {
		return out, nil
	}
	tmp, err := os.MkdirTemp(dir, "new-")
	if err != nil {
		return "", fmt.Errorf("making the cache: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	l, err := d.layer(ctx, tmp, filepath.Join(cache, "packages"))
	if err != nil {
		return "", err
	}
	img, err := compose(l, Spec{Env: d.Env, Command: d.Command, StopSignal: d.StopSignal, WorkDir: d.WorkDir})
	if err != nil {
		return "", err
	}
	made := filepath.Join(tmp, "image.tar")
	f, err := os.Create(made)
	if err != nil {
		return "", fmt.Errorf("making the archive: %w", err)
	}
	_, err = writeImage(f, img)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	return out, os.Rename(made, out)
}

func (d Debian) layer(ctx context.Context, tmp, packages string) (v1.Layer, error) {
	debs, err := download(ctx, tmp, packages, d.Packages)
	if err != nil {
		return nil, err
	}
	leave := append([]string{"usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian", "usr/share/bug"}, d.Leave...)
	r, err := newRootfs(filepath.Join(tmp, "layer"), func(name string) bool {
		return !slices.ContainsFunc(leave, func(l string) bool { return name == l || strings.HasPrefix(name, l+"/") })
	})
	if err != nil {
		return nil, err
	}
	err = d.fill(ctx, r, debs)
	if err == nil && len(d.Offers) > 0 {
		var all []string
		if all, err = download(ctx, tmp, packages, slices.Concat(d.Packages, d.Offers)); err == nil {
			err = offer(ctx, r, debs, all)
		}
	}
	return r.close(err)
}

func (d Debian) fill(ctx context.Context, r *rootfs, debs []string) error {
	for _, dir := range append([]string{"tmp", "var/tmp"}, d.Writable...) {
		if err := r.put(tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o1777}, nil); err != nil {
			return err
		}
	}
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := r.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: dir, Linkname: "usr/" + dir, Mode: 0o777}); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.Files)) {
		if err := r.data(name, d.Files[name]); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.Links)) {
		if err := r.link(name, d.Links[name]); err != nil {
			return err
		}
	}
	for _, at := range slices.Sorted(maps.Keys(d.Trees)) {
		if err := r.tree(at, d.Trees[at]); err != nil {
			return err
		}
	}
	var certs bytes.Buffer
	for _, deb := range debs {
		if err := unpack(ctx, deb, r.archive); err != nil {
			return err
		}
		if strings.HasPrefix(filepath.Base(deb), "ca-certificates_") {
			if err := unpack(ctx, deb, func(in io.Reader) error { return authorities(&certs, in) }); err != nil {
				return err
			}
		}
	}
	if certs.Len() == 0 {
		return nil
	}
	return r.data("/etc/ssl/certs/ca-certificates.crt", File{Data: certs.Bytes()})
}

// download returns the packages and all they depend on, as files in dir.
func download(ctx context.Context, tmp, dir string, packages []string) ([]string, error) {
	none := filepath.Join(tmp, "none")
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "partial"), 0o755), os.MkdirAll(filepath.Join(none, "partial"), 0o755)); err != nil {
		return nil, fmt.Errorf("making the cache: %w", err)
	}
	unlock, err := locked(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	install := func(archives, how string) (string, error) {
		// An empty status: what this machine has installed does not count.
		return apt(ctx, append([]string{"-qq", "-y", "-o", "Dir::State::status=/dev/null", "-o", "APT::Install-Recommends=false", "-o", "Debug::NoLocking=1",
			"-o", "APT::Sandbox::User=root", "-o", "Dir::Cache::archives=" + archives, how, "install"}, packages...)...)
	}
	list, err := install(none, "--print-uris")
	if err != nil { // the lists of packages are missing or old
		if _, uerr := apt(ctx, "-qq", "update"); uerr != nil {
			return nil, errors.Join(err, uerr)
		}
		list, err = install(none, "--print-uris")
	}
	if err != nil {
		return nil, err
	}
	if _, err := install(dir, "--download-only"); err != nil {
		return nil, err
	}
	var out []string
	for row := range strings.Lines(list) { // 'URL' FILE SIZE HASH
		if f := strings.Fields(row); len(f) > 1 {
			out = append(out, filepath.Join(dir, f[1]))
		}
	}
	return out, nil
}

// locked takes a lock that other processes see.
func locked(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the cache: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("locking the cache: %w", err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

func apt(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	var out, fault bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &fault
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, fault.String())
	}
	return out.String(), nil
}

// unpack hands the files of a package to read.
func unpack(ctx context.Context, deb string, read func(io.Reader) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("unpacking %s: %w", deb, err)
	}
	if err := read(out); err != nil {
		cancel()
		return errors.Join(fmt.Errorf("unpacking %s: %w", deb, err), cmd.Wait())
	}
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("unpacking %s: %w", deb, err)
	}
	return nil
}

// authorities appends the certificates of an unpacked ca-certificates.
func authorities(out *bytes.Buffer, in io.Reader) error {
	t := tar.NewReader(in)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if strings.HasSuffix(h.Name, ".crt") {
			if _, err := io.Copy(out, t); err != nil {
				return err
			}
		}
	}
}
