package control

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// Repositories are apps' code at forges.
type Repositories struct{ c *Control }

// Bounds of repositories.
const (
	MaxRepositories = 5    // of one app
	maxSecret       = 4096 // bytes of a token
)

// NewRepository asks to connect a repository.
type NewRepository struct {
	URL       string      // as it is cloned: "https://github.com/acme/shop", "git@github.com:acme/shop.git"
	Forge     model.Forge // "" as the host's name says
	Token     string      // to fetch and to report with; "" none
	DeployKey bool        // make a key pair to fetch with
	GitHubApp string      // name of the GitHub App to open it with; "" none
}

// Repository is a repository as people see it: nothing of it is sealed.
type Repository struct {
	model.Repository
	App    string `json:"app"`
	Hook   string `json:"hook"`             // address of the webhook
	Signed string `json:"signed,omitempty"` // the webhook's secret, told when it is connected
}

// Connect keeps a repository of an app, which is made where it is not there. The answer tells the webhook's secret, this
// once.
func (r *Repositories) Connect(ctx context.Context, actor model.Actor, org, app string, n NewRepository) (out Repository, err error) {
	one, err := n.check()
	if err != nil {
		return out, err
	}
	ref := Ref{Org: org, App: app}
	if err := ref.check(); err != nil {
		return out, err
	}
	err = r.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		o, err := r.c.org(tx, actor, identity.RepositoryManage, org)
		if err != nil {
			return err
		}
		pl, err := r.c.ensure(tx, actor, o, ref, "", "")
		if err != nil {
			return err
		}
		have, err := tx.RepositoriesOf(pl.app.ID)
		switch {
		case err != nil:
			return err
		case len(have) >= MaxRepositories:
			return model.Conflict("%s has %d repositories", app, len(have)).WithHint("take one away: pandabox repos rm")
		case slices.ContainsFunc(have, func(h model.Repository) bool { return h.URL == one.URL }):
			return model.Conflict("%s is connected to %s already", one.URL, app).WithHint("take it away first: pandabox repos rm %s", one.Name)
		}
		one.ID, one.OrgID, one.AppID, one.CreatedBy, one.CreatedAt = r.c.newID("repo"), o.ID, pl.app.ID, nameOf(actor), r.c.now()
		if n.GitHubApp != "" {
			if one.Forge != model.ForgeGitHub {
				return model.Invalid("%s is not at GitHub", one.Name).WithHint("leave --github-app out")
			}
			with, err := r.c.gitHubApp(tx, o, n.GitHubApp)
			if err != nil {
				return err
			}
			one.GitHubApp = with.ID
		}
		secret, err := r.c.sealRepository(&one, n)
		if err != nil {
			return err
		}
		if err := tx.PutRepository(one); err != nil {
			return err
		}
		out = r.shown(one, app)
		if one.GitHubApp == "" {
			out.Signed = secret
		}
		return r.c.record(tx, actor, o.ID, "repository.connect", app, one.URL)
	})
	return out, err
}

// check finds out what a repository's address means.
func (n NewRepository) check() (model.Repository, error) {
	bad := func(why string) (model.Repository, error) {
		return model.Repository{}, model.Invalid("%q is not a repository's address", n.URL).WithWhy("%s", why).
			WithHint("write it as you clone it: https://github.com/acme/shop or git@github.com:acme/shop.git")
	}
	text := strings.TrimSpace(n.URL)
	if len(text) > 1000 || strings.ContainsAny(text, " \t\r\n\x00") {
		return bad("it is too long, or has blanks")
	}
	if user, rest, ok := strings.Cut(text, "@"); ok && !strings.Contains(user, "/") && !strings.Contains(text, "://") { // git@host:path
		if host, p, ok := strings.Cut(rest, ":"); ok {
			text = "ssh://" + user + "@" + host + "/" + strings.TrimPrefix(p, "/")
		}
	}
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return bad(err.Error())
	}
	name := strings.Trim(strings.TrimSuffix(path.Clean(u.Path), ".git"), "/")
	switch {
	case u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "ssh":
		return bad("it is fetched over https or ssh only")
	case u.Hostname() == "" || strings.Count(name, "/") < 1 || u.RawQuery != "" || u.Fragment != "":
		return bad("it names no repository of a host")
	case u.Scheme != "ssh" && u.User != nil:
		return bad("a password does not belong into it: give a token with --token -")
	case u.Scheme == "ssh" && n.Token != "":
		return bad("a token is of no use over ssh")
	case u.Scheme != "ssh" && n.DeployKey:
		return bad("a deploy key is of use over ssh only")
	case n.GitHubApp != "" && (n.Token != "" || u.Scheme == "ssh"):
		return bad("with a GitHub App it needs neither a token nor ssh")
	case len(n.Token) > maxSecret:
		return bad("the token is too long")
	}
	out := model.Repository{Forge: cmp.Or(n.Forge, forgeOf(u.Hostname())), Name: name}
	if u.Scheme == "ssh" && u.User == nil {
		u.User = url.User("git")
	}
	u.Path = "/" + name + ".git"
	out.URL = u.String()
	switch out.Forge {
	case model.ForgeGitHub, model.ForgeGitLab, model.ForgeGitea:
		return out, nil
	case "":
		return out, model.Invalid("which forge is %s?", u.Hostname()).WithHint("say it: --forge github, gitlab or gitea (Forgejo too)")
	}
	return out, model.Invalid("%q is not a forge", out.Forge).WithHint("choose github, gitlab or gitea (Forgejo too)")
}

// forgeOf returns the forge that a host's name stands for, "" where it does not say.
func forgeOf(host string) model.Forge {
	for part, forge := range map[string]model.Forge{
		"github": model.ForgeGitHub, "gitlab": model.ForgeGitLab, "gitea": model.ForgeGitea, "forgejo": model.ForgeGitea, "codeberg": model.ForgeGitea,
	} {
		if strings.Contains(host, part) {
			return forge
		}
	}
	return ""
}

// sealRepository makes the secrets of a repository, and returns that of its webhook.
func (c *Control) sealRepository(r *model.Repository, n NewRepository) (string, error) {
	secret, _ := identity.NewSecret("")
	var err error
	if r.Secret, err = c.keys.Seal([]byte(secret), "repository", r.ID, "secret"); err != nil {
		return "", err
	}
	if n.Token != "" {
		if r.Token, err = c.keys.Seal([]byte(n.Token), "repository", r.ID, "token"); err != nil {
			return "", err
		}
	}
	if !n.DeployKey {
		return secret, nil
	}
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", fmt.Errorf("making a deploy key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, "pandabox")
	if err != nil {
		return "", fmt.Errorf("making a deploy key: %w", err)
	}
	shared, err := ssh.NewPublicKey(pub)
	if err != nil {
		return "", fmt.Errorf("making a deploy key: %w", err)
	}
	r.PublicKey = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(shared))) + " pandabox"
	r.Key, err = c.keys.Seal(pem.EncodeToMemory(block), "repository", r.ID, "key")
	return secret, err
}

// shown leaves out what is sealed.
func (r *Repositories) shown(one model.Repository, app string) Repository {
	one.Secret, one.Token, one.Key = nil, nil, nil
	at := one.ID
	if one.GitHubApp != "" {
		at = one.GitHubApp
	}
	return Repository{Repository: one, App: app, Hook: r.c.url.String() + "/hooks/" + at}
}

// List returns the org's repositories, or those of one app.
func (r *Repositories) List(ctx context.Context, actor model.Actor, org, app string) (out []Repository, err error) {
	err = r.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		o, err := r.c.org(tx, actor, identity.AppRead, org)
		if err != nil {
			return err
		}
		all, err := tx.Repositories(o.ID)
		for _, one := range all {
			a, err := tx.App(one.AppID)
			if err != nil {
				return err
			}
			if app == "" || a.Name == app {
				out = append(out, r.shown(one, a.Name))
			}
		}
		return err
	})
	return out, err
}

// find returns a repository by its id or, in the org, by its name.
func (r *Repositories) find(tx *store.Tx, actor model.Actor, p identity.Permission, org, id string) (model.Org, model.Repository, error) {
	o, err := r.c.org(tx, actor, p, org)
	if err != nil {
		return o, model.Repository{}, err
	}
	all, err := tx.Repositories(o.ID)
	if err != nil {
		return o, model.Repository{}, err
	}
	for _, one := range all {
		if one.ID == id || one.Name == id {
			return o, one, nil
		}
	}
	return o, model.Repository{}, model.NotFound("there is no repository %q", id).WithHint("see which there are: pandabox repos")
}

// Remove forgets a repository: its webhook is not answered any more.
func (r *Repositories) Remove(ctx context.Context, actor model.Actor, org, id string) error {
	return r.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		o, one, err := r.find(tx, actor, identity.RepositoryManage, org, id)
		if err != nil {
			return err
		}
		if err := tx.DeleteRepository(one.ID); err != nil {
			return err
		}
		return r.c.record(tx, actor, o.ID, "repository.remove", one.Name, one.URL)
	})
}

// Deliveries returns what a repository's forge told of, newest first, at most MaxPageLimit.
func (r *Repositories) Deliveries(ctx context.Context, actor model.Actor, org, id string) (out []model.Delivery, err error) {
	err = r.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		_, one, err := r.find(tx, actor, identity.AppRead, org, id)
		if err != nil {
			return err
		}
		out, err = tx.Deliveries(one.ID, DefaultPageLimit)
		return err
	})
	return out, err
}

// OpenRepository is a repository with its secrets, for the door that talks to its forge.
type OpenRepository struct {
	model.Repository
	Org    string
	App    string
	Secret string
	Token  string
	Key    string // PEM

	AppKey    string // of the GitHub App it is opened with, PEM; "" none
	AppNumber int64  // GitHub's id of it
}

// Actor is who acts for the repository: a member of its org.
func (o OpenRepository) Actor() model.Actor {
	return model.Actor{ID: o.ID, Name: o.Name + " at " + string(o.Forge), Roles: map[string]model.RoleName{o.OrgID: model.RoleMember}}
}

// Open returns a repository with its secrets. It authorizes nobody: it is for the door, which checks signatures.
func (r *Repositories) Open(ctx context.Context, id string) (out OpenRepository, err error) {
	err = r.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		one, err := tx.Repository(id)
		if errors.Is(err, store.ErrNotFound) {
			return model.NotFound("there is no such repository").WithHint("see which there are: pandabox repos")
		} else if err != nil {
			return err
		}
		o, err := tx.Org(one.OrgID)
		if err != nil {
			return err
		}
		a, err := tx.App(one.AppID)
		if err != nil {
			return err
		}
		out = OpenRepository{Repository: one, Org: o.Name, App: a.Name}
		for part, v := range map[string]struct {
			sealed []byte
			into   *string
		}{"secret": {one.Secret, &out.Secret}, "token": {one.Token, &out.Token}, "key": {one.Key, &out.Key}} {
			if v.sealed == nil {
				continue
			}
			plain, err := r.c.keys.Open(v.sealed, "repository", one.ID, part)
			if err != nil {
				return fmt.Errorf("opening the %s of repository %s: %w", part, one.ID, err)
			}
			*v.into = string(plain)
		}
		if one.GitHubApp == "" {
			return nil
		}
		with, err := tx.GitHubApp(one.GitHubApp)
		if err != nil {
			return err
		}
		out.AppNumber = with.AppID
		out.AppKey, err = r.c.openGitHubApp(with, "key", with.Key)
		return err
	})
	return out, err
}

// Trust keeps a forge's SSH host key when it is first seen.
func (r *Repositories) Trust(ctx context.Context, id, hostKey string) error {
	return r.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		one, err := tx.Repository(id)
		if err != nil || one.HostKey != "" {
			return err
		}
		one.HostKey = hostKey
		return tx.PutRepository(one)
	})
}

// Accept keeps a delivery to be done, and tells whether it is new: one that came before is not done again.
func (r *Repositories) Accept(ctx context.Context, d model.Delivery) (fresh bool, err error) {
	err = r.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Delivery(d.ID); err == nil || !errors.Is(err, store.ErrNotFound) {
			return err
		}
		fresh, d.At = true, r.c.now()
		if d.State.Final() {
			d.EndedAt = d.At
		}
		return tx.PutDelivery(d)
	})
	return fresh, err
}

// Pending returns the deliveries still to be done, oldest first.
func (r *Repositories) Pending(ctx context.Context) (out []model.Delivery, err error) {
	err = r.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		out, err = tx.OpenDeliveries()
		return err
	})
	return out, err
}

// End writes down what became of a delivery, for good or until what it waits for is decided. One whose repository is gone is passed over.
func (r *Repositories) End(ctx context.Context, d model.Delivery) error {
	return r.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.Delivery(d.ID)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		now.State, now.Detail, now.Deploys, now.Held = d.State, d.Detail, d.Deploys, d.Held
		if d.State.Final() {
			now.EndedAt = r.c.now()
		}
		return tx.PutDelivery(now)
	})
}
