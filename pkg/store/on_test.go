package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pandabox/pandabox/pkg/model"
)

// functionOn makes the app api in the environment of the first workload: a function whose good release is on app-00000.
func functionOn(tx *Tx, first, on string) (string, error) {
	w, err := tx.Workload(first)
	if err != nil {
		return "", err
	}
	a := model.App{ID: "app-fn", OrgID: w.OrgID, ProjectID: w.ProjectID, Name: "api", Kind: model.KindFunction}
	r := model.Release{ID: "release-fn", WorkloadID: "w-fn", Number: 1, Function: &model.Function{Digest: "sha256:fn", On: on}}
	f := model.Workload{ID: "w-fn", OrgID: w.OrgID, ProjectID: w.ProjectID, AppID: a.ID, EnvID: w.EnvID, LastRelease: 1}
	f.Good = model.Target{ReleaseID: r.ID, Generation: 1}
	f.Want = f.Good
	return f.ID, errors.Join(tx.PutApp(a), tx.PutRelease(r), tx.PutWorkload(f))
}

// hostsOn returns the hosts of the app that the function api is on, as the view and as a fresh reading have them.
func hostsOn(t interface {
	Fatal(...any)
	Helper()
}, s *Store, app string) []string {
	t.Helper()
	var hosts []string
	err := s.View(noContext{}, func(tx *Tx) error {
		d, err := tx.Desired("w-fn")
		if err != nil {
			return err
		}
		fresh, err := tx.decode("w-fn")
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(d.On, fresh.On) {
			return fmt.Errorf("the view has %v, the file %v", d.On, fresh.On)
		}
		for _, one := range d.On[app] {
			hosts = append(hosts, one.Host)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return hosts
}

func TestAFunctionFollowsTheDomainsOfItsApp(t *testing.T) {
	s, ids := seeded(t, 2)
	name := view1(t, s, func(tx *Tx) (string, error) { d, err := tx.Desired(ids[0]); return d.App.Name, err })
	update(t, s, func(tx *Tx) error { _, err := functionOn(tx, ids[0], name); return err })
	begin := len(hostsOn(t, s, name))

	extra := model.Domain{Host: "www.example.com", OrgID: "org-1", WorkloadID: ids[0], TLS: model.TLSAuto}
	update(t, s, func(tx *Tx) error { return tx.PutDomain(extra) })
	if got := hostsOn(t, s, name); len(got) != begin+1 || !slices.Contains(got, extra.Host) {
		t.Fatalf("after a domain was added: %v", got)
	}
	extra.TLS = model.TLSOff
	update(t, s, func(tx *Tx) error { return tx.PutDomain(extra) })
	hostsOn(t, s, name)
	update(t, s, func(tx *Tx) error { return tx.DeleteDomain(extra) })
	if got := hostsOn(t, s, name); len(got) != begin {
		t.Fatalf("after it was removed: %v", got)
	}
	changed, stop := s.Changed()
	defer stop()
	update(t, s, func(tx *Tx) error {
		w, err := tx.Workload(ids[0])
		w.Deleting = true
		return errors.Join(err, tx.PutDomain(extra), tx.PutWorkload(w))
	})
	if got := hostsOn(t, s, name); len(got) != 0 {
		t.Fatalf("of an app on its way out: %v", got)
	}
	select {
	case <-changed:
	case <-time.After(10 * time.Second):
		t.Fatal("nobody was told")
	}
	if err := s.Record(t.Context(), []model.WorkloadUpdate{{WorkloadID: ids[0], Removed: true}}); err != nil {
		t.Fatal(err)
	}
	if got := hostsOn(t, s, name); len(got) != 0 {
		t.Fatalf("of an app that is gone: %v", got)
	}
}

// TestTheViewOfFunctionsIsTheFile has an app come and go and change its domains in any order, several changes in one
// transaction, beside a function that is on it.
func TestTheViewOfFunctionsIsTheFile(t *testing.T) {
	dir, n := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		s, err := Open(filepath.Join(dir, strconv.Itoa(n)), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		err = s.Update(noContext{}, func(tx *Tx) error {
			ids, err := seed(tx, 1)
			if err != nil {
				return err
			}
			_, err = functionOn(tx, ids[0], "shop")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		steps := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, 4), 1, 3), 1, 12).Draw(t, "steps")
		for _, together := range steps {
			err := s.Update(noContext{}, func(tx *Tx) error {
				for _, step := range together {
					if err := shopStep(tx, step); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			hostsOn(t, s, "shop")
		}
	})
}

// shopStep changes the app shop, in the environment of the function api.
func shopStep(tx *Tx, step int) error {
	fn, err := tx.Workload("w-fn")
	if err != nil {
		return err
	}
	w, err := tx.Workload("w-shop")
	if errors.Is(err, ErrNotFound) {
		if step != 0 {
			return nil
		}
		a := model.App{ID: "app-shop", OrgID: fn.OrgID, ProjectID: fn.ProjectID, Name: "shop"}
		w = model.Workload{ID: "w-shop", OrgID: fn.OrgID, ProjectID: fn.ProjectID, AppID: a.ID, EnvID: fn.EnvID}
		return errors.Join(tx.PutApp(a), tx.PutWorkload(w))
	} else if err != nil {
		return err
	}
	host := model.Domain{Host: fmt.Sprintf("shop-%d.example.com", step%2), OrgID: fn.OrgID, WorkloadID: w.ID, TLS: model.TLSAuto}
	switch step {
	case 1, 2:
		return tx.PutDomain(host)
	case 3:
		return tx.DeleteDomain(host)
	case 4:
		if w.Deleting {
			return tx.forgetWorkload(w)
		}
		w.Deleting = true
	}
	return tx.PutWorkload(w)
}

func TestKeepHoldsTheBundlesOfAllReleases(t *testing.T) {
	s, ids := seeded(t, 1)
	update(t, s, func(tx *Tx) error {
		_, err := functionOn(tx, ids[0], "")
		for n := 2; n <= KeepImages+5 && err == nil; n++ {
			err = tx.PutRelease(model.Release{ID: fmt.Sprintf("release-fn-%d", n), WorkloadID: "w-fn", Number: n, Function: &model.Function{Digest: fmt.Sprintf("sha256:%d", n)}})
		}
		return err
	})
	k, err := s.Keep(t.Context())
	if err != nil || len(k.Bundles) != KeepImages+5 || !slices.Contains(k.Bundles, "sha256:fn") {
		t.Fatalf("%v, %v", k.Bundles, err)
	}
}
