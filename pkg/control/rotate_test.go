package control

import (
	"bytes"
	"slices"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/secrets"
	"github.com/pandabox/pandabox/pkg/store"
)

func TestRotateKey(t *testing.T) {
	b := newBox(t)
	ref := Ref{App: "shop"}
	id := b.deploy("shop", "1").WorkloadID
	for _, value := range []string{"one", "two"} {
		if _, err := b.Variables.Set(t.Context(), root, ref, VariableChange{Set: map[string]string{"A": value}, Secrets: []string{"A"}}); err != nil {
			t.Fatal(err)
		}
	}
	old, err := secrets.Load(KeyFile(b.dir))
	if err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	if err := b.Box.Backup(t.Context(), root, &backup); err != nil {
		t.Fatal(err)
	}
	if err := b.Box.RotateKey(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	if b.actions()[0] != "box.rotate" {
		t.Errorf("the audit has %q", b.actions())
	}
	b.stop()
	b.start() // with the key file as it is now
	for version, want := range [][]string{nil, {"A=one"}, {"A=two"}} {
		if env, err := b.Environ(t.Context(), id, version); err != nil || !slices.Equal(env, want) {
			t.Errorf("version %d: %q, %v", version, env, err)
		}
	}
	err = b.store.View(t.Context(), func(tx *store.Tx) error {
		return tx.EachConfig(func(c model.Config) error {
			if _, err := old.Open(c.Variables["A"].Sealed, "variable", id, "A"); err == nil {
				t.Error("the key before opens a value")
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	b.stop()
	if err := Restore(t.Context(), b.dir, &backup); err != nil { // the backup brings its own key
		t.Fatal(err)
	}
	b.start()
	if env, err := b.Environ(t.Context(), id, 2); err != nil || !slices.Equal(env, []string{"A=two"}) {
		t.Errorf("%q, %v", env, err)
	}
}
