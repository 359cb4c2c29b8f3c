package plan

import (
	"regexp"
	"strings"

	"github.com/pandabox/pandabox/pkg/model"
)

// defaultRuby is the Ruby of projects that name none.
const defaultRuby = "3.4"

var (
	gemfileRuby = regexp.MustCompile(`(?m)^\s*ruby\s+["'](.*?)["']`)
	gemsBeside  = regexp.MustCompile(`(?m)^\s*gemspec\b|\bpath:|:path\s*=>|\beval_gemfile\b|\bfile:`)
	gem         = regexp.MustCompile(`(?m)^\s*gem\s+["']([^"']+)["']`)
)

func rubyPlan(p *project) (*Plan, error) {
	if !p.has("Gemfile") {
		return nil, nil
	}
	text := p.text("Gemfile")
	gems := map[string]bool{}
	for _, m := range gem.FindAllStringSubmatch(text, -1) {
		gems[m[1]] = true
	}
	said := ""
	if m := gemfileRuby.FindStringSubmatch(text); m != nil {
		said = m[1]
	}
	if strings.ContainsAny(said, "<>~=!") { // what is no exact version is met by the newest release of its line
		said = cut(said, 2)
	}
	v, why := version(3, defaultRuby, [2]string{".ruby-version", p.line(".ruby-version")}, [2]string{"Gemfile", said})
	var start, whyStart string
	switch {
	case p.webCommand() != "":
		start, whyStart = p.webCommand(), "Procfile names the process web"
	case gems["rails"] && gems["puma"]:
		start, whyStart = "bundle exec puma -b tcp://0.0.0.0:$PORT", "rails and puma"
	case gems["rails"]:
		start, whyStart = "bin/rails server -b 0.0.0.0 -p $PORT", "rails"
	case p.has("config.ru") && gems["puma"]:
		start, whyStart = "bundle exec puma -b tcp://0.0.0.0:$PORT", "config.ru and puma"
	case p.has("config.ru"):
		start, whyStart = "bundle exec rackup -o 0.0.0.0 -p $PORT", "config.ru"
	case p.first("app.rb", "main.rb", "server.rb") != "":
		f := p.first("app.rb", "main.rb", "server.rb")
		start, whyStart = "bundle exec ruby "+f, f+" is there"
	default:
		return nil, model.Invalid("nobody knows how to start this Ruby project").WithWhy("there is no rails, config.ru or app.rb").WithHint("add a Procfile: web: bundle exec …")
	}
	// Without a lock file Bundler refuses a deployment.
	settings := "BUNDLE_WITHOUT=development:test BUNDLE_PATH=/app/vendor/bundle"
	if p.has("Gemfile.lock") {
		settings = "BUNDLE_DEPLOYMENT=1 " + settings
	}
	whole := gemsBeside.MatchString(text) || p.hasDir("vendor/cache")
	debian := libraries(func(name string) bool { return gems[name] }, [][]string{
		{"pg", "libpq5"}, {"mysql2", "libmariadb3"}, {"ruby-vips", "libvips42"}, {"image_processing", "libvips42"},
	})
	assets := gems["rails"] && (gems["sprockets-rails"] || gems["propshaft"])
	return &Plan{
		Version: v, Reasons: []string{why, whyStart},
		Dockerfile: dockerfile(
			"FROM ruby:"+v+"-bookworm AS build",
			"WORKDIR /app",
			"ENV RAILS_ENV=production "+settings,
			when(assets && (gems["jsbundling-rails"] || gems["cssbundling-rails"]), apt("nodejs", "npm")+" && npm install -g yarn"),
			when(!whole, "COPY Gemfile Gemfile.loc[k] ./"),
			when(whole, "COPY . ."),
			"RUN bundle install",
			when(!whole, "COPY . ."),
			when(assets, "RUN SECRET_KEY_BASE_DUMMY=1 bundle exec rails assets:precompile"),
			"",
			"FROM ruby:"+v+"-slim-bookworm",
			when(len(debian) > 0, apt(debian...)),
			"WORKDIR /app",
			"ENV RAILS_ENV=production RACK_ENV=production "+settings+" RAILS_LOG_TO_STDOUT=1",
			"COPY --from=build --chown=1000:1000 /app /app",
			"USER 1000:1000",
			shell(start, ""),
		),
	}, nil
}
