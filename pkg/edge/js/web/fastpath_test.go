//go:build linux

package web_test

import (
	"encoding/json"
	"testing"

	"github.com/nlnwa/whatwg-url/url"
	"pgregory.net/rapid"

	"github.com/pandabox/pandabox/pkg/edge/js/jstest"
)

// URLs that are taken apart in JavaScript come out as those the host's parser reads.
func TestPlainURLsAreThoseOfTheParser(t *testing.T) {
	gen := rapid.StringMatching(`https?://[a-z0-9.x]{1,12}(-[a-z.]{1,3})?(:[0-9]{1,5})?(/[A-Za-z0-9.%~!'()*+;=:@|_-]*){0,4}(\?[a-z0-9.%'&=+/?\[\]"<]*)?(#[a-z0-9'/?#]*)?`)
	type pair struct {
		Text string
		Want []string // nil where it is no URL
	}
	var pairs []pair
	for i := range 3000 {
		p := pair{Text: gen.Example(i)}
		if u, err := url.Parse(p.Text); err == nil {
			p.Want = []string{u.Href(false), u.Hostname(), u.Port(), u.Pathname(), u.Search(), u.Hash()}
		}
		pairs = append(pairs, p)
	}
	list, err := json.Marshal(pairs)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := jstest.Run(t, engine(t), `return `+string(list)+`.map((p) => {
		const u = URL.parse(p.Text);
		return {text: p.Text, want: p.Want, got: u && [u.href, u.hostname, u.port, u.pathname, u.search, u.hash]};
	}).filter((r) => JSON.stringify(r.want) !== JSON.stringify(r.got)).slice(0, 10)`)
	if got != "[]" {
		t.Errorf("these differ: %s", got)
	}
}
