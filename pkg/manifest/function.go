package manifest

import (
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pandabox/pandabox/pkg/model"
)

// The keys of [function] and of its limits.
var (
	functionKeys = []string{"main", "runtime", "isolation", "on", "routes", "middleware", "egress", "limits"}
	limitKeys    = []string{"cpu", "timeout", "memory", "response", "log", "subrequests", "concurrency"}
)

// Function is what [function] says. Its Digest and Size are those of the bundle, which nobody has made yet; Runtime "" is
// for the bundle to tell.
type Function struct {
	model.Function
	Main string // path below the folder, with slashes; "" to be found
}

// unbundled stands for the digest a function gets when it is uploaded.
const unbundled = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

// readFunction sets in f what the table [function] names.
func readFunction(t table, f *Function) {
	t.only(functionKeys...)
	if t.has("main") {
		f.Main = t.text("main", `"src/index.ts"`)
		if !filepath.IsLocal(filepath.FromSlash(f.Main)) || path.Clean(f.Main) == "." {
			t.fail("main", model.Invalid("%q is not a file of this folder", f.Main).WithHint(`for example: main = "src/index.ts"`))
		}
	}
	if t.has("runtime") {
		f.Runtime = model.FunctionRuntime(t.text("runtime", `"js"`))
		t.fail("runtime", model.Function{Runtime: f.Runtime, Digest: unbundled}.Validate())
	}
	if t.has("isolation") {
		f.Isolation = model.Isolation(t.text("isolation", `"request"`))
		t.fail("isolation", model.Function{Runtime: model.RuntimeJS, Isolation: f.Isolation, Digest: unbundled}.Validate())
	}
	if t.has("on") {
		f.On = t.text("on", `"shop"`)
		t.fail("on", model.CheckName("app", f.On))
	}
	if t.has("routes") {
		f.Routes = readRoutes(t)
	}
	if t.has("middleware") {
		f.Middleware = t.yes("middleware")
	}
	if t.has("egress") {
		f.Egress = t.texts("egress", `["10.1.2.0/24"]`)
		for i := range f.Egress {
			one := model.Function{Runtime: model.RuntimeJS, Digest: unbundled, Egress: f.Egress[i : i+1]}
			t.r.fail(append(t.below("egress"), strconv.Itoa(i)), one.Validate())
		}
		if len(f.Egress) > 1 && slices.Contains(f.Egress, "none") {
			t.fail("egress", model.Invalid(`egress has "none" beside addresses`).WithHint(`write ["none"] to close everything, or the addresses alone`))
		}
	}
	readLimits(t.table("limits", `{ timeout = "30s" }`), &f.Limits)
}

func readRoutes(t table) []string {
	routes := t.texts("routes", `["/api/*"]`)
	for i, r := range routes {
		at := append(t.below("routes"), strconv.Itoa(i))
		t.r.fail(at, model.CheckPath(r))
		if slices.Contains(routes[:i], r) {
			t.r.fail(at, model.Invalid("the route %s stands here twice", r))
		}
	}
	if len(routes) > model.MaxFunctionRoutes {
		t.fail("routes", model.Invalid("there are %d routes", len(routes)).WithHint("at most %d", model.MaxFunctionRoutes))
	}
	return routes
}

func readLimits(t table, l *model.FunctionLimits) {
	t.only(limitKeys...)
	for _, d := range []struct {
		key, example string
		into         *model.Duration
		alone        func(model.Duration) model.FunctionLimits
	}{
		{"cpu", "1s", &l.CPU, func(d model.Duration) model.FunctionLimits { return model.FunctionLimits{CPU: d} }},
		{"timeout", "30s", &l.Timeout, func(d model.Duration) model.FunctionLimits { return model.FunctionLimits{Timeout: d} }},
	} {
		if !t.has(d.key) {
			continue
		}
		*d.into = t.duration(d.key, d.example)
		t.fail(d.key, d.alone(*d.into).Validate())
		if *d.into == 0 {
			t.fail(d.key, model.Invalid("%s is zero", d.key).WithHint("leave it out for the default"))
		}
	}
	for _, s := range []struct {
		key, example string
		into         *int64
		alone        func(int64) model.FunctionLimits
	}{
		{"memory", "64MB", &l.Memory, func(n int64) model.FunctionLimits { return model.FunctionLimits{Memory: n} }},
		{"response", "64MB", &l.Response, func(n int64) model.FunctionLimits { return model.FunctionLimits{Response: n} }},
		{"log", "64KB", &l.Log, func(n int64) model.FunctionLimits { return model.FunctionLimits{Log: n} }},
	} {
		if !t.has(s.key) {
			continue
		}
		if s.key == "response" && t.values[s.key] == "none" {
			*s.into = -1
			continue
		}
		*s.into = readBytes(t, s.key, s.example)
		t.fail(s.key, s.alone(*s.into).Validate())
	}
	for _, n := range []struct {
		key     string
		example int
		into    *int
		alone   func(int) model.FunctionLimits
	}{
		{"subrequests", model.DefaultFunctionSubrequests, &l.Subrequests, func(n int) model.FunctionLimits { return model.FunctionLimits{Subrequests: n} }},
		{"concurrency", model.DefaultFunctionConcurrency, &l.Concurrency, func(n int) model.FunctionLimits { return model.FunctionLimits{Concurrency: n} }},
	} {
		if !t.has(n.key) {
			continue
		}
		*n.into = t.whole(n.key, n.example)
		t.fail(n.key, n.alone(*n.into).Validate())
		if *n.into == 0 {
			t.fail(n.key, model.Invalid("%s is zero", n.key).WithHint("choose 1 or more; leave it out for %d", n.example))
		}
	}
}

// readBytes reads a size with its unit.
func readBytes(t table, key, example string) int64 {
	if n, ok := t.values[key].(int64); ok {
		t.fail(key, model.Invalid("%s needs a unit", key).WithHint("for example: %s = %q", key, strconv.FormatInt(n, 10)+strings.TrimLeft(example, "0123456789")))
		return 0
	}
	text := t.text(key, strconv.Quote(example))
	if _, ok := t.values[key].(string); !ok {
		return 0
	}
	n, err := ParseSize(text)
	t.fail(key, err)
	if err == nil && n == 0 {
		t.fail(key, model.Invalid("%s is zero", key).WithHint("leave it out for the default"))
	}
	return n
}

// onlyFunction refuses in a table what belongs to containers.
func onlyFunction(t table) {
	for _, no := range []struct{ key, what, hint string }{
		{"image", "runs no image", "leave image out: its code is bundled from this folder"},
		{"process", "has no processes", "it answers as many requests at once as it needs to: limits = { concurrency = 64 } in [function]"},
		{"build", "is not built as an image", "leave [build] out: its code is bundled from this folder"},
		{"static", "serves no folder", "make the site an app of its own"},
		{"volume", "has no volumes", "keep what it should remember in env.KV, or in an app of its own"},
	} {
		if t.has(no.key) {
			t.fail(no.key, model.Invalid("a function %s", no.what).WithWhy("it runs inside pandabox, without a container").WithHint("%s", no.hint))
		}
	}
}

// check refuses what no key alone can be wrong about; t is the table of [function].
func (f Function) check(t table) {
	whole := f.Function
	whole.Digest = unbundled
	if whole.Runtime == "" {
		whole.Runtime = model.RuntimeJS
	}
	t.r.fail(t.path, whole.Validate())
}
