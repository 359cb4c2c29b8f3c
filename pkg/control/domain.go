package control

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// Domains route requests to workloads.
type Domains struct{ c *Control }

// Domain is a domain with what is known of its certificate.
type Domain struct {
	model.Domain
	Certificate *model.CertificateStatus `json:"certificate,omitempty"` // nil where none is needed, or nothing is known
}

// List returns the workload's domains: the default one first, then by host.
func (d *Domains) List(ctx context.Context, actor model.Actor, ref Ref) ([]Domain, error) {
	var found []model.Domain
	err := d.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		pl, err := d.c.find(tx, actor, identity.AppRead, ref)
		if err != nil {
			return err
		}
		found, err = tx.Domains(pl.w.ID)
		return err
	})
	out := make([]Domain, 0, len(found))
	for _, one := range byDefault(found) {
		out = append(out, d.c.withCertificate(ctx, one))
	}
	return out, err
}

// Add routes host to the workload; tls "" means auto. Adding what the workload has already changes its TLS mode alone.
// KindConflict when another workload has it, named if the actor may see it.
func (d *Domains) Add(ctx context.Context, actor model.Actor, ref Ref, host string, tls model.TLSMode) (Domain, error) {
	var added model.Domain
	err := d.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		pl, err := d.c.findToChange(tx, actor, identity.DomainWrite, ref)
		if err != nil {
			return err
		}
		if err := checkTLS(cmp.Or(tls, model.TLSAuto)); err != nil {
			return err
		}
		added, err = d.c.addDomain(tx, actor, pl, host, tls)
		return err
	})
	if err != nil {
		return Domain{}, err
	}
	return d.c.withCertificate(ctx, added), nil
}

// Remove ends routing host to the workload. A certificate the user brought for it is forgotten.
func (d *Domains) Remove(ctx context.Context, actor model.Actor, ref Ref, host string) error {
	var one model.Domain
	err := d.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		pl, err := d.c.findToChange(tx, actor, identity.DomainWrite, ref)
		if err != nil {
			return err
		}
		if one, err = ownDomain(tx, pl, host); err != nil {
			return err
		}
		if err := tx.DeleteDomain(one); err != nil {
			return err
		}
		return d.c.domainChanged(tx, actor, pl, one.Host, "domain.remove", "removed")
	})
	if err != nil {
		return err
	}
	return d.c.forgetCertificates(ctx, []model.Domain{one})
}

// addDomain gives a workload a domain. The actor is authorized already.
func (c *Control) addDomain(tx *store.Tx, actor model.Actor, pl place, host string, tls model.TLSMode) (model.Domain, error) {
	h, err := model.CheckHost(host)
	if err != nil {
		return model.Domain{}, err
	}
	one, err := tx.Domain(h)
	switch {
	case err == nil && one.WorkloadID == pl.w.ID:
		if tls == "" || tls == one.TLS {
			return one, nil
		}
		one.TLS = tls
	case err == nil:
		return one, c.taken(tx, actor, one)
	case !errors.Is(err, store.ErrNotFound):
		return one, err
	default:
		one = model.Domain{Host: h, OrgID: pl.org.ID, WorkloadID: pl.w.ID, TLS: cmp.Or(tls, model.TLSAuto), CreatedAt: c.now()}
		if err := c.mayHave(tx, actor, pl, &one); err != nil {
			return one, err
		}
	}
	if err := tx.PutDomain(one); err != nil {
		return one, err
	}
	return one, c.domainChanged(tx, actor, pl, one.Host, "domain.add", "added")
}

// mayHave refuses names under the box's own domain but the workload's default one, names of another org's wildcard and,
// to those who may not change what is protected, of a protected environment's, wildcards over another org's names, and too
// many.
func (c *Control) mayHave(tx *store.Tx, actor model.Actor, pl place, d *model.Domain) error {
	bare := strings.TrimPrefix(d.Host, "*.")
	if bare == c.cfg.BaseDomain || strings.HasSuffix(bare, "."+c.cfg.BaseDomain) {
		if d.Host != defaultLabel(pl.app.Name, pl.env.Name, 1)+"."+c.cfg.BaseDomain {
			return model.Errorf(model.KindForbidden, "%s belongs to the box", d.Host).
				WithWhy("pandabox gives out the names under %s itself", c.cfg.BaseDomain).WithHint("use a domain of your own")
		}
		d.Default = true
	}
	own, err := tx.Domains(pl.w.ID)
	if err != nil {
		return err
	}
	if len(own) >= MaxDomains {
		return model.Errorf(model.KindTooLarge, "%s has %d domains already", pl.ref(), len(own)).WithHint("at most %d fit; use a wildcard: *.example.com", MaxDomains)
	}
	if bare == d.Host {
		_, above, _ := strings.Cut(bare, ".")
		w, err := tx.Domain("*." + above)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil
		case err != nil:
			return err
		case w.OrgID != pl.org.ID:
			return takenElsewhere(d.Host)
		}
		whole, err := tx.Desired(w.WorkloadID)
		if err != nil {
			return err
		}
		return c.guard(actor, place{org: pl.org, app: whole.App, env: whole.Env})
	}
	if strings.Count(bare, ".") < 1 {
		return model.Invalid("%q is too wide", d.Host).WithHint("a wildcard needs a domain of its own: *.example.com")
	}
	under, err := tx.DomainsUnder(bare)
	for _, u := range under {
		if u.OrgID != pl.org.ID {
			return takenElsewhere(d.Host)
		}
	}
	return err
}

// taken says who has a domain, if the actor may know.
func (c *Control) taken(tx *store.Tx, actor model.Actor, d model.Domain) error {
	if identity.Authorize(actor, identity.AppRead, d.OrgID) != nil {
		return takenElsewhere(d.Host)
	}
	w, err := tx.Desired(d.WorkloadID)
	if err != nil {
		return err
	}
	at := Ref{App: w.App.Name, Env: w.Env.Name}
	return model.Conflict("%s is already a domain of %s", d.Host, at).
		WithHint("remove it there first: pandabox domains remove %s -a %s -e %s", d.Host, at.App, at.Env)
}

func takenElsewhere(host string) error {
	return model.Conflict("%s is in use by somebody else on this box", host).WithHint("use another domain, or ask whoever runs the box")
}

// ownDomain returns the workload's domain of that host.
func ownDomain(tx *store.Tx, pl place, host string) (model.Domain, error) {
	h, err := model.CheckHost(host)
	if err != nil {
		return model.Domain{}, err
	}
	one, err := tx.Domain(h)
	if errors.Is(err, store.ErrNotFound) || (err == nil && one.WorkloadID != pl.w.ID) {
		return one, model.NotFound("%s is not a domain of %s", h, pl.ref()).WithHint("see which there are: pandabox domains -a %s -e %s", pl.app.Name, pl.env.Name)
	}
	return one, err
}

func (c *Control) domainChanged(tx *store.Tx, actor model.Actor, pl place, host, action, state string) error {
	if err := c.record(tx, actor, pl.org.ID, action, pl.ref().String(), host); err != nil {
		return err
	}
	return tx.Emit(model.Event{Kind: "domain", OrgID: pl.org.ID, WorkloadID: pl.w.ID, State: state, Detail: host})
}

// defaultHost returns a free name under the base domain: APP.BASE, or APP-ENV.BASE outside production. Where another
// app has that already (shop-qa in production, shop in qa) it counts up.
func (c *Control) defaultHost(tx *store.Tx, app, env string) (string, error) {
	for n := 1; ; n++ {
		host := defaultLabel(app, env, n) + "." + c.cfg.BaseDomain
		if _, err := tx.Domain(host); errors.Is(err, store.ErrNotFound) {
			return host, nil
		} else if err != nil {
			return "", err
		}
	}
}

// defaultLabel returns the nth choice of a default domain's first label. One that would pass the 63 characters of a
// label is cut and told from others by six characters of its hash.
func defaultLabel(app, env string, n int) string {
	label := app
	if env != EnvProduction {
		label += "-" + env
	}
	if n > 1 {
		label += "-" + strconv.Itoa(n)
	}
	if len(label) > 63 {
		sum := sha256.Sum256([]byte(label))
		label = strings.TrimRight(label[:56], "-") + "-" + hex.EncodeToString(sum[:3])
	}
	return label
}

// byDefault sorts domains, already by host, so that the default one is first.
func byDefault(ds []model.Domain) []model.Domain {
	out := slices.Clone(ds)
	slices.SortStableFunc(out, func(a, b model.Domain) int {
		switch {
		case a.Default == b.Default:
			return 0
		case a.Default:
			return -1
		}
		return 1
	})
	return out
}

// urlOf returns where a workload answers: at the first domain that is not the default one and no wildcard, else at the
// default one.
func (c *Control) urlOf(ds []model.Domain) string {
	var best *model.Domain
	for i, d := range ds {
		if !strings.HasPrefix(d.Host, "*.") && (best == nil || (best.Default && !d.Default)) {
			best = &ds[i]
		}
	}
	switch {
	case best == nil:
		return ""
	case best.TLS == model.TLSOff:
		return "http://" + best.Host
	case c.url.Port() != "" && c.url.Port() != "443":
		return "https://" + net.JoinHostPort(best.Host, c.url.Port())
	}
	return "https://" + best.Host
}

func checkTLS(m model.TLSMode) error {
	switch m {
	case model.TLSAuto, model.TLSInternal, model.TLSOff:
		return nil
	case model.TLSCustom:
		return model.Invalid("a certificate of your own comes after the domain").WithHint("pandabox domains add HOST, then pandabox domains cert HOST")
	}
	return model.Invalid("%q is not a TLS mode", m).WithHint("choose auto, internal or off")
}
