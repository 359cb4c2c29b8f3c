package manifest

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/pandabox/pandabox/pkg/model"
)

// The keys of each table.
var (
	rootKeys     = []string{"app", "project", "kind", "image", "domains", "domain", "variables", "process", "volume", "env", "function", "build", "static", "job"}
	sectionKeys  = []string{"image", "domains", "domain", "variables", "process", "function", "build", "static"} // of [env.NAME]
	processKeys  = []string{"command", "port", "health", "scale", "stop_grace", "http"}
	healthKeys   = []string{"path", "grace", "interval", "timeout"}
	httpKeys     = []string{"max_body", "timeout", "headers"}
	scaleKeys    = []string{"replicas", "cpu", "memory", "pids"}
	volumeKeys   = []string{"path", "name"}
	domainKeys   = []string{"host"}
	variableKeys = []string{"secret", "required"}
)

func parse(doc []byte, procfile []model.Process) (*Manifest, error) {
	r, root, err := read(FileName, doc)
	if err != nil {
		return nil, err
	}
	m := &Manifest{Kind: model.KindWeb, envs: map[string]Settings{}}
	root.only(rootKeys...)
	m.App = name(root, "app", "app", "shop")
	m.Project = name(root, "project", "project", "store")
	m.Kind = kind(root)
	for _, key := range []string{"kind", "image", "process", "volume", "function", "static"} {
		m.saysWhat = m.saysWhat || root.has(key)
	}
	m.saysBuild = root.has("build")

	b := builder{kind: m.Kind, procfile: map[string]bool{}, processes: map[string]model.Process{}, variables: map[string]variable{}}
	for _, p := range procfile {
		b.processes[p.Name], b.procfile[p.Name] = p, true
	}
	switch m.Kind {
	case model.KindFunction:
		b.function = &Function{}
		onlyFunction(root)
		if len(procfile) > 0 {
			r.fail([]string{"kind"}, model.Invalid("a function has no processes, and there is a %s", ProcfileName).WithHint("remove the %s", ProcfileName))
		}
	case model.KindStatic:
		b.static = &model.Static{}
		onlyStatic(root)
		if len(procfile) > 0 {
			r.fail([]string{"kind"}, model.Invalid("a static site has no processes, and there is a %s", ProcfileName).WithHint(`remove the %s, or leave out kind = "static" and [static]`, ProcfileName))
		}
	default:
		b.volumes = volumes(root)
	}
	b.read(root)
	m.base = b.settings(root)
	if doc != nil {
		m.jobs = jobs(root, m.Kind)
	}
	m.hasJobs = root.has("job")

	envs := root.table("env", `{ staging = { … } }`)
	for _, env := range envs.keys() {
		envs.fail(env, model.CheckName("environment", env))
		section := envs.table(env, `{ variables = { … } }`)
		section.only(sectionKeys...)
		switch m.Kind {
		case model.KindFunction:
			onlyFunction(section)
		case model.KindStatic:
			onlyStatic(section)
		}
		m.saysWhat = m.saysWhat || section.has("image") || section.has("process")
		m.saysBuild = m.saysBuild || section.has("build")
		over := b.clone(env)
		over.read(section)
		m.envs[env] = over.settings(section)
	}
	if r.err != nil {
		return nil, r.err
	}
	return m, nil
}

func name(t table, key, noun, example string) string {
	s := t.text(key, `"`+example+`"`)
	if t.has(key) {
		t.fail(key, model.CheckName(noun, s))
	}
	return s
}

func kind(t table) model.AppKind {
	switch k := model.AppKind(t.text("kind", `"web"`)); k {
	case model.KindWeb, model.KindWorker:
		for _, of := range []model.AppKind{model.KindFunction, model.KindStatic} {
			if t.has(string(of)) { // the table is called like the kind
				t.fail(string(of), model.Invalid("an app of the kind %s has no [%s]", k, of).WithHint("write kind = %q, or remove one of the two", of))
			}
		}
		return k
	case model.KindFunction, model.KindStatic:
		return k
	}
	switch {
	case t.has("kind"):
		t.fail("kind", model.Invalid("%q is not a kind of app", t.values["kind"]).WithHint(`choose "web", "worker", "function" or "static"`))
	case t.has("static"):
		return model.KindStatic
	case t.has("function"):
		return model.KindFunction
	}
	return model.KindWeb
}

func volumes(t table) []model.Mount {
	if !t.has("volume") {
		return []model.Mount{DefaultVolume()}
	}
	var out []model.Mount
	for _, v := range t.tables("volume", `path = "/storage"`) {
		v.only(volumeKeys...)
		m := model.Mount{Path: v.text("path", `"/storage"`), Volume: v.text("name", `"storage"`)}
		if !strings.HasPrefix(m.Path, "/") || path.Clean(m.Path) != m.Path || m.Path == "/" {
			e := model.Invalid("%q is not a place for a volume", m.Path).WithHint(`write an absolute path: path = "/storage"`)
			if m.Path == "" {
				e.What = "a volume needs a path"
			}
			v.fail("path", e)
		}
		if m.Volume == "" {
			m.Volume = model.Slug(m.Path)
		}
		if m.Volume == "" {
			v.fail("path", model.Invalid("no name can be made of %q", m.Path).WithHint(`add name = "data"`))
		} else {
			v.fail("name", model.CheckName("volume", m.Volume))
		}
		for _, o := range out {
			if o.Path == m.Path {
				v.fail("path", model.Invalid("%s has a volume already", m.Path))
			}
			if o.Volume == m.Volume {
				v.fail("name", model.Invalid("there is a volume %q already", m.Volume).WithHint("give one of them another name"))
			}
		}
		out = append(out, m)
	}
	return out
}

func domains(t table) []string {
	var out []string
	add := func(t table, key, host string) {
		h, err := model.CheckHost(host)
		t.fail(key, err)
		if err == nil && slices.Contains(out, h) {
			t.fail(key, model.Invalid("the domain %s stands here twice", h))
		}
		out = append(out, h)
	}
	for _, host := range t.texts("domains", `["shop.example.com"]`) {
		add(t, "domains", host)
	}
	for _, d := range t.tables("domain", `host = "shop.example.com"`) {
		d.only(domainKeys...)
		add(d, "host", d.text("host", `"shop.example.com"`))
	}
	return out
}

// variable is a value, or what is asked of a value set elsewhere.
type variable struct {
	value            *string
	secret, required bool
}

func readVariables(t table, into map[string]variable) {
	vars := t.table("variables", `{ LOG_LEVEL = "info" }`)
	for _, k := range vars.keys() {
		v := variable{}
		switch val := vars.values[k].(type) {
		case string:
			v.value = &val
			vars.fail(k, model.CheckVariable(k, val))
		case map[string]any:
			spec := vars.table(k, "")
			spec.only(variableKeys...)
			v.secret, v.required = spec.yes("secret"), spec.yes("required")
			vars.fail(k, model.CheckVariable(k, ""))
			if !v.secret && !v.required {
				vars.fail(k, model.Invalid("%s says nothing", k).WithHint("write a text, or { secret = true, required = true }"))
			}
		default:
			vars.wrong(k, "a text in quotes", `"…"`)
		}
		into[k] = v
	}
	if len(into) > model.MaxVariables {
		t.fail("variables", model.Invalid("there are %d variables", len(into)).WithHint("at most %d fit", model.MaxVariables))
	}
}

// builder gathers the settings of one environment; reading a section over another changes only what it names.
type builder struct {
	kind      model.AppKind
	function  *Function     // nil but for an app of kind function
	static    *model.Static // nil but for an app of kind static
	build     Build
	image     string
	procfile  map[string]bool // processes whose command stands in the Procfile
	processes map[string]model.Process
	volumes   []model.Mount
	variables map[string]variable
	domains   []string
}

func (b builder) clone(env string) builder {
	b.procfile = map[string]bool{} // an override may say another command
	b.processes = maps.Clone(b.processes)
	b.variables = maps.Clone(b.variables)
	if b.function != nil {
		f := *b.function // what readFunction sets, it sets whole
		b.function = &f
	}
	if b.static != nil {
		s := *b.static
		b.static = &s
	}
	b.build.Args = maps.Clone(b.build.Args)
	if env != Production {
		b.domains = nil
	}
	return b
}

func (b *builder) read(t table) {
	if t.has("image") {
		if b.image = t.text("image", `"registry.example.com/shop:1.2"`); b.image == "" {
			t.fail("image", model.Invalid("image is empty"))
		}
	}
	if t.has("domains") || t.has("domain") {
		b.domains = domains(t)
	}
	readVariables(t, b.variables)
	readBuild(t.table("build", `{ dockerfile = "deploy/Dockerfile" }`), &b.build)
	if t.has("static") {
		if b.static == nil {
			t.fail("static", model.Invalid("an app of the kind %s has no [static]", b.kind).WithHint(`write kind = "static" at the top`))
			return
		}
		readStatic(t.table("static", `{ dir = "dist" }`), b.static, &b.build)
	}
	if t.has("function") {
		if b.function == nil {
			t.fail("function", model.Invalid("an app of the kind %s has no [function]", b.kind).WithHint(`write kind = "function" at the top`))
			return
		}
		readFunction(t.table("function", `{ main = "src/index.ts" }`), b.function)
	}
	processes := t.table("process", `{ web = { port = 8080 } }`)
	for _, name := range processes.keys() {
		processes.fail(name, model.CheckName("process", name))
		p, ok := b.processes[name]
		if !ok {
			p = model.Process{Name: name}
		}
		spec := processes.table(name, `{ command = "…" }`)
		if b.procfile[name] && spec.has("command") {
			spec.fail("command", model.Invalid("process %s has a command in %s too", name, ProcfileName).WithHint("keep one of the two"))
		}
		readProcess(spec, &p)
		b.processes[name] = p
	}
}

// settings checks the whole; t is the table a fault of the whole belongs to.
func (b *builder) settings(t table) Settings {
	s := Settings{Function: b.function, Static: b.static, Build: b.build, Image: b.image, Volumes: b.volumes, Variables: map[string]string{}, Domains: b.domains}
	for _, name := range slices.Sorted(maps.Keys(b.processes)) {
		s.Processes = append(s.Processes, b.processes[name])
	}
	if b.function != nil {
		b.function.check(t.table("function", `{ main = "src/index.ts" }`))
		s.Processes = nil
	}
	if b.image != "" && b.build.said() {
		key := "image"
		if !t.has(key) {
			key = "build"
		}
		t.fail(key, model.Invalid("there are both image and [build]").WithWhy("an image is built already").WithHint("keep image to deploy it, or [build] to build this folder"))
	}
	if b.kind == model.KindWorker {
		if _, ok := b.processes[model.ProcessWeb]; ok {
			t.fail("process", model.Invalid("an app of kind worker has no process web").WithHint(`name it otherwise, or leave out kind = "worker"`))
		}
		if len(b.processes) == 0 {
			s.Processes = []model.Process{{Name: "worker"}}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.variables)) {
		v := b.variables[name]
		if v.value != nil {
			s.Variables[name] = *v.value
		}
		if v.secret {
			s.Secrets = append(s.Secrets, name)
		}
		if v.required {
			s.Required = append(s.Required, name)
		}
	}
	return s
}
