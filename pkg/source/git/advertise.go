package git

import (
	"context"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"

	"github.com/pandabox/pandabox/pkg/model"
)

// What a client may ask for.
const (
	receivePack = "git-receive-pack"
	uploadPack  = "git-upload-pack"
)

// advertise tells what a repository has, and what the box can do.
func (s *Server) advertise(ctx context.Context, actor model.Actor, at place, service string, prefix [][]byte, w io.Writer) error {
	id, err := s.cfg.Box.App(ctx, actor, at.org, at.app)
	if err != nil {
		return err
	}
	if id == "" && service == uploadPack {
		return model.NotFound("nothing was pushed to %s yet", at.app).WithHint("git push pandabox main")
	}
	a := packp.NewAdvRefs()
	a.Prefix = prefix
	for _, c := range s.capabilities(service) {
		if err := a.Capabilities.Set(c.name, c.values...); err != nil {
			return fmt.Errorf("telling what the box can do: %w", err)
		}
	}
	if id != "" {
		unlock := s.share(id)
		defer unlock()
		if err := fill(a, openRepo(s.dirOf(id)), service); err != nil {
			return err
		}
	}
	return a.Encode(w)
}

func fill(a *packp.AdvRefs, r *repo, service string) error {
	defer func() { _ = r.Close() }()
	refs, err := r.refs()
	if err != nil {
		return err
	}
	for name, hash := range refs {
		a.References[name] = hash
	}
	shallow, err := r.shallows()
	if err != nil {
		return err
	}
	a.Shallows = sortedHashes(shallow)
	if service != uploadPack {
		return nil
	}
	if h, ok := refs[r.head()]; ok {
		a.Head = &h
		return a.Capabilities.Set(capability.SymRef, "HEAD:"+r.head())
	}
	return nil
}

type can struct {
	name   capability.Capability
	values []string
}

func (s *Server) capabilities(service string) []can {
	out := []can{{capability.OFSDelta, nil}, {capability.Sideband64k, nil}, {capability.Agent, []string{"pandabox/" + s.cfg.Version}}}
	if service == receivePack {
		// Each pack stands for itself, so that what was refused can be forgotten: no-thin.
		out = append(out, can{capability.ReportStatus, nil}, can{capability.DeleteRefs, nil}, can{capability.Atomic, nil}, can{"no-thin", nil})
	}
	return out
}
