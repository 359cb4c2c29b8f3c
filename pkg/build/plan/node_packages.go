package plan

import (
	"strings"
)

// packageManager is how a project's packages are fetched, and its scripts run.
type packageManager struct {
	name, lock string
	setup      string // before anything else; "" nothing
	install    string
	production string // install without what only building needs; "" where there is no such command
	cache      string
	run        string
	prune      string
}

// packageManager chooses by lock file.
func (p *project) packageManager(j *packageJSON) (packageManager, string) {
	switch {
	case p.has("pnpm-lock.yaml"):
		pin := pnpmFor(p.line("pnpm-lock.yaml"))
		if strings.HasPrefix(j.PackageManager, "pnpm@") {
			pin = strings.SplitN(j.PackageManager, "+", 2)[0]
		}
		return packageManager{
			name: "pnpm", lock: "pnpm-lock.yaml", setup: "RUN npm install -g " + pin, install: "pnpm install --frozen-lockfile --store-dir /pnpm/store",
			production: "pnpm install --frozen-lockfile --prod --store-dir /pnpm/store",
			cache:      "/pnpm/store", run: "pnpm run",
			// From another store, or where it would ask, it takes nothing away or fails. The variable's name was changed.
			prune: "--mount=type=cache,target=/pnpm/store CI=true npm_config_store_dir=/pnpm/store pnpm_config_store_dir=/pnpm/store pnpm prune --prod --ignore-scripts",
		}, "pnpm-lock.yaml is there: pnpm"
	case p.has("yarn.lock") && strings.Contains(p.text("yarn.lock"), "\n__metadata:") || p.has("yarn.lock") && strings.TrimLeft(cut(j.PackageManager, 1), "01") != "" && strings.HasPrefix(j.PackageManager, "yarn@"):
		pin := "4"
		if strings.HasPrefix(j.PackageManager, "yarn@") {
			pin = strings.TrimPrefix(strings.SplitN(j.PackageManager, "+", 2)[0], "yarn@")
		}
		m := packageManager{
			name: "yarn", lock: "yarn.lock", install: "yarn install --immutable", cache: "/root/.yarn/berry/cache", run: "yarn run",
			// Without node_modules, what the app needs stayed in the cache. The image's own yarn is in the way.
			setup: "ENV YARN_NODE_LINKER=node-modules YARN_ENABLE_TELEMETRY=0\nRUN npm install -g --force @yarnpkg/cli-dist@" + pin,
		}
		if cut(pin, 1) >= "4" {
			m.prune = "yarn workspaces focus --production"
		}
		return m, "yarn.lock is there: yarn " + pin
	case p.has("yarn.lock"):
		return packageManager{
			name: "yarn", lock: "yarn.lock", setup: "", install: "yarn install --frozen-lockfile --cache-folder /yarn",
			production: "yarn install --frozen-lockfile --production --cache-folder /yarn", cache: "/yarn", run: "yarn run",
			prune: "yarn install --frozen-lockfile --production --ignore-scripts --prefer-offline --cache-folder /tmp/yarn",
		}, "yarn.lock is there: yarn"
	case p.has("package-lock.json"), p.has("npm-shrinkwrap.json"):
		lock := p.first("package-lock.json", "npm-shrinkwrap.json")
		return packageManager{name: "npm", lock: lock, install: "npm ci", production: "npm ci --omit=dev", cache: "/root/.npm", run: "npm run", prune: "npm prune --omit=dev --ignore-scripts"}, lock + " is there: npm"
	}
	return packageManager{name: "npm", install: "npm install", production: "npm install --omit=dev", cache: "/root/.npm", run: "npm run", prune: "npm prune --omit=dev --ignore-scripts"}, "no lock file is there: npm, newest versions"
}

// pnpmFor returns the pnpm that reads a lock file, by its first line: "lockfileVersion: '9.0'".
func pnpmFor(line string) string {
	switch version := cut(line, 1); {
	case version == "5":
		return "pnpm@7"
	case version == "6":
		return "pnpm@8"
	}
	return "pnpm@10"
}

// nodeSettings returns the files that say where packages come from, as COPY takes them: each with a space.
func (p *project) nodeSettings() string {
	out := ""
	for _, name := range []string{".npmrc", ".yarnrc", ".yarnrc.yml"} {
		if p.has(name) {
			out += name + " "
		}
	}
	return out
}

// installsWhole tells whether installing needs more of the source than package.json and a lock file: packages that are
// folders of it, patches, scripts that installing runs.
func (p *project) installsWhole(j *packageJSON) bool {
	if j.Workspaces != nil || j.hooks() || p.has("pnpm-workspace.yaml") || p.has(".pnpmfile.cjs") || p.hasDir("patches") || p.hasDir(".yarn") {
		return true
	}
	for _, all := range []map[string]string{j.Dependencies, j.DevDependencies, j.OptionalDependencies} {
		for _, version := range all {
			for _, prefix := range []string{"file:", "link:", "portal:", "patch:", "workspace:", ".", "/"} {
				if strings.HasPrefix(version, prefix) {
					return true
				}
			}
		}
	}
	return false
}

// glob names a file of COPY that may be missing, and a space; "" for none.
func glob(name string) string {
	if name == "" {
		return ""
	}
	return name[:len(name)-1] + "[" + name[len(name)-1:] + "] "
}
