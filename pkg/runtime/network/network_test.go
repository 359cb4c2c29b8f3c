package network

import (
	"testing"
)

func TestQuick(t *testing.T) {
	b := newBox(t, "tst1")
	if err := b.m.Reconcile(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	a := b.attach("env-a", "one", "shop", "web.shop")
	c := b.attach("env-a", "two", "api")
	d := b.attach("env-b", "three", "api")
	out, err := a.run("ping", "-c1", "-W2", c.Addr.String())
	t.Log(out, err)
	out, err = a.run("ping", "-c1", "-W2", d.Addr.String())
	t.Log(out, err)
}
