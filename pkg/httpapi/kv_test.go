package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

func TestStoryOfAStore(t *testing.T) {
	b, ctx := newBox(t), t.Context()
	c := b.remote(b.token(model.DefaultOrg, model.RoleMember))
	_, err := c.Key(ctx, hello, "a")
	wantKind(t, err, model.KindNotFound) // no such app
	b.deployHello(c)

	large := bytes.Repeat([]byte{0, 255}, api.MaxKVValue/2)
	odd := []string{"a/b", ".", "..", "a//b/../c", "ä ö?x=1#y", "%2F", strings.Repeat("k", 512)}
	for over, c := range map[string]*client.Client{"tls": c, "socket": b.root()} {
		for _, key := range odd {
			if err := c.PutKey(ctx, hello, key, []byte(over+key), 0); err != nil {
				t.Fatalf("%s: %q: %v", over, key, err)
			}
			if got, err := c.Key(ctx, hello, key); err != nil || string(got) != over+key {
				t.Errorf("%s: %q: got %q, %v", over, key, got, err)
			}
		}
		if err := c.PutKey(ctx, hello, "large", large, time.Hour); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Key(ctx, hello, "large"); err != nil || !bytes.Equal(got, large) {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
	}
	wantKind(t, c.PutKey(ctx, hello, "large", append(large, 0), 0), model.KindTooLarge)
	wantKind(t, c.PutKey(ctx, hello, "a", nil, time.Millisecond), model.KindInvalid)
	wantKind(t, c.PutKey(ctx, hello, "a", nil, -time.Hour), model.KindInvalid)
	wantKind(t, c.PutKey(ctx, hello, strings.Repeat("k", 513), nil, 0), model.KindInvalid)
	_, err = c.Key(ctx, hello, "none")
	wantKind(t, err, model.KindNotFound)

	var names []string
	var expires time.Time
	keys := func(ctx context.Context, p api.Page) (api.List[api.KVKey], error) {
		p.Limit = 2
		return c.Keys(ctx, hello, "", p)
	}
	for k, err := range client.All(ctx, keys) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, k.Name)
		if k.Name == "large" {
			expires = k.ExpiresAt
		}
	}
	if want := slices.Sorted(slices.Values(append(odd, "large"))); !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	if in := time.Until(expires); in < 50*time.Minute || in > time.Hour {
		t.Errorf("large expires in %s", in)
	}
	l, err := c.Keys(ctx, hello, "a/b", api.Page{})
	if err != nil || fmt.Sprint(l.Items) != fmt.Sprint([]api.KVKey{{Name: "a/b"}}) {
		t.Errorf("got %+v, %v", l, err)
	}
	for range 2 {
		if err := c.DeleteKey(ctx, hello, "a/b"); err != nil {
			t.Fatal(err)
		}
	}
	_, err = c.Key(ctx, hello, "a/b")
	wantKind(t, err, model.KindNotFound)
}
