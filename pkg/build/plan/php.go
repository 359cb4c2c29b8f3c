package plan

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/pandabox/pandabox/pkg/model"
)

// defaultPHP is the PHP of projects that name none.
const defaultPHP = "8.4"

func phpPlan(p *project) (*Plan, error) {
	if p.first("composer.json", "index.php", "public/index.php") == "" {
		return nil, nil
	}
	var composer struct {
		Require      map[string]string `json:"require"`
		Repositories any               `json:"repositories"`
	}
	if text := p.text("composer.json"); text != "" {
		if err := json.Unmarshal([]byte(text), &composer); err != nil {
			return nil, model.Invalid("composer.json cannot be read").WithWhy("%s", err)
		}
	}
	v, why := version(2, defaultPHP, [2]string{"composer.json", fitting(composer.Require["php"], defaultPHP)})
	root, whyRoot := "/var/www/html", "index.php is at the root"
	if p.has("public/index.php") {
		root, whyRoot = "/var/www/html/public", "public/index.php is there"
	} else if !p.has("index.php") {
		return nil, model.Invalid("the PHP project has no index.php").WithHint("put it at the root or into public/, or add a Dockerfile")
	}
	composes := p.has("composer.json")
	extensions, whyExtensions := p.phpExtensions(composer.Require)
	assets, err := p.viteAssets(composer.Require)
	if err != nil {
		return nil, err
	}
	whole := composer.Repositories != nil // they may be folders of the source
	return &Plan{
		Version: v, Reasons: append([]string{why, whyRoot}, whyExtensions...),
		Dockerfile: dockerfile(
			when(composes, "FROM composer:2 AS vendor"),
			when(composes, "WORKDIR /app"),
			when(composes && !whole, "COPY composer.json composer.loc[k] ./"),
			when(composes && whole, "COPY . ."),
			when(composes, "RUN --mount=type=cache,target=/tmp/cache composer install --no-dev --no-scripts --no-autoloader --ignore-platform-reqs --prefer-dist"),
			when(composes && !whole, "COPY . ."),
			when(composes, "RUN composer dump-autoload --optimize --no-dev --ignore-platform-reqs"),
			when(composes, ""),
			when(assets != "", assets+"\n"),
			"FROM php:"+v+"-apache",
			when(extensions != "", extensions),
			"RUN a2enmod rewrite \\",
			when(root != "/var/www/html", "    && sed -ri 's!/var/www/html!"+root+"!g' /etc/apache2/sites-available/*.conf \\"),
			"    && sed -ri 's/Listen 80$/Listen ${PORT}/; s/:80>/:${PORT}>/' /etc/apache2/ports.conf /etc/apache2/sites-available/*.conf \\",
			// Through a pipe, since only root may open the container's output by its name.
			"    && sed -ri --follow-symlinks 's!\\$\\{APACHE_LOG_DIR\\}/[a-z_]+[.]log!\"|/bin/cat\"!' /etc/apache2/apache2.conf /etc/apache2/*-enabled/*.conf",
			"WORKDIR /var/www/html",
			when(composes, "COPY --from=vendor --chown=www-data:www-data /app ./"),
			when(!composes, "COPY --chown=www-data:www-data . ./"),
			when(assets != "", "COPY --from=assets --chown=www-data:www-data /app/public/build ./public/build"),
			"ENV APACHE_RUN_DIR=/tmp/apache2 APACHE_LOCK_DIR=/tmp/apache2 APACHE_PID_FILE=/tmp/apache2/pid",
			"USER www-data",
			`CMD ["apache2-foreground"]`,
		),
	}, nil
}

// phpBuilds are the extensions that the image can build, each with what of Debian that takes.
var phpBuilds = map[string][]string{
	"bcmath": nil, "bz2": {"libbz2-dev"}, "calendar": nil, "exif": nil, "gd": {"libpng-dev", "libjpeg-dev"}, "gettext": nil, "gmp": {"libgmp-dev"},
	"intl": {"libicu-dev"}, "mysqli": nil, "pcntl": nil, "pdo_mysql": nil, "pdo_pgsql": {"libpq-dev"}, "pgsql": {"libpq-dev"}, "soap": {"libxml2-dev"},
	"sockets": nil, "xsl": {"libxslt1-dev"}, "zip": {"libzip-dev"},
}

// phpFetched are the extensions that come from PECL.
var phpFetched = map[string][]string{"apcu": nil, "mongodb": {"libssl-dev", "pkg-config"}, "redis": nil}

var (
	phpFile = regexp.MustCompile(`\.php$`)
	// databases find what connects to one, by the extension that does it.
	databases = map[string]*regexp.Regexp{
		"mysqli": regexp.MustCompile(`\b(mysqli_(connect|init|real_connect)|new \\?mysqli)\b`), "pdo_mysql": regexp.MustCompile(`["']mysql:`),
		"pdo_pgsql": regexp.MustCompile(`["']pgsql:`), "pgsql": regexp.MustCompile(`\bpg_p?connect\b`),
	}
	// phpFrameworks reach MySQL and PostgreSQL by what their settings say.
	phpFrameworks = []string{"laravel/framework", "illuminate/database", "doctrine/dbal", "doctrine/orm", "cakephp/cakephp", "codeigniter4/framework", "yiisoft/yii2"}
)

// phpExtensions returns the step that adds what the project needs beyond the image's own extensions, and why; "" for none.
func (p *project) phpExtensions(require map[string]string) (step string, why []string) {
	wanted := map[string]string{}
	for name := range require {
		if ext, ok := strings.CutPrefix(name, "ext-"); ok {
			wanted[ext] = "composer.json"
		}
	}
	for _, name := range phpFrameworks {
		if _, ok := require[name]; ok {
			wanted["pdo_mysql"], wanted["pdo_pgsql"] = name, name
		}
	}
	p.search(phpFile, func(code []byte) bool {
		for ext, pattern := range databases {
			if wanted[ext] == "" && pattern.Match(code) {
				wanted[ext] = "the code"
			}
		}
		return false
	})
	var packages, builds, fetched []string
	for _, ext := range slices.Sorted(maps.Keys(wanted)) {
		debian, ok := phpBuilds[ext]
		if ok {
			builds = append(builds, ext)
		} else if debian, ok = phpFetched[ext]; ok {
			fetched = append(fetched, ext)
		} else {
			continue // the image has it, or nobody knows it
		}
		packages = append(packages, debian...)
		why = append(why, "extension "+ext+" by "+wanted[ext])
	}
	var steps []string
	if len(packages) > 0 {
		slices.Sort(packages)
		steps = append(steps, strings.TrimPrefix(apt(slices.Compact(packages)...), "RUN "))
	}
	if len(builds) > 0 {
		steps = append(steps, "docker-php-ext-install "+strings.Join(builds, " "))
	}
	if len(fetched) > 0 {
		all := strings.Join(fetched, " ")
		steps = append(steps, "pecl install "+all+" && docker-php-ext-enable "+all)
	}
	if len(steps) == 0 {
		return "", nil
	}
	return "RUN " + strings.Join(steps, " \\\n    && "), why
}

// viteAssets returns the stage that builds what a Laravel project shows in browsers, "" where there is none.
func (p *project) viteAssets(require map[string]string) (string, error) {
	if _, ok := require["laravel/framework"]; !ok || !p.has("package.json") {
		return "", nil
	}
	var j packageJSON
	if err := json.Unmarshal([]byte(p.text("package.json")), &j); err != nil {
		return "", model.Invalid("package.json cannot be read").WithWhy("%s", err)
	}
	if _, builds := j.Scripts["build"]; !builds || !j.uses("vite") {
		return "", nil
	}
	m, _ := p.packageManager(&j)
	return strings.TrimSuffix(dockerfile(
		"FROM node:"+defaultNode+"-bookworm-slim AS assets",
		"WORKDIR /app",
		when(m.setup != "", m.setup),
		"COPY --from=vendor /app ./",
		"RUN --mount=type=cache,target="+m.cache+" "+m.install,
		"RUN "+m.run+" build",
	), "\n"), nil
}
