package plan

import (
	"encoding/json"

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
	v, why := version(2, defaultPHP, [2]string{"composer.json", composer.Require["php"]})
	root, whyRoot := "/var/www/html", "index.php is at the root"
	if p.has("public/index.php") {
		root, whyRoot = "/var/www/html/public", "public/index.php is there"
	} else if !p.has("index.php") {
		return nil, model.Invalid("the PHP project has no index.php").WithHint("put it at the root or into public/, or add a Dockerfile")
	}
	composes := p.has("composer.json")
	whole := composer.Repositories != nil // they may be folders of the source
	return &Plan{
		Version: v, Reasons: []string{why, whyRoot},
		Dockerfile: dockerfile(
			when(composes, "FROM composer:2 AS vendor"),
			when(composes, "WORKDIR /app"),
			when(composes && !whole, "COPY composer.json composer.loc[k] ./"),
			when(composes && whole, "COPY . ."),
			when(composes, "RUN --mount=type=cache,target=/tmp/cache composer install --no-dev --no-scripts --no-autoloader --ignore-platform-reqs --prefer-dist"),
			when(composes && !whole, "COPY . ."),
			when(composes, "RUN composer dump-autoload --optimize --no-dev --ignore-platform-reqs"),
			when(composes, ""),
			"FROM php:"+v+"-apache",
			"RUN a2enmod rewrite \\",
			when(root != "/var/www/html", "    && sed -ri 's!/var/www/html!"+root+"!g' /etc/apache2/sites-available/*.conf \\"),
			"    && sed -ri 's/Listen 80$/Listen ${PORT}/; s/:80>/:${PORT}>/' /etc/apache2/ports.conf /etc/apache2/sites-available/*.conf \\",
			// Through a pipe, since only root may open the container's output by its name.
			"    && sed -ri --follow-symlinks 's!\\$\\{APACHE_LOG_DIR\\}/[a-z_]+[.]log!\"|/bin/cat\"!' /etc/apache2/apache2.conf /etc/apache2/*-enabled/*.conf",
			"WORKDIR /var/www/html",
			when(composes, "COPY --from=vendor --chown=www-data:www-data /app ./"),
			when(!composes, "COPY --chown=www-data:www-data . ./"),
			"ENV APACHE_RUN_DIR=/tmp/apache2 APACHE_LOCK_DIR=/tmp/apache2 APACHE_PID_FILE=/tmp/apache2/pid",
			"USER www-data",
			`CMD ["apache2-foreground"]`,
		),
	}, nil
}
