package control

import (
	"cmp"
	"context"
	"crypto/subtle"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// ClaimPeriod is how long a claim link works.
const ClaimPeriod = 24 * time.Hour

// Box is the box itself: who owns it, how it is, its backup.
type Box struct{ c *Control }

// BoxInfo describes the box.
type BoxInfo struct {
	Version    string    `json:"version"`
	Instance   string    `json:"instance"` // four characters, see docs/decisions/0001
	BaseDomain string    `json:"baseDomain"`
	URL        string    `json:"url"`               // of the API, as seen from outside
	SSHPort    int       `json:"sshPort,omitempty"` // where git push over SSH is taken; 0: nowhere
	Claimed    bool      `json:"claimed"`
	CreatedAt  time.Time `json:"createdAt"`
}

// Claim is a one-time link that makes its first user the owner of the box.
type Claim struct {
	Secret    string    `json:"secret"`
	URL       string    `json:"url"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// Info describes the box to anybody who is signed in.
func (b *Box) Info(ctx context.Context, actor model.Actor) (BoxInfo, error) {
	cfg := b.c.cfg
	out := BoxInfo{Version: cfg.Version, Instance: cfg.Instance, BaseDomain: cfg.BaseDomain, URL: strings.TrimSuffix(cfg.URL, "/"), SSHPort: cfg.SSHPort}
	err := cfg.Store.View(ctx, func(tx *store.Tx) error {
		if _, err := b.c.boxOrg(tx, actor, identity.BoxRead); err != nil {
			return err
		}
		box, err := tx.Box()
		out.Claimed, out.CreatedAt = !box.ClaimedAt.IsZero(), box.CreatedAt
		return err
	})
	if err != nil {
		return BoxInfo{}, err
	}
	return out, nil
}

// Claim exchanges the secret of a claim link for an owner token of the default org; the second result is the token's
// secret, shown this once. Nobody has to be signed in. A wrong, used or expired secret is KindForbidden. name is the
// token's, "" means owner.
func (b *Box) Claim(ctx context.Context, secret, name string) (token model.Token, tokenSecret string, err error) {
	err = b.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		box, err := tx.Box()
		if err != nil {
			return err
		}
		now := b.c.now()
		if cl := box.Claim; cl == nil || subtle.ConstantTimeCompare(cl.Hash, identity.HashSecret(secret)) != 1 ||
			!cl.UsedAt.IsZero() || !now.Before(cl.ExpiresAt) {
			return model.Errorf(model.KindForbidden, "this link does not work").
				WithWhy("it is wrong, was used already, or is older than %s", ClaimPeriod).
				WithHint("root on the box can make a new one: sudo pandabox claim")
		}
		n := NewToken{Name: cmp.Or(strings.TrimSpace(name), "owner"), Role: model.RoleOwner}
		if err := b.c.checkToken(n); err != nil {
			return err
		}
		o, err := tx.OrgNamed(model.DefaultOrg)
		if err != nil {
			return err
		}
		used := *box.Claim
		used.UsedAt = now
		box.Claim, box.ClaimedAt = &used, now
		if err := tx.PutBox(box); err != nil {
			return err
		}
		owner := model.Actor{Name: "the owner link"}
		if err := b.c.record(tx, owner, o.ID, "box.claim", "this box", ""); err != nil {
			return err
		}
		token, tokenSecret, err = b.c.newToken(tx, owner, o.ID, n)
		return err
	})
	if err != nil {
		return model.Token{}, "", err
	}
	return token, tokenSecret, nil
}

// NewClaim makes a claim link that works once, for 24 hours, in place of the one before. Root on the box only.
func (b *Box) NewClaim(ctx context.Context, actor model.Actor) (out Claim, err error) {
	err = b.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		o, err := b.c.boxOrg(tx, actor, identity.BoxClaim)
		if err != nil {
			return err
		}
		box, err := tx.Box()
		if err != nil {
			return err
		}
		secret, hash := identity.NewSecret(identity.ClaimPrefix)
		box.Claim = &model.Claim{Hash: hash, ExpiresAt: b.c.now().Add(ClaimPeriod)}
		if err := tx.PutBox(box); err != nil {
			return err
		}
		out = Claim{Secret: secret, URL: strings.TrimSuffix(b.c.cfg.URL, "/") + "/claim/" + secret, ExpiresAt: box.Claim.ExpiresAt}
		return b.c.record(tx, actor, o.ID, "box.new-claim", "this box", "")
	})
	if err != nil {
		return Claim{}, err
	}
	return out, nil
}
