package control

import (
	"cmp"
	"context"
	"crypto/rsa"
	"crypto/subtle"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// Bounds of SSH keys.
const (
	MaxKeys      = 1000 // of one org
	MaxPublicKey = 16 << 10
	minRSA       = 2048 // bits
)

// Keys lets people push code over SSH.
type Keys struct{ c *Control }

// NewKey asks for a key.
type NewKey struct {
	Name           string // 1 to MaxTokenName characters, unique in the org; "" the comment in Public
	Public         string // a line as in ~/.ssh/id_ed25519.pub; at most MaxPublicKey bytes
	IdempotencyKey string // "" for none
}

// Add lets in whoever holds the private half of a key, as a member of the org. A key is of one org only.
func (k *Keys) Add(ctx context.Context, actor model.Actor, org string, n NewKey) (out model.Key, err error) {
	err = k.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		o, err := k.c.org(tx, actor, identity.TokenManage, org)
		if err != nil {
			return err
		}
		one, err := readKey(n)
		if err != nil {
			return err
		}
		key := n.IdempotencyKey
		n.IdempotencyKey = ""
		out, err = once(k.c, tx, actor, o.ID, "key.add", key, n, func() (model.Key, error) {
			if err := k.fits(tx, o.ID, one); err != nil {
				return one, err
			}
			one.ID, one.OrgID, one.CreatedBy, one.CreatedAt = k.c.newID("key"), o.ID, nameOf(actor), k.c.now()
			if err := tx.PutKey(one); err != nil {
				return one, err
			}
			return one, k.c.record(tx, actor, o.ID, "key.add", one.Name, one.Fingerprint)
		})
		return err
	})
	return out, err
}

// fits refuses a key or name that is taken.
func (k *Keys) fits(tx *store.Tx, orgID string, n model.Key) error {
	old, err := tx.KeyOf(n.Fingerprint)
	switch {
	case err == nil && old.OrgID == orgID:
		return model.Conflict("the key is there already, as %q", old.Name).WithHint("see them with pandabox keys")
	case err == nil:
		return model.Conflict("the key is in use in another org of this box").WithHint("make another: ssh-keygen -t ed25519")
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	all, _, err := tx.Keys(orgID, "", 0)
	if err != nil {
		return err
	}
	if len(all) >= MaxKeys {
		return model.Errorf(model.KindTooLarge, "the org has %d keys", len(all)).WithHint("remove some: pandabox keys rm NAME")
	}
	for _, one := range all {
		if one.Name == n.Name {
			return model.Conflict("a key is called %q already", n.Name).WithHint("choose another: pandabox keys add --name NAME")
		}
	}
	return nil
}

// readKey reads the public half.
func readKey(n NewKey) (model.Key, error) {
	no := model.Invalid("that is no public SSH key").WithHint("give the file that ends in .pub: pandabox keys add ~/.ssh/id_ed25519.pub")
	if strings.Contains(n.Public, "PRIVATE KEY") {
		return model.Key{}, no.WithWhy("it is the private half, which nobody else should ever see")
	}
	if len(n.Public) > MaxPublicKey {
		return model.Key{}, no.WithWhy("it is %d bytes long", len(n.Public))
	}
	public, comment, _, rest, err := ssh.ParseAuthorizedKey([]byte(n.Public))
	switch {
	case err != nil:
		return model.Key{}, no.Wrap(err).WithWhy("%s", err)
	case strings.TrimSpace(string(rest)) != "":
		return model.Key{}, no.WithWhy("there is more than one key")
	case !goodKey(public):
		return model.Key{}, model.Invalid("a key of the type %s is not taken", public.Type()).
			WithWhy("ed25519, ECDSA, RSA of %d bits or more, and keys of security tokens are", minRSA).WithHint("make one: ssh-keygen -t ed25519")
	}
	name := cmp.Or(strings.TrimSpace(n.Name), strings.TrimSpace(comment), ssh.FingerprintSHA256(public))
	if utf8.RuneCountInString(name) > MaxTokenName || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return model.Key{}, model.Invalid("%q is not a name for a key", shown(name)).WithHint("name it in 1 to %d characters: pandabox keys add --name NAME", MaxTokenName)
	}
	return model.Key{Name: name, Type: public.Type(), Fingerprint: ssh.FingerprintSHA256(public), Public: public.Marshal()}, nil
}

func goodKey(k ssh.PublicKey) bool {
	switch k.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return true
	case ssh.KeyAlgoRSA:
		c, ok := k.(ssh.CryptoPublicKey)
		if !ok {
			return false
		}
		r, ok := c.CryptoPublicKey().(*rsa.PublicKey)
		return ok && r.N.BitLen() >= minRSA
	}
	return false
}

// List returns the org's keys, newest first.
func (k *Keys) List(ctx context.Context, actor model.Actor, org string, p Page) (out List[model.Key], err error) {
	cur, err := p.check()
	if err != nil {
		return out, err
	}
	err = k.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		o, err := k.c.org(tx, actor, identity.TokenRead, org)
		if err != nil {
			return err
		}
		found, next, err := tx.Keys(o.ID, cur.after, cur.limit)
		out = page(found, next)
		return err
	})
	return out, err
}

// Remove ends a key at once: a push under way goes on.
func (k *Keys) Remove(ctx context.Context, actor model.Actor, org, id string) error {
	return k.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		o, err := k.c.org(tx, actor, identity.TokenManage, org)
		if err != nil {
			return err
		}
		one, err := tx.Key(id)
		if errors.Is(err, store.ErrNotFound) || (err == nil && one.OrgID != o.ID) {
			return model.NotFound("there is no key %q", id).WithHint("see which there are: pandabox keys")
		} else if err != nil {
			return err
		}
		if err := tx.DeleteKey(id); err != nil {
			return err
		}
		return k.c.record(tx, actor, o.ID, "key.remove", one.Name, one.Fingerprint)
	})
}

// Authenticate returns who a public key, in SSH's wire format, belongs to; that its private half is there, the caller
// makes sure of. An unknown one is KindUnauthenticated.
func (k *Keys) Authenticate(ctx context.Context, public []byte) (model.Actor, error) {
	unknown := model.Errorf(model.KindUnauthenticated, "nobody is signed in").WithWhy("the SSH key is not known here").WithHint("pandabox keys add")
	parsed, err := ssh.ParsePublicKey(public)
	if err != nil {
		return model.Actor{}, unknown
	}
	var one model.Key
	err = k.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		one, err = tx.KeyOf(ssh.FingerprintSHA256(parsed))
		return err
	})
	if errors.Is(err, store.ErrNotFound) || err == nil && subtle.ConstantTimeCompare(one.Public, public) != 1 {
		return model.Actor{}, unknown
	} else if err != nil {
		return model.Actor{}, err
	}
	if now := k.c.now(); now.Sub(one.LastUsed) >= identity.TouchInterval {
		// A full disk must not keep anybody out, least of all whoever comes to free it.
		_ = k.c.cfg.Store.TouchKey(ctx, one.ID, now)
	}
	return model.Actor{ID: one.ID, Name: one.Name, Roles: map[string]model.RoleName{one.OrgID: model.RoleMember}}, nil
}

// Repository returns the id of the app that code is pushed to, "" where the first push is still to make it.
func (k *Keys) Repository(ctx context.Context, actor model.Actor, org, app string) (id string, err error) {
	err = k.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		o, err := k.c.org(tx, actor, identity.DeployCreate, org)
		if err != nil {
			return err
		}
		if err := model.CheckName("app", app); err != nil {
			return err
		}
		a, err := tx.AppNamed(o.ID, app)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		id = a.ID
		return err
	})
	return id, err
}
