package control

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// Functions are apps of the kind function.
type Functions struct{ c *Control }

// Import streams the bundle of a function into the box. Digest, Size and Runtime of what it returns go into
// NewDeploy.Function. A bundle no release names within a period of grace is reclaimed.
func (f *Functions) Import(ctx context.Context, actor model.Actor, org string, r io.Reader) (model.Bundle, error) {
	if err := f.c.allowed(ctx, actor, identity.DeployCreate, org); err != nil {
		return model.Bundle{}, err
	}
	if f.c.cfg.Functions == nil {
		return model.Bundle{}, missing("function host")
	}
	return f.c.cfg.Functions.Import(ctx, r)
}

// Invoke gives a request to the release that serves, past domains and routes: the function needs none. The answer's
// body is the caller's to close. Without a host in r it is asked as its own first domain.
func (f *Functions) Invoke(ctx context.Context, actor model.Actor, ref Ref, r *http.Request) (*http.Response, error) {
	var name, at string
	err := f.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		pl, err := f.c.find(tx, actor, identity.FunctionInvoke, ref)
		if err != nil {
			return err
		}
		d, err := tx.Desired(pl.w.ID)
		if err != nil {
			return err
		}
		at = f.c.urlOf(byDefault(d.Domains))
		name, err = servingFunction(d, ref)
		return err
	})
	if err != nil {
		return nil, err
	}
	if f.c.cfg.Functions == nil {
		return nil, missing("function host")
	}
	if u, err := url.Parse(at); err == nil && r.Host == "" && r.URL.Host == "" {
		r.Host, r.URL.Scheme, r.URL.Host = u.Host, u.Scheme, u.Host
	}
	return f.c.cfg.Functions.Invoke(ctx, name, r)
}

// SealFunction encrypts what the function host keeps of a loaded function: it holds variables.
func (c *Control) SealFunction(plain []byte) ([]byte, error) { return c.keys.Seal(plain, "function") }

// OpenFunction opens what SealFunction sealed.
func (c *Control) OpenFunction(sealed []byte) ([]byte, error) { return c.keys.Open(sealed, "function") }

// servingFunction returns the name under which a workload's function is loaded.
func servingFunction(d model.DesiredWorkload, ref Ref) (string, error) {
	if d.App.Kind != model.KindFunction {
		return "", model.Invalid("%s is no function, its kind is %s", ref.App, d.App.Kind).
			WithHint("ask it over HTTP: see pandabox status -a %s -e %s", ref.App, ref.env())
	}
	if d.Want == nil && d.Good == nil {
		return "", nothingDeployed(ref)
	}
	for _, r := range d.Status.Replicas {
		if r.State == model.ReplicaHealthy && r.Replica.Target() == d.Status.Serving {
			return r.Name, nil
		}
	}
	return "", model.Errorf(model.KindUnavailable, "no release of %s is loaded", ref).
		WithHint("see why: pandabox status -a %s -e %s", ref.App, ref.env())
}
