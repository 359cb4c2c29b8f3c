package edge

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/guesttest"
	"github.com/pandabox/pandabox/pkg/model"
)

// script uploads a module and returns what starts it as an app.
func (s *stage) script(app, main string, change ...func(*model.ContainerSpec)) model.ContainerSpec {
	s.t.Helper()
	b, err := s.Import(s.t.Context(), bytes.NewReader(tarOf(main)))
	if err != nil {
		s.t.Fatal(err)
	}
	r := model.Replica{Role: model.RoleReplica, WorkloadID: "w-" + app, EnvID: "env", App: app, ReleaseID: "r", Release: 1, Process: "web", Index: 1}
	spec := model.ContainerSpec{Replica: r, Name: r.Name(), Function: &model.Function{Digest: b.Digest, Size: b.Size, Runtime: model.RuntimeJS}}
	for _, c := range change {
		c(&spec)
	}
	return spec
}

func (s *stage) run(app, main string, change ...func(*model.ContainerSpec)) string {
	s.t.Helper()
	spec := s.script(app, main, change...)
	if _, err := s.Start(s.t.Context(), spec); err != nil {
		s.t.Fatal(err)
	}
	return spec.Name
}

func real(c *Config) {
	world := &guesttest.World{}
	c.Engines, c.KV = nil, func(string) guest.KV { return world }
}

const helloScript = `export default { async fetch(request, env) { return new Response("hello " + (env.NAME ?? "nobody")) } }`

func TestJavaScript(t *testing.T) {
	s := newStage(t, nil, real)
	name := s.run("hello", helloScript, func(c *model.ContainerSpec) { c.Env = []string{"NAME=Ada=1"} })
	for range 2 {
		if got := s.get(name); got.Code != 200 || got.Body.String() != "hello Ada=1" {
			t.Fatalf("%d %q; %s", got.Code, got.Body, s.log())
		}
		s.restart()
	}
	loop := s.run("loop", `export default { async fetch(request) { return fetch("http://loop.internal" + new URL(request.url).pathname) } }`)
	if got := s.get(loop); got.Code != http.StatusLoopDetected {
		t.Errorf("a function that calls itself: %d %q; %s", got.Code, got.Body, s.log())
	}
	asks := s.run("asks", `export default { async fetch(request, env) {
		await env.KV.put("greeting", "moin")
		const other = await fetch("http://hello.internal/"), refused = await fetch("http://127.0.0.1:22/").catch((e) => e.message)
		return new Response([await env.KV.get("greeting"), await other.text(), refused].join("|"))
	} }`)
	if got := s.get(asks); !strings.HasPrefix(got.Body.String(), "moin|hello Ada=1|") || !strings.Contains(got.Body.String(), "may not connect") {
		t.Errorf("%d %q; %s", got.Code, got.Body, s.log())
	}
}
