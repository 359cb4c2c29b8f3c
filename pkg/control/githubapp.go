package control

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// GitHubApps open repositories at GitHub without a token for each.
type GitHubApps struct{ c *Control }

// NewGitHubApp asks to keep a GitHub App.
type NewGitHubApp struct {
	Name       string
	AppID      int64  // as GitHub shows it
	PrivateKey string // PEM, as GitHub makes it
}

// GitHubApp is a GitHub App as people see it.
type GitHubApp struct {
	model.GitHubApp
	Hook   string `json:"hook"`             // address of the webhook
	Signed string `json:"signed,omitempty"` // its secret, told when it is added
}

const gitHubAppPrefix = "githubapp"

// IsGitHubApp tells whether a webhook's id is that of a GitHub App.
func IsGitHubApp(id string) bool { return strings.HasPrefix(id, gitHubAppPrefix+"-") }

// Add keeps a GitHub App. The answer tells the secret of its webhook, this once.
func (g *GitHubApps) Add(ctx context.Context, actor model.Actor, org string, n NewGitHubApp) (out GitHubApp, err error) {
	if err := model.CheckName("GitHub App", n.Name); err != nil {
		return out, err
	}
	if n.AppID < 1 {
		return out, model.Invalid("%d is not the id of a GitHub App", n.AppID).WithHint("it stands on the app's page at GitHub, as App ID")
	}
	if len(n.PrivateKey) > 16<<10 {
		return out, model.Errorf(model.KindTooLarge, "the private key is %d bytes long", len(n.PrivateKey))
	}
	if _, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(n.PrivateKey)); err != nil {
		return out, model.Invalid("that is no private key of a GitHub App").Wrap(err).WithHint("give the .pem file that GitHub made: Private keys, Generate a private key")
	}
	err = g.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		o, err := g.c.org(tx, actor, identity.RepositoryManage, org)
		if err != nil {
			return err
		}
		if _, err := tx.GitHubAppNamed(o.ID, n.Name); err == nil {
			return model.Conflict("there is a GitHub App %s already", n.Name).WithHint("choose another name, or remove that: pandabox repos app rm %s", n.Name)
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		one := model.GitHubApp{ID: g.c.newID(gitHubAppPrefix), OrgID: o.ID, Name: n.Name, AppID: n.AppID, CreatedBy: nameOf(actor), CreatedAt: g.c.now()}
		secret, _ := identity.NewSecret("")
		if one.Secret, err = g.c.keys.Seal([]byte(secret), gitHubAppPrefix, one.ID, "secret"); err != nil {
			return err
		}
		if one.Key, err = g.c.keys.Seal([]byte(n.PrivateKey), gitHubAppPrefix, one.ID, "key"); err != nil {
			return err
		}
		if err := tx.PutGitHubApp(one); err != nil {
			return err
		}
		out = g.shown(one)
		out.Signed = secret
		return g.c.record(tx, actor, o.ID, "githubapp.add", n.Name, fmt.Sprintf("app id %d", n.AppID))
	})
	return out, err
}

func (g *GitHubApps) shown(one model.GitHubApp) GitHubApp {
	one.Secret, one.Key = nil, nil
	return GitHubApp{GitHubApp: one, Hook: g.c.url.String() + "/hooks/" + one.ID}
}

// List returns the org's GitHub Apps by name.
func (g *GitHubApps) List(ctx context.Context, actor model.Actor, org string) (out []GitHubApp, err error) {
	err = g.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		o, err := g.c.org(tx, actor, identity.AppRead, org)
		if err != nil {
			return err
		}
		all, err := tx.GitHubApps(o.ID)
		for _, one := range all {
			out = append(out, g.shown(one))
		}
		return err
	})
	return out, err
}

// Remove forgets a GitHub App that no repository is opened with.
func (g *GitHubApps) Remove(ctx context.Context, actor model.Actor, org, name string) error {
	return g.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		o, err := g.c.org(tx, actor, identity.RepositoryManage, org)
		if err != nil {
			return err
		}
		one, err := g.c.gitHubApp(tx, o, name)
		if err != nil {
			return err
		}
		all, err := tx.Repositories(o.ID)
		if err != nil {
			return err
		}
		for _, r := range all {
			if r.GitHubApp == one.ID {
				return model.Conflict("%s is opened with the GitHub App %s", r.Name, name).WithHint("take it away first: pandabox repos rm %s", r.Name)
			}
		}
		if err := tx.DeleteGitHubApp(one.ID); err != nil {
			return err
		}
		return g.c.record(tx, actor, o.ID, "githubapp.remove", name, "")
	})
}

func (c *Control) gitHubApp(tx *store.Tx, o model.Org, name string) (model.GitHubApp, error) {
	one, err := tx.GitHubAppNamed(o.ID, name)
	if errors.Is(err, store.ErrNotFound) {
		err = model.NotFound("there is no GitHub App %q", name).WithHint("add it: pandabox repos app add")
	}
	return one, err
}

// Secret returns the secret of an app's webhook. It authorizes nobody: it is for the door, which checks signatures.
func (g *GitHubApps) Secret(ctx context.Context, id string) (secret string, err error) {
	err = g.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		one, err := tx.GitHubApp(id)
		if errors.Is(err, store.ErrNotFound) {
			return model.NotFound("there is no such GitHub App").WithHint("see which there are: pandabox repos app")
		} else if err != nil {
			return err
		}
		secret, err = g.c.openGitHubApp(one, "secret", one.Secret)
		return err
	})
	return secret, err
}

func (c *Control) openGitHubApp(one model.GitHubApp, part string, sealed []byte) (string, error) {
	plain, err := c.keys.Open(sealed, gitHubAppPrefix, one.ID, part)
	if err != nil {
		return "", fmt.Errorf("opening the %s of GitHub App %s: %w", part, one.ID, err)
	}
	return string(plain), nil
}

// Repository returns the id of the repository of that name which is opened with an app; KindNotFound when there is none.
func (g *GitHubApps) Repository(ctx context.Context, id, name string) (repositoryID string, err error) {
	err = g.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		one, err := tx.GitHubApp(id)
		if err != nil {
			return err
		}
		all, err := tx.Repositories(one.OrgID)
		if err != nil {
			return err
		}
		for _, r := range all {
			if r.GitHubApp == id && strings.EqualFold(r.Name, name) {
				repositoryID = r.ID
				return nil
			}
		}
		return model.NotFound("%s is not connected", name).WithHint("pandabox repos connect https://github.com/%s --github-app %s", name, one.Name)
	})
	return repositoryID, err
}
