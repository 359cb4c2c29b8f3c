package plan

import (
	"cmp"
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/pandabox/pandabox/pkg/model"
)

// defaultNode is the long-term release of projects that name none.
const defaultNode = "24"

// nodeInit runs Node.js below a process that only passes signals on. As the first process, Node.js without a handler of its
// own for SIGTERM would not end: it catches the signal, and then sends it to itself, which the kernel ignores there.
const nodeInit = "timeout --foreground 0 "

// packageJSON is the part of package.json that matters to a build.
type packageJSON struct {
	Main            string            `json:"main"`
	PackageManager  string            `json:"packageManager"` // "pnpm@9.12.0+sha…"
	Engines         map[string]string `json:"engines"`
	Scripts         map[string]string `json:"scripts"`
	Workspaces      any               `json:"workspaces"`
	Dependencies    map[string]string `json:"dependencies"`
	DevDependencies map[string]string `json:"devDependencies"`

	OptionalDependencies map[string]string `json:"optionalDependencies"`
}

func (j *packageJSON) uses(name string) bool {
	_, run := j.Dependencies[name]
	_, dev := j.DevDependencies[name]
	return run || dev
}

// hooks tells whether installing runs scripts of the project, which may need what only building needs.
func (j *packageJSON) hooks() bool {
	for _, name := range []string{"preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"} {
		if _, ok := j.Scripts[name]; ok {
			return true
		}
	}
	return false
}

func nodePlan(p *project) (*Plan, error) {
	if !p.has("package.json") {
		return nil, nil
	}
	var j packageJSON
	if err := json.Unmarshal([]byte(p.text("package.json")), &j); err != nil {
		return nil, model.Invalid("package.json cannot be read").WithWhy("%s", err)
	}
	v, why := version(1, defaultNode, [2]string{".nvmrc", p.line(".nvmrc")}, [2]string{".node-version", p.line(".node-version")},
		[2]string{"package.json engines.node", fitting(j.Engines["node"], defaultNode)})
	m, whyManager := p.packageManager(&j)
	reasons := []string{why, whyManager}
	out, whyOut := p.siteOutput(&j)
	if tool := p.developing(&j); out == "" && tool != "" {
		m.production, m.prune = "", "" // all stay
		reasons = append(reasons, "devDependencies stay: starting needs "+tool)
	}
	from := "FROM node:" + v + "-bookworm-slim"
	whole := p.installsWhole(&j)
	// installs are the steps from nothing to the source with its packages.
	installs := func(install string) []string {
		files := "COPY package.json " + p.nodeSettings() + glob(m.lock) + "./"
		if whole {
			files = "COPY . ."
		}
		return []string{when(m.setup != "", m.setup), when(prisma(&j), apt("openssl")), files, "RUN --mount=type=cache,target=" + m.cache + " " + install}
	}
	_, builds := j.Scripts["build"]
	if out == "" && !builds && m.production != "" && !j.hooks() {
		start, whyStart, err := p.nodeStart(&j, m)
		if err != nil {
			return nil, err
		}
		// One stage: what changes from one build to the next is the last COPY.
		return &Plan{Version: v, Reasons: append(reasons, whyStart), Dockerfile: dockerfile(slices.Concat(
			[]string{from, "WORKDIR /app", "ENV NODE_ENV=production"},
			installs(m.production),
			[]string{when(!whole, "COPY . ."), "USER node", shell(start, nodeInit)},
		)...)}, nil
	}
	lines := slices.Concat([]string{from + " AS build", "WORKDIR /app"}, installs(m.install), []string{when(!whole, "COPY . .")})
	if builds {
		lines = append(lines, "ENV NODE_ENV=production", "RUN "+m.run+" build")
		reasons = append(reasons, "package.json has the script build")
	}
	if out != "" && (builds || p.opt.Kind == model.KindStatic) {
		return &Plan{Version: v, Output: "/app/" + out, Reasons: append(reasons, whyOut), Dockerfile: dockerfile(lines...)}, nil
	}
	start, whyStart, err := p.nodeStart(&j, m)
	if err != nil {
		return nil, err
	}
	reasons = append(reasons, whyStart)
	owner := ""
	if j.uses("next") {
		owner = "--chown=node:node " // it writes pages into .next as it serves
	}
	if p.apart(&j, m) {
		return &Plan{Version: v, Reasons: reasons, Dockerfile: dockerfile(slices.Concat([]string{
			from + " AS dependencies",
			"WORKDIR /app",
			"ENV NODE_ENV=production",
		}, installs(m.production), []string{""}, lines, []string{
			"",
			from,
			"WORKDIR /app",
			"ENV NODE_ENV=production",
			when(m.setup != "" && strings.HasPrefix(start, m.name), m.setup),
			"COPY --from=dependencies /app ./",
			"COPY --from=build " + owner + "--exclude=node_modules /app ./",
			"USER node",
			shell(start, nodeInit),
		})...)}, nil
	}
	return &Plan{
		Version: v, Reasons: reasons,
		Dockerfile: dockerfile(append(lines,
			when(m.prune != "", "RUN "+m.prune),
			"",
			from,
			"WORKDIR /app",
			"ENV NODE_ENV=production",
			when(m.setup != "" && strings.HasPrefix(start, m.name), m.setup),
			when(prisma(&j), apt("openssl")),
			"COPY --from=build "+owner+"/app /app",
			"USER node",
			shell(start, nodeInit),
		)...),
	}, nil
}

// apart tells whether what the app needs to run can be installed beside its build, so that a change of its code leaves it
// alone: not where the build writes into node_modules, where there are several of them, or where installs must not meet.
func (p *project) apart(j *packageJSON, m packageManager) bool {
	return m.production != "" && m.name != "yarn" && !j.hooks() && !p.installsWhole(j) && !prisma(j)
}

// prisma tells whether a build generates a client into node_modules, whose engine needs OpenSSL.
func prisma(j *packageJSON) bool {
	return slices.ContainsFunc([]string{"prisma", "@prisma/client", "zenstack"}, j.uses)
}

// startScript returns the script that serves. NestJS and Angular have a start for developing, and another one.
func (j *packageJSON) startScript() (name, text string) {
	names := []string{"start:prod", "start"}
	if j.uses("@angular/ssr") {
		server := slices.DeleteFunc(slices.Sorted(maps.Keys(j.Scripts)), func(n string) bool { return !strings.HasPrefix(n, "serve:ssr:") })
		names = append(server, names...)
	}
	for _, name := range names {
		if s := j.Scripts[name]; s != "" {
			return name, s
		}
	}
	return "", ""
}

// developing returns what of devDependencies starting needs, "" for nothing.
func (p *project) developing(j *packageJSON) string {
	command := p.webCommand()
	if command == "" {
		_, command = j.startScript()
	}
	needs := func(name string) bool { return j.DevDependencies[name] != "" && j.Dependencies[name] == "" }
	words := strings.FieldsFunc(command, func(r rune) bool { return strings.ContainsRune(" \t&|;()", r) })
	for _, word := range words {
		if tool := cmp.Or(map[string]string{"nest": "@nestjs/cli", "ng": "@angular/cli"}[word], word); needs(tool) {
			return tool
		}
	}
	if slices.Contains(words, "next") && p.has("next.config.ts") && needs("typescript") {
		return "typescript" // Next.js would fetch it to read its settings
	}
	return ""
}

// siteOutput returns the folder a static site generator writes to, "" where the project is a server.
func (p *project) siteOutput(j *packageJSON) (dir, why string) {
	if p.opt.Kind == model.KindStatic && p.opt.Output != "" {
		return strings.Trim(p.opt.Output, "/"), "pandabox.toml names " + p.opt.Output
	}
	_, start := j.startScript()
	serves := start != "" && !strings.HasPrefix(start+" ", "vite ") // its server is one for developing
	static := func(config string) bool { return strings.Contains(p.text(config), "export") }
	switch {
	case p.webCommand() != "":
	case j.uses("next"):
		for _, config := range []string{"next.config.js", "next.config.mjs", "next.config.ts"} {
			if text := p.text(config); static(config) && (strings.Contains(text, `output: "export"`) || strings.Contains(text, `output: 'export'`)) {
				return "out", config + " says output: export"
			}
		}
	case j.uses("astro"):
		if !j.uses("@astrojs/node") {
			return "dist", "astro without a server adapter"
		}
	case j.uses("react-scripts"):
		return "build", "react-scripts builds a site"
	case j.uses("@sveltejs/adapter-static"):
		return "build", "@sveltejs/adapter-static builds a site"
	case j.uses("@angular/core"):
		return p.angularOutput()
	case j.uses("vite") && !serves && !serverSide(j):
		return "dist", "vite builds a site, and nothing serves it"
	}
	return "", ""
}

// angularOutput returns the folder that Angular builds a site into, "" where it builds a server or several programs.
func (p *project) angularOutput() (dir, why string) {
	var workspace struct {
		Projects map[string]struct {
			Type      string `json:"projectType"`
			Architect struct {
				Build struct {
					Builder string `json:"builder"`
					Options struct {
						Path any `json:"outputPath"` // a folder, or its parts
						SSR  any `json:"ssr"`
					} `json:"options"`
				} `json:"build"`
			} `json:"architect"`
		} `json:"projects"`
	}
	if json.Unmarshal([]byte(p.text("angular.json")), &workspace) != nil {
		return "", ""
	}
	for name, one := range workspace.Projects {
		build := one.Architect.Build
		if one.Type != "application" {
			continue
		}
		if server, _ := build.Options.SSR.(bool); dir != "" || server || build.Options.SSR != nil && build.Options.SSR != false {
			return "", ""
		}
		dir = "dist/" + name
		browser := "browser"
		switch said := build.Options.Path.(type) {
		case string:
			dir = said
		case map[string]any:
			if base, ok := said["base"].(string); ok {
				dir = base
			}
			if b, ok := said["browser"].(string); ok {
				browser = b
			}
		}
		if strings.HasSuffix(build.Builder, ":browser") {
			browser = ""
		}
		dir = strings.Trim(path.Join(dir, browser), "/")
	}
	return dir, "angular.json says so"
}

// serverSide tells whether a framework on top of vite brings a server.
func serverSide(j *packageJSON) bool {
	for _, name := range []string{"@sveltejs/kit", "@remix-run/serve", "@react-router/serve", "nuxt", "express", "fastify", "hono", "koa"} {
		if j.uses(name) {
			return true
		}
	}
	return false
}

// nodeStart returns the command that serves.
func (p *project) nodeStart(j *packageJSON, m packageManager) (command, why string, err error) {
	if c := p.webCommand(); c != "" {
		return c, "Procfile names the process web", nil
	}
	if name, s := j.startScript(); name != "" {
		why = "package.json has the script " + name
		if simple := strings.Fields(s); j.Scripts["pre"+name] == "" && len(simple) > 1 && simple[0] == "node" && !strings.ContainsAny(s, "&|;$`<>'\"") {
			return s, why, nil // signals reach node, not npm
		}
		if name == "start" {
			return m.name + " start", why, nil
		}
		return m.run + " " + name, why, nil
	}
	switch {
	case j.uses("@sveltejs/adapter-node"):
		return "node build", "@sveltejs/adapter-node builds a server", nil
	case j.uses("@sveltejs/kit"):
		return "", "", model.Invalid("nobody knows how to start this SvelteKit project").WithWhy("it has neither @sveltejs/adapter-node nor @sveltejs/adapter-static").
			WithHint("npm install -D @sveltejs/adapter-node, and name it in svelte.config.js")
	case j.uses("nuxt"):
		return "node .output/server/index.mjs", "nuxt builds a server", nil
	case j.uses("@astrojs/node"):
		return "HOST=0.0.0.0 node dist/server/entry.mjs", "@astrojs/node builds a server", nil
	}
	if j.Main != "" && p.has(j.Main) {
		return "node " + j.Main, "package.json names main", nil
	}
	if f := p.first("server.js", "server.mjs", "index.js", "index.mjs", "app.js", "main.js"); f != "" {
		return "node " + f, f + " is there", nil
	}
	return "", "", model.Invalid("nobody knows how to start this Node.js project").WithWhy("package.json has no script start and no main, and there is no server.js or index.js").
		WithHint(`add "start" to the scripts of package.json`)
}
