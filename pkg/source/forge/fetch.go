package forge

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"golang.org/x/crypto/ssh"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/model"
	sourcegit "github.com/pandabox/pandabox/pkg/source/git"
)

// Bounds of fetching one commit.
const (
	fetchTime = 10 * time.Minute
	fetchMax  = 1 << 30 // bytes on the disk
)

// fetched is a commit that is here.
type fetched struct {
	ref    string // of the forge's
	commit *object.Commit
	repo   *sourcegit.Fetched
}

func (f fetched) close() {
	if f.repo != nil {
		_ = f.repo.Close() // nothing is written to it any more
	}
}

// fetch gets the commit that the first of some references which is there is at, and nothing before it, into an empty
// folder. The caller closes it.
func (s *Server) fetch(ctx context.Context, repo control.OpenRepository, dir string, refs ...string) (out fetched, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	ctx, tooLarge := watchSize(ctx, dir)
	defer tooLarge.stop()
	auth, err := s.auth(ctx, repo)
	if err != nil {
		return fetched{}, err
	}
	here := sourcegit.OpenFetched(ctx, dir, s.looks)
	defer func() {
		if err != nil {
			_ = here.Close() // it was not to be had
		}
	}()
	r, err := git.Init(here, nil)
	if err != nil {
		return fetched{}, fmt.Errorf("making a folder to fetch into: %w", err)
	}
	remote, err := r.CreateRemote(&config.RemoteConfig{Name: "origin", URLs: []string{repo.URL}})
	if err != nil {
		return fetched{}, fmt.Errorf("naming the repository: %w", err)
	}
	const head = "refs/pandabox/head"
	var ref string
	for _, ref = range refs {
		err = remote.FetchContext(ctx, &git.FetchOptions{Depth: 1, Auth: auth, Tags: git.NoTags, RefSpecs: []config.RefSpec{config.RefSpec("+" + ref + ":" + head)}})
		if !errors.As(err, new(git.NoMatchingRefSpecError)) {
			break
		}
	}
	if err != nil {
		return fetched{}, s.unfetched(ctx, repo, ref, err, tooLarge)
	}
	at, err := r.Reference(plumbing.ReferenceName(head), true)
	if err != nil {
		return fetched{}, fmt.Errorf("reading what was fetched: %w", err)
	}
	c, err := r.CommitObject(at.Hash())
	if err != nil {
		return fetched{}, model.Invalid("%s of %s is no commit", ref, repo.Name).Wrap(err)
	}
	return fetched{ref, c, here}, nil
}

// tree writes the commit's files into an empty folder.
func (f fetched) tree(ctx context.Context, dir string) error {
	return sourcegit.WriteTree(ctx, f.repo, f.commit.TreeHash, dir)
}

// auth returns how the repository is opened: a deploy key, a token, or nothing where it is public.
func (s *Server) auth(ctx context.Context, repo control.OpenRepository) (transport.AuthMethod, error) {
	switch {
	case repo.Key != "":
		keys, err := gitssh.NewPublicKeys("git", []byte(repo.Key), "")
		if err != nil {
			return nil, fmt.Errorf("opening the deploy key: %w", err)
		}
		keys.HostKeyCallback = func(_ string, _ net.Addr, key ssh.PublicKey) error {
			now := key.Type() + " " + base64.StdEncoding.EncodeToString(key.Marshal())
			switch {
			case repo.HostKey == "":
				return s.cfg.Control.Repositories.Trust(ctx, repo.ID, now)
			case repo.HostKey != now:
				return errHostKey
			}
			return nil
		}
		return keys, nil
	case repo.Token != "":
		user := "x-access-token" // GitHub; Gitea takes any
		if repo.Forge == model.ForgeGitLab {
			user = "oauth2"
		}
		return &githttp.BasicAuth{Username: user, Password: repo.Token}, nil
	}
	return nil, nil
}

var errHostKey = errors.New("the host shows another key than before")

// unfetched says why a repository could not be fetched.
func (s *Server) unfetched(ctx context.Context, repo control.OpenRepository, ref string, err error, size *sizeWatch) error {
	var refused *model.Error
	switch {
	case size.exceeded():
		return model.Errorf(model.KindTooLarge, "the commit of %s is larger than %d MB", repo.Name, fetchMax>>20).WithHint("keep large files out of the repository")
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return model.Errorf(model.KindTimeout, "fetching %s took longer than %s", repo.Name, fetchTime).Wrap(err)
	case errors.As(err, &refused): // what was fetched is
		return err
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed), strings.Contains(err.Error(), "unable to authenticate"):
		return model.Errorf(model.KindForbidden, "%s does not let this box fetch %s", repo.Forge, repo.Name).Wrap(err).
			WithHint("connect it with a token that may read it (--token -), or enter the deploy key at the forge: pandabox repos")
	case errors.Is(err, errHostKey):
		return model.Conflict("the host of %s shows another SSH key than before", repo.Name).Wrap(err).
			WithHint("if that is right, connect the repository again: pandabox repos rm, then connect")
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return model.NotFound("there is no repository %s, or this box may not see it", repo.URL).Wrap(err).WithHint("connect it with a token: --token -")
	}
	if errors.As(err, new(git.NoMatchingRefSpecError)) {
		return nothing{ref + " is gone"}
	}
	return model.Errorf(model.KindUnavailable, "%s cannot be fetched", repo.Name).Wrap(err).WithWhy("%s", err).WithHint("is %s up, and its address right?", repo.Forge)
}

// sizeWatch ends a context when a folder grows too large.
type sizeWatch struct {
	cancel context.CancelCauseFunc
	done   chan struct{}
	ctx    context.Context //nolint:containedctx // it is what is watched
}

var errSize = errors.New("too large")

func watchSize(ctx context.Context, dir string) (context.Context, *sizeWatch) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &sizeWatch{cancel: cancel, done: make(chan struct{}), ctx: ctx}
	go func() {
		defer close(w.done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if sizeOf(dir) > fetchMax {
					cancel(errSize)
				}
			}
		}
	}()
	return ctx, w
}

func (w *sizeWatch) exceeded() bool { return errors.Is(context.Cause(w.ctx), errSize) }

func (w *sizeWatch) stop() {
	w.cancel(nil)
	<-w.done
}

func sizeOf(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error { // files come and go
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

func isHash(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

func isZero(hash string) bool { return strings.Trim(hash, "0") == "" }

func itoa(n int) string { return strconv.Itoa(n) }

// remove takes a folder away.
func remove(dir string) { _ = os.RemoveAll(dir) } // source.New removes what stays
