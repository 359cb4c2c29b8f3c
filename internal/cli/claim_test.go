package cli

import (
	"context"
	"testing"

	"github.com/pandabox/pandabox/pkg/client"
)

// TestPin makes a claim link carry the fingerprint of a CA that the system does not know.
func TestPin(t *testing.T) {
	w := startWorld(t)
	c, err := client.New(client.Config{Address: w.url, Token: w.token, CA: w.caPEM})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, want := pinOf(context.Background(), c, w.claim), "#ca="+fingerprint(w.ca); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	w.caPEM = nil
	if got := pinOf(context.Background(), c, w.claim); got != "" {
		t.Errorf("a box without a CA: %q", got)
	}
}
