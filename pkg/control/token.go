package control

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// MaxTokenName is the greatest length of a token's name in characters.
const MaxTokenName = 100

// Tokens lets machines and people in.
type Tokens struct{ c *Control }

// NewToken asks for a token.
type NewToken struct {
	Name           string         // what it is for: 1 to MaxTokenName characters
	Role           model.RoleName // at most the actor's own; "" means member
	ExpiresAt      time.Time      // zero: never
	IdempotencyKey string         // "" for none
}

// Authenticate returns who a bearer token is. A missing, unknown, revoked or expired token is KindUnauthenticated.
func (t *Tokens) Authenticate(ctx context.Context, bearer string) (model.Actor, error) {
	return t.c.auth.Authenticate(ctx, bearer)
}

// Create makes a token; the second result is its secret, shown this once (and again to the same idempotency key).
// Hash is left out of every token returned.
func (t *Tokens) Create(ctx context.Context, actor model.Actor, org string, n NewToken) (model.Token, string, error) {
	type made struct {
		Token  model.Token
		Secret string
	}
	var out made
	err := t.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		o, err := t.c.org(tx, actor, identity.TokenManage, org)
		if err != nil {
			return err
		}
		n.Role = cmp.Or(n.Role, model.RoleMember)
		if err := t.c.checkToken(n); err != nil {
			return err
		}
		if n.Role == model.RoleOwner {
			if err := identity.Authorize(actor, identity.OwnerManage, o.ID); err != nil {
				return err
			}
		}
		key := n.IdempotencyKey
		n.IdempotencyKey = ""
		out, err = once(t.c, tx, actor, o.ID, "token.create", key, n, func() (made, error) {
			token, secret, err := t.c.newToken(tx, actor, o.ID, n)
			return made{token, secret}, err
		})
		return err
	})
	return out.Token, out.Secret, err
}

// List returns the org's tokens, newest first.
func (t *Tokens) List(ctx context.Context, actor model.Actor, org string, p Page) (out List[model.Token], err error) {
	cur, err := p.check()
	if err != nil {
		return out, err
	}
	err = t.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		o, err := t.c.org(tx, actor, identity.TokenRead, org)
		if err != nil {
			return err
		}
		found, next, err := tx.Tokens(o.ID, cur.after, cur.limit)
		for i := range found {
			found[i].Hash = nil
		}
		out = page(found, next)
		return err
	})
	return out, err
}

// Revoke ends a token at once. An owner's token takes an owner.
func (t *Tokens) Revoke(ctx context.Context, actor model.Actor, org, id string) error {
	return t.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		o, err := t.c.org(tx, actor, identity.TokenManage, org)
		if err != nil {
			return err
		}
		token, err := tx.Token(id)
		if errors.Is(err, store.ErrNotFound) || (err == nil && token.OrgID != o.ID) {
			return model.NotFound("there is no token %q", id).WithHint("see which there are: pandabox tokens")
		} else if err != nil {
			return err
		}
		if token.Role == model.RoleOwner {
			if err := identity.Authorize(actor, identity.OwnerManage, o.ID); err != nil {
				return err
			}
		}
		if err := tx.DeleteToken(id); err != nil {
			return err
		}
		return t.c.record(tx, actor, o.ID, "token.revoke", token.Name, token.ID)
	})
}

func (c *Control) checkToken(n NewToken) error {
	switch {
	case strings.TrimSpace(n.Name) == "" || utf8.RuneCountInString(n.Name) > MaxTokenName || strings.ContainsFunc(n.Name, unicode.IsControl):
		return model.Invalid("%q is not a name for a token", n.Name).WithHint("say what it is for, in 1 to %d characters", MaxTokenName)
	case !identity.AtLeast(n.Role, model.RoleMember):
		return model.Invalid("%q is not a role", n.Role).WithHint("choose owner, admin or member")
	case !n.ExpiresAt.IsZero() && !n.ExpiresAt.After(c.now()):
		return model.Invalid("the token would have expired already").WithHint("choose a time to come, or leave it out")
	}
	return nil
}

// newToken makes a token and returns it without its hash, with its secret. The actor is authorized already.
func (c *Control) newToken(tx *store.Tx, actor model.Actor, orgID string, n NewToken) (model.Token, string, error) {
	secret, hash := identity.NewSecret(identity.TokenPrefix)
	token := model.Token{
		ID: c.newID("token"), OrgID: orgID, Name: n.Name, Role: n.Role, Hash: hash,
		CreatedBy: nameOf(actor), CreatedAt: c.now(), ExpiresAt: n.ExpiresAt,
	}
	if err := tx.PutToken(token); err != nil {
		return model.Token{}, "", err
	}
	token.Hash = nil
	return token, secret, c.record(tx, actor, orgID, "token.create", token.Name, string(token.Role)+" "+token.ID)
}
