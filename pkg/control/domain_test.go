package control

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

func (b *box) hosts(ref Ref) []string {
	b.t.Helper()
	ds, err := b.Domains.List(b.t.Context(), root, ref)
	if err != nil {
		b.t.Fatal(err)
	}
	var out []string
	for _, d := range ds {
		out = append(out, d.Host)
	}
	return out
}

func TestDomains(t *testing.T) {
	b := newBox(t)
	ref := Ref{App: "shop"}
	b.deploy("shop", "1")
	add := func(host string, tls model.TLSMode) Domain {
		t.Helper()
		d, err := b.Domains.Add(t.Context(), root, ref, host, tls)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	add("www.example.com", "")
	if d := add("API.example.com", model.TLSInternal); d.Host != "api.example.com" || d.TLS != model.TLSInternal || d.Default {
		t.Errorf("%+v", d)
	}
	n := len(b.actions())
	add("www.example.com", "") // again
	if len(b.actions()) != n {
		t.Error("adding again is a change")
	}
	if d := add("www.example.com", model.TLSOff); d.TLS != model.TLSOff {
		t.Errorf("%+v", d)
	}
	add("*.example.org", "")
	if got := b.hosts(ref); !slices.Equal(got, []string{"shop." + base, "*.example.org", "api.example.com", "www.example.com"}) {
		t.Errorf("domains are %q", got)
	}
	if u := b.status("shop").URL; u != "https://api.example.com" {
		t.Errorf("answers at %s", u)
	}
	for _, host := range []string{"api.example.com", "shop." + base, "*.example.org"} {
		if err := b.Domains.Remove(t.Context(), root, ref, host); err != nil {
			t.Fatal(err)
		}
	}
	if u := b.status("shop").URL; u != "http://www.example.com" {
		t.Errorf("answers at %s", u)
	}
	wantKind(t, b.Domains.Remove(t.Context(), root, ref, "api.example.com"), model.KindNotFound)
	if d := add("shop."+base, ""); !d.Default { // its own name may come back
		t.Errorf("%+v", d)
	}
}

func TestDomainsOfOthers(t *testing.T) {
	b := newBox(t)
	stranger := b.org("other", model.RoleOwner)
	b.deploy("shop", "1")
	b.deploy("blog", "1")
	shop, blog, theirs := Ref{App: "shop"}, Ref{App: "blog"}, Ref{Org: "other", App: "app"}
	if _, err := b.Deploys.Create(t.Context(), stranger, theirs, NewDeploy{Image: image("1")}); err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"shop.example.com", "*.wild.example.com"} {
		if _, err := b.Domains.Add(t.Context(), root, shop, host, ""); err != nil {
			t.Fatal(err)
		}
	}
	member := b.member(model.RoleMember)
	for name, c := range map[string]struct {
		actor model.Actor
		ref   Ref
		host  string
		kind  model.Kind
		says  string
	}{
		"a neighbour's":              {member, blog, "shop.example.com", model.KindConflict, "shop in production"},
		"a foreign org's":            {stranger, theirs, "shop.example.com", model.KindConflict, "somebody else"},
		"in a foreign wildcard":      {stranger, theirs, "a.wild.example.com", model.KindConflict, "somebody else"},
		"a foreign wildcard":         {stranger, theirs, "*.wild.example.com", model.KindConflict, "somebody else"},
		"a wildcard over foreign":    {stranger, theirs, "*.example.com", model.KindConflict, "somebody else"},
		"a whole top-level domain":   {stranger, theirs, "*.com", model.KindInvalid, ""},
		"the box's own":              {root, blog, base, model.KindForbidden, "belongs to the box"},
		"the box's own in capitals":  {root, blog, strings.ToUpper(base) + ".", model.KindForbidden, "belongs to the box"},
		"below the box's":            {root, blog, "new." + base, model.KindForbidden, "belongs to the box"},
		"deep below the box's":       {root, blog, "a.blog." + base, model.KindForbidden, "belongs to the box"},
		"every name below the box's": {root, blog, "*." + base, model.KindForbidden, "belongs to the box"},
		"a port":                     {root, blog, "x.example.com:80", model.KindInvalid, "not a domain"},
		"an umlaut":                  {root, blog, "bücher.example.com", model.KindInvalid, "punycode"},
		"one label":                  {root, blog, "localhost", model.KindInvalid, "one label"},
	} {
		_, err := b.Domains.Add(t.Context(), c.actor, c.ref, c.host, "")
		if err == nil {
			t.Errorf("%s: added", name)
			continue
		}
		e := told(t, err, c.kind)
		if !strings.Contains(e.Error(), c.says) {
			t.Errorf("%s: says %v", name, e)
		}
		if c.actor.ID == stranger.ID && strings.Contains(e.Error()+e.Hint, "shop in") {
			t.Errorf("%s: tells a stranger about %v", name, e)
		}
	}
	if _, err := b.Domains.Add(t.Context(), member, blog, "b.wild.example.com", ""); err != nil {
		t.Errorf("a name in one's own org's wildcard: %v", err)
	}
	_, err := b.Domains.Add(t.Context(), root, blog, "x.example.com", "maybe")
	wantKind(t, err, model.KindInvalid)
	_, err = b.Domains.Add(t.Context(), root, blog, "x.example.com", model.TLSCustom)
	wantKind(t, err, model.KindInvalid)
}

func TestDefaultDomainsNeverCollide(t *testing.T) {
	b := newBox(t)
	stranger := b.org("other", model.RoleMember)
	long := strings.Repeat("a", model.MaxName)
	for _, c := range []struct {
		actor model.Actor
		ref   Ref
		host  string
	}{
		{root, Ref{App: "shop-qa"}, "shop-qa." + base},
		{root, Ref{App: "shop", Env: "qa"}, "shop-qa-2." + base},
		{stranger, Ref{Org: "other", App: "shop", Env: "qa"}, "shop-qa-3." + base},
		{root, Ref{App: long, Env: long}, ""},
		{root, Ref{App: long, Env: long[1:]}, ""},
	} {
		d, err := b.Deploys.Create(t.Context(), c.actor, c.ref, NewDeploy{Image: image("1")})
		if err != nil {
			t.Fatal(err)
		}
		host := strings.TrimPrefix(d.URL, "https://")
		if c.host != "" && host != c.host {
			t.Errorf("%s got %s", c.ref, host)
		}
		if _, err := model.CheckHost(host); err != nil {
			t.Errorf("%s got %s: %v", c.ref, host, err)
		}
	}
	w, err := b.Deploys.Create(t.Context(), root, Ref{App: "queue"}, NewDeploy{Image: image("1"), Kind: model.KindWorker})
	if err != nil || w.URL != "" {
		t.Errorf("a worker answers at %q, %v", w.URL, err)
	}
}

func TestURLsCarryThePortOfTheBox(t *testing.T) {
	b := newBox(t)
	cfg := b.config()
	cfg.URL = "https://" + base + ":8443"
	c, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Deploys.Create(t.Context(), root, Ref{App: "shop"}, NewDeploy{Image: image("1")})
	if err != nil || d.URL != "https://shop."+base+":8443" {
		t.Errorf("%s, %v", d.URL, err)
	}
}

func TestCertificates(t *testing.T) {
	b := newBox(t)
	ref := Ref{App: "shop"}
	b.deploy("shop", "1")
	for _, host := range []string{"shop.example.com", "*.example.org"} {
		if _, err := b.Domains.Add(t.Context(), root, ref, host, ""); err != nil {
			t.Fatal(err)
		}
	}
	good, goodKey := selfSigned(t, b.now(), "shop.example.com", "*.example.org")
	other, otherKey := selfSigned(t, b.now(), "other.example.com")
	old, oldKey := selfSigned(t, b.now().Add(-10*time.Hour), "shop.example.com")
	set := func(host string, cert, key []byte) error {
		_, err := b.Domains.SetCertificate(t.Context(), root, ref, host, cert, key)
		return err
	}
	for name, err := range map[string]error{
		"another key":      set("shop.example.com", good, otherKey),
		"another name":     set("shop.example.com", other, otherKey),
		"expired":          set("shop.example.com", old, oldKey),
		"no certificate":   set("shop.example.com", nil, goodKey),
		"key for cert":     set("shop.example.com", goodKey, goodKey),
		"not the wildcard": set("*.example.org", other, otherKey),
	} {
		if e := told(t, err, model.KindInvalid); strings.Contains(e.Error(), "PRIVATE") {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantKind(t, set("other.example.com", other, otherKey), model.KindNotFound)
	b.parts.failed = model.Errorf(model.KindNoSpace, "full").WithHint("free some")
	wantKind(t, set("shop.example.com", good, goodKey), model.KindNoSpace)
	b.parts.failed = nil
	tls := func() model.TLSMode {
		ds, err := b.Domains.List(t.Context(), root, ref)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(ds, func(d Domain) bool { return d.Host == "shop.example.com" })
		return ds[i].TLS
	}
	if tls() != model.TLSAuto {
		t.Error("the domain wants a certificate that is not there")
	}
	for _, host := range []string{"shop.example.com", "*.example.org"} {
		if err := set(host, good, goodKey); err != nil {
			t.Fatal(err)
		}
	}
	if tls() != model.TLSCustom || b.parts.certs["shop.example.com"].Issuer != "brought" {
		t.Error("the certificate is not used")
	}
	if err := b.Domains.Remove(t.Context(), root, ref, "*.example.org"); err != nil {
		t.Fatal(err)
	}
	if _, kept := b.parts.certs["*.example.org"]; kept || len(b.parts.certs) != 1 {
		t.Errorf("kept are %v", b.parts.certs)
	}
	if err := b.Apps.Destroy(t.Context(), root, ref, false); err != nil || len(b.parts.certs) != 0 {
		t.Errorf("kept are %v, %v", b.parts.certs, err)
	}
	cfg := b.config()
	cfg.Certs = nil
	bare, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, err = bare.Domains.SetCertificate(t.Context(), root, ref, "shop.example.com", good, goodKey)
	wantKind(t, err, model.KindUnavailable)
}
