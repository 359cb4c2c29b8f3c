package manifest

import (
	"maps"
	"slices"
	"strconv"

	"github.com/pandabox/pandabox/pkg/model"
)

// The keys of [build] and [static].
var (
	buildKeys  = []string{"dockerfile", "target", "platform", "args", "secrets"}
	staticKeys = []string{"dir", "spa", "keep_html"}
)

// Build is what [build] and [static] say of how the folder is built. The zero value finds everything out.
type Build struct {
	Dockerfile string            // path below the folder, with slashes; "" to be found out
	Target     string            // a stage of the Dockerfile; "" the last
	Platform   string            // "linux/amd64"; "" the box's own
	Args       map[string]string // nil where there are none
	Secrets    []string          // sorted names of variables
	Output     string            // [static] dir: the folder that is served; "" to be found out
}

// On returns how a source is built.
func (b Build) On(source, dir string) model.BuildSpec {
	return model.BuildSpec{
		Source: source, Dir: dir, Dockerfile: b.Dockerfile, Target: b.Target, Platform: b.Platform, Output: b.Output,
		Args: maps.Clone(b.Args), Secrets: slices.Clone(b.Secrets),
	}
}

// said tells whether there is anything that an image would not know.
func (b Build) said() bool {
	return b.Dockerfile != "" || b.Target != "" || b.Platform != "" || b.Args != nil || b.Secrets != nil || b.Output != ""
}

// readBuild sets in b what the table [build] names.
func readBuild(t table, b *Build) {
	t.only(buildKeys...)
	if t.has("dockerfile") {
		b.Dockerfile = readDir(t, "dockerfile", "deploy/Dockerfile")
	}
	if t.has("target") {
		b.Target = t.text("target", `"production"`)
		t.fail("target", model.BuildSpec{Source: unbundled, Target: b.Target}.Validate())
		if b.Target == "" {
			t.fail("target", model.Invalid("target is empty").WithHint("leave it out for the last stage"))
		}
	}
	if t.has("platform") {
		b.Platform = t.text("platform", `"linux/amd64"`)
		t.fail("platform", model.BuildSpec{Source: unbundled, Platform: b.Platform}.Validate())
	}
	args := t.table("args", `{ VERSION = "1.2" }`)
	for _, k := range args.keys() {
		value, ok := args.values[k].(string)
		if !ok {
			args.wrong(k, "a text in quotes", `"…"`)
		}
		args.fail(k, model.CheckVariable(k, value))
		if b.Args == nil {
			b.Args = map[string]string{}
		}
		b.Args[k] = value
	}
	if len(b.Args) > model.MaxBuildArgs {
		t.fail("args", model.Invalid("the build has %d arguments", len(b.Args)).WithHint("at most %d", model.MaxBuildArgs))
	}
	if t.has("secrets") {
		b.Secrets = t.texts("secrets", `["NPM_TOKEN"]`)
		for i, name := range b.Secrets {
			at := append(t.below("secrets"), strconv.Itoa(i))
			t.r.fail(at, model.CheckVariable(name, ""))
			if slices.Contains(b.Secrets[:i], name) {
				t.r.fail(at, model.Invalid("the secret %s stands here twice", name))
			}
		}
		if len(b.Secrets) > model.MaxBuildArgs {
			t.fail("secrets", model.Invalid("the build has %d secrets", len(b.Secrets)).WithHint("at most %d", model.MaxBuildArgs))
		}
		slices.Sort(b.Secrets)
	}
}

// readStatic sets in s and b what the table [static] names.
func readStatic(t table, s *model.Static, b *Build) {
	t.only(staticKeys...)
	if t.has("dir") {
		b.Output = readDir(t, "dir", "dist")
	}
	if t.has("spa") {
		s.SPA = t.yes("spa")
	}
	if t.has("keep_html") {
		s.KeepHTML = t.yes("keep_html")
	}
}

// readDir reads a path below the folder.
func readDir(t table, key, example string) string {
	dir := t.text(key, strconv.Quote(example))
	if dir == "" || model.CheckDir(key, dir) != nil {
		t.fail(key, model.Invalid("%q is no clean path below this folder", dir).WithHint("for example: %s = %q; leave it out to have it found", key, example))
	}
	return dir
}

// onlyStatic refuses in a table what belongs to containers and functions.
func onlyStatic(t table) {
	for _, no := range []struct{ key, what, hint string }{
		{"image", "runs no image", "leave image out: its files are taken from this folder, or built from it"},
		{"process", "has no processes", `its files are answered by pandabox itself; for a server of its own leave out kind = "static"`},
		{"volume", "has no volumes", "keep data in an app of its own"},
		{"function", "is no function", "make the function an app of its own, with on = the site's name and routes"},
		{"job", "has no jobs", "there is nothing to run: give the job to an app or a function"},
	} {
		if t.has(no.key) {
			t.fail(no.key, model.Invalid("a static site %s", no.what).WithWhy("its files are served by pandabox itself, without a container").WithHint("%s", no.hint))
		}
	}
}
