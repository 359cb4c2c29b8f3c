package control

import (
	"slices"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

// targets returns what a push is deployed to as "production", "staging:apps/web", or why not.
func (b *box) targets(app string, p Push) string {
	b.t.Helper()
	all, skipped, err := b.Pushes.Targets(b.t.Context(), root, "", app, p)
	if err != nil {
		b.t.Fatal(err)
	}
	var out []string
	for _, t := range all {
		if t.Dir != "" {
			t.Env += ":" + t.Dir
		}
		out = append(out, t.Env)
	}
	if (len(out) == 0) == (skipped == "") {
		b.t.Errorf("%v and %q", out, skipped)
	}
	return strings.Join(out, " ") + skipped
}

func (b *box) track(app, env string, t model.Tracking) {
	b.t.Helper()
	if _, err := b.Trackings.Set(b.t.Context(), root, Ref{App: app, Env: env}, t); err != nil {
		b.t.Fatal(err)
	}
}

func TestWherePushesGo(t *testing.T) {
	b := newBox(t)
	b.deploy("shop", "1")
	b.track("shop", "staging", model.Tracking{Branch: "develop"})
	b.track("shop", "part", model.Tracking{Branch: "parts", Dir: "apps/web"})
	b.track("shop", "docs", model.Tracking{Branch: "parts", Paths: []string{"docs/**", "!docs/internal/**"}})
	b.track("shop", "hand", model.Tracking{Branch: "hand", Manual: true})
	for _, c := range []struct {
		app  string
		push Push
		want string
	}{
		{"shop", Push{Branch: "main"}, "production"},
		{"shop", Push{Branch: "master"}, "production"},
		{"fresh", Push{Branch: "main"}, "production"},
		{"fresh", Push{Branch: "develop"}, "no environment tracks the branch develop"},
		{"shop", Push{Branch: "develop", Message: "Mend\n\nlong"}, "staging"},
		{"shop", Push{Branch: "feature/x"}, "no environment tracks the branch feature/x"},
		{"shop", Push{Branch: "main", Message: "Mend\n\n[skip deploy]"}, "the commit says [skip deploy]"},
		{"shop", Push{Branch: "main", Message: "[CI skip] mend"}, "the commit says [CI skip]"},
		{"shop", Push{Branch: "hand"}, "hand is not deployed by pushes"},
		{"shop", Push{Branch: "parts"}, "docs part:apps/web"},
		{"shop", Push{Branch: "parts", Changed: []string{"apps/web/main.go"}}, "part:apps/web"},
		{"shop", Push{Branch: "parts", Changed: []string{"docs/a/b.md"}}, "docs"},
		{"shop", Push{Branch: "parts", Changed: []string{"apps/website/x", "README.md"}}, "nothing below apps/web/** changed"},
		{"shop", Push{Branch: "parts", Changed: []string{"docs/internal/x.md"}}, "nothing below apps/web/** changed"},
		{"shop", Push{Branch: "parts", Changed: []string{}}, "nothing below apps/web/** changed"},
	} {
		if got := b.targets(c.app, c.push); got != c.want {
			t.Errorf("%s at %+v goes to %q, not %q", c.app, c.push, got, c.want)
		}
	}
	b.track("shop", "", model.Tracking{Branch: "release"})
	if got := b.targets("shop", Push{Branch: "main"}); got != "no environment tracks the branch main" {
		t.Errorf("main goes to %q though production tracks release", got)
	}
	all, err := b.Trackings.List(t.Context(), root, "", "shop")
	if err != nil || len(all) != 5 || !slices.ContainsFunc(all, func(t Tracking) bool { return t.Env == "production" && t.Branch == "release" }) {
		t.Errorf("listed %+v, %v", all, err)
	}
}

func TestTrackingThatIsRefused(t *testing.T) {
	b := newBox(t)
	for name, want := range map[string]model.Tracking{
		"a branch with a blank":  {Branch: "a b"},
		"a branch as an option":  {Branch: "--force"},
		"a branch with ..":       {Branch: "a..b"},
		"a branch ending so":     {Branch: "a.lock"},
		"a folder outside":       {Dir: "../x"},
		"a path from the root":   {Paths: []string{"/etc"}},
		"a pattern that is none": {Paths: []string{"a["}},
		"too many":               {Paths: make([]string, model.MaxTrackedPaths+1)},
	} {
		if _, err := b.Trackings.Set(t.Context(), root, Ref{App: "shop"}, want); model.KindOf(err) != model.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := b.Pushes.Targets(t.Context(), root, "", "shop", Push{Branch: "a b"}); model.KindOf(err) != model.KindInvalid {
		t.Errorf("a push to no branch: %v", err)
	}
	if _, _, err := b.Pushes.Targets(t.Context(), b.org("other", model.RoleOwner), "", "shop", Push{Branch: "main"}); model.KindOf(err) != model.KindNotFound {
		t.Errorf("a stranger's push: %v", err)
	}
}
