package plan

import (
	"encoding/json"
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
		[2]string{"package.json engines.node", j.Engines["node"]})
	m, whyManager := p.packageManager(&j)
	reasons := []string{why, whyManager}
	from := "FROM node:" + v + "-bookworm-slim"
	whole := p.installsWhole(&j)
	// installs are the steps from nothing to the source with its packages.
	installs := func(install string) []string {
		files := "COPY package.json " + p.nodeSettings() + glob(m.lock) + "./"
		if whole {
			files = "COPY . ."
		}
		return []string{when(m.setup != "", m.setup), files, "RUN --mount=type=cache,target=" + m.cache + " " + install}
	}
	_, builds := j.Scripts["build"]
	out, whyOut := p.siteOutput(&j)
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
			"COPY --from=build --exclude=node_modules /app ./",
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
			"COPY --from=build /app /app",
			"USER node",
			shell(start, nodeInit),
		)...),
	}, nil
}

// apart tells whether what the app needs to run can be installed beside its build, so that a change of its code leaves it
// alone: not where the build writes into node_modules, where there are several of them, or where installs must not meet.
func (p *project) apart(j *packageJSON, m packageManager) bool {
	if m.production == "" || m.name == "yarn" || j.hooks() || p.installsWhole(j) {
		return false
	}
	for _, name := range []string{"prisma", "@prisma/client", "zenstack"} {
		if j.uses(name) {
			return false
		}
	}
	return true
}

// siteOutput returns the folder a static site generator writes to, "" where the project is a server.
func (p *project) siteOutput(j *packageJSON) (dir, why string) {
	if p.opt.Kind == model.KindStatic && p.opt.Output != "" {
		return strings.Trim(p.opt.Output, "/"), "pandabox.toml names " + p.opt.Output
	}
	_, serves := j.Scripts["start"]
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
	case j.uses("vite") && !serves && !serverSide(j):
		return "dist", "vite builds a site, and no script start is there"
	}
	return "", ""
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
	if s, ok := j.Scripts["start"]; ok {
		if simple := strings.Fields(s); len(simple) > 1 && simple[0] == "node" && !strings.ContainsAny(s, "&|;$`<>'\"") {
			return s, "package.json has the script start", nil // signals reach node, not npm
		}
		return m.name + " start", "package.json has the script start", nil
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
