//go:build linux

package js_test

import (
	"testing"

	"github.com/pandabox/pandabox/pkg/edge/js"
	"github.com/pandabox/pandabox/pkg/edge/js/jstest"
)

func TestScriptsRun(t *testing.T) {
	e := jstest.Engine(t, js.Prelude{})
	for source, want := range map[string]string{
		"return 1 + 1": "2",
		"await new Promise(r => setTimeout(r, 5)); return 'later'":                          `"later"`,
		"await env.KV.put('a', 'x'); return [await env.KV.get('a'), await env.KV.get('b')]": `["x",null]`,
	} {
		if got, _ := jstest.Run(t, e, source); got != want {
			t.Errorf("%s is %s, want %s", source, got, want)
		}
	}
}
