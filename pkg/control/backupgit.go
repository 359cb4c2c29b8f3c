package control

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/pandabox/pandabox/pkg/store"
)

const (
	hostKeyName = "keys/ssh_host_ed25519"
	gitDir      = "git" // git/APPID.git/…
	gitEnds     = ".git"
	maxHostKey  = 64 << 10 // bytes
	maxRefs     = 4 << 20  // bytes of each file of a repository that is no pack: of 2000 branches 0.6 MB
	objectsDir  = "objects/pack/"
)

// Bounds of what a backup holds of the repository of one app. Those of pkg/source/git are lower.
const (
	MaxRepositoryFile  = 6 << 30 // bytes
	MaxRepositoryFiles = 500
)

// PushedTo are the repositories of apps that are pushed. pkg/source/git satisfies it.
type PushedTo interface {
	// Backup gives yield every file of every repository, each repository as of one moment, while pushes go on. name is
	// APPID.git/FILE; content is of size bytes, and may be read until yield returns.
	Backup(ctx context.Context, yield func(name string, size int64, content io.Reader) error) error
}

// HostKeyFile returns the path of the key by which SSH clients know the box, in a data directory.
func HostKeyFile(dataDir string) string {
	return filepath.Join(dataDir, filepath.FromSlash(hostKeyName))
}

// GitDir returns where the repositories of apps are in a data directory.
func GitDir(dataDir string) string { return filepath.Join(dataDir, gitDir) }

// writeRepositories writes what was pushed.
func (c *Control) writeRepositories(ctx context.Context, t *tar.Writer, sums *strings.Builder) error {
	if c.cfg.Git == nil {
		return nil
	}
	return c.cfg.Git.Backup(ctx, func(name string, size int64, content io.Reader) error {
		name = gitDir + "/" + name
		if !isRepositoryFile(name) { // its restore would be refused
			return fmt.Errorf("%q is no file of a repository", name)
		}
		return c.writeSnapshot(ctx, t, sums, name, func(_ context.Context, w io.Writer, told func(int64) error) error {
			if err := told(size); err != nil {
				return err
			}
			_, err := io.Copy(w, content)
			return err
		})
	})
}

// writeHostKey writes the key of the SSH door, where there is one. It is as secret as the master key before it.
func (c *Control) writeHostKey(t *tar.Writer, sums *strings.Builder) error {
	b, err := os.ReadFile(HostKeyFile(c.cfg.DataDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	addSum(sums, hostKeyName, sha256.Sum256(b))
	return c.writeFile(t, hostKeyName, b)
}

// isRepositoryFile tells whether a file of a backup is one of a repository.
func isRepositoryFile(name string) bool {
	parts := strings.SplitN(name, "/", 3)
	if len(parts) < 3 || parts[0] != gitDir {
		return false
	}
	id, ok := strings.CutSuffix(parts[1], gitEnds)
	if !ok || id == "" || len(id) > 64 || strings.Trim(id, "0123456789abcdefghijklmnopqrstuvwxyz-") != "" {
		return false
	}
	return slices.Contains([]string{"HEAD", "config", "packed-refs", "shallow"}, parts[2]) || packOf(parts[2]) != ""
}

// packOf returns the name of the pack that a file of a repository belongs to, "" for another.
func packOf(file string) string {
	name, ok := strings.CutPrefix(file, objectsDir+"pack-")
	hash, ext, _ := strings.Cut(name, ".")
	if !ok || ext != "pack" && ext != "idx" || len(hash) != 40 || strings.Trim(hash, "0123456789abcdef") != "" {
		return ""
	}
	return hash
}

// takeRepositoryFile unpacks one file of a repository.
func (u *unpacked) takeRepositoryFile(name string, r io.Reader) error {
	parts := strings.SplitN(name, "/", 3)
	home := filepath.Join(u.dir, gitDir, parts[1])
	for _, dir := range []string{objectsDir, "refs"} { // git itself takes no folder without them for a repository
		if err := os.MkdirAll(filepath.Join(home, filepath.FromSlash(dir)), 0o700); err != nil {
			return err
		}
	}
	if u.pushed == nil {
		u.pushed = map[string][]string{}
	}
	if u.pushed[parts[1]] = append(u.pushed[parts[1]], parts[2]); len(u.pushed[parts[1]]) > MaxRepositoryFiles {
		return fmt.Errorf("%s is of too many files", parts[1])
	}
	most := int64(maxRefs)
	if packOf(parts[2]) != "" {
		most = MaxRepositoryFile
	}
	// What is cut here has another sum than the backup says.
	_, err := u.save(name, io.LimitReader(r, most+1))
	return err
}

// checkPushed refuses repositories that are not whole, and a host key that is none.
func (u *unpacked) checkPushed() error {
	if u.hostKey {
		b, err := os.ReadFile(filepath.Join(u.dir, filepath.FromSlash(hostKeyName))) // at most maxHostKey
		if err != nil {
			return err
		}
		if _, err := ssh.ParsePrivateKey(b); err != nil {
			return fmt.Errorf("%s is no key: %w", hostKeyName, err)
		}
	}
	for repository, files := range u.pushed {
		halves := map[string]int{}
		for _, f := range files {
			if pack := packOf(f); pack != "" {
				halves[pack]++
			}
		}
		for pack, n := range halves {
			if n != 2 {
				return fmt.Errorf("the pack %s of %s is not whole", pack, repository)
			}
		}
		if !slices.Contains(files, "HEAD") {
			return fmt.Errorf("%s has no HEAD", repository)
		}
	}
	return nil
}

// placePushed puts the host key and the repositories in place, and keeps what was there. Repositories that the backup does
// not have are taken away too: their refs would say of commits that they are deployed, which the restored store does not
// know of, and git would not push them again. Backups from before there were repositories in them leave all as it is.
func (u *unpacked) placePushed(dataDir string) error {
	if u.hostKey {
		file := HostKeyFile(dataDir)
		if err := os.Remove(file + store.EndingBefore); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Link(file, file+store.EndingBefore); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("keeping the SSH host key that is replaced: %w", err)
		}
		if err := os.Rename(filepath.Join(u.dir, filepath.FromSlash(hostKeyName)), file); err != nil {
			return fmt.Errorf("putting the SSH host key in place: %w", err)
		}
	}
	if u.format < formatPushed {
		return nil
	}
	dir := GitDir(dataDir)
	// Where this was interrupted between the two, what was there before is moved away already.
	if _, err := os.Lstat(dir); err == nil {
		if err := os.RemoveAll(dir + store.EndingBefore); err != nil {
			return fmt.Errorf("removing the repositories of the restore before: %w", err)
		}
		if err := os.Rename(dir, dir+store.EndingBefore); err != nil {
			return fmt.Errorf("keeping the repositories that are replaced: %w", err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(u.pushed) == 0 {
		return nil
	}
	if err := os.Rename(filepath.Join(u.dir, gitDir), dir); err != nil {
		return fmt.Errorf("putting the repositories in place: %w", err)
	}
	return nil
}
