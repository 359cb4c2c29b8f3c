package manifest

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pandabox/pandabox/pkg/model"
)

// readProcess sets in p what the table [process.NAME] names.
func readProcess(t table, p *model.Process) {
	t.only(processKeys...)
	release := p.Name == model.ProcessRelease
	if t.has("command") {
		p.Command = readCommand(t)
	}
	if t.has("port") {
		p.Port = t.whole("port", 8080)
		t.fail("port", checkPort(p.Port))
	}
	if t.has("stop_grace") {
		p.Grace = t.duration("stop_grace", "10s")
		t.fail("stop_grace", model.Process{Name: p.Name, Grace: p.Grace}.Validate())
	}
	readHealth(t.table("health", `{ path = "/up" }`), p)
	readScale(t.table("scale", `{ replicas = 2 }`), p)
	if t.has("http") {
		readHTTP(t.table("http", `{ max_body = "1GB" }`), p)
		if p.Name != model.ProcessWeb {
			t.fail("http", model.Invalid("process %s takes no requests from outside", p.Name).WithHint("set http in [process.web]"))
		}
	}
	if release {
		for _, k := range []string{"port", "health"} {
			if t.has(k) {
				t.fail(k, model.Invalid("the release process has no %s", k).WithWhy("it runs once, to its end, before traffic moves"))
			}
		}
		if p.Command == nil && t.r.err == nil {
			t.r.fail(t.path, model.Invalid("the release process needs a command").WithHint(`command = "./shop migrate"`))
		}
	}
}

func checkPort(port int) error {
	if port < 1 || port > 65535 {
		return model.Invalid("%d is not a port", port).WithHint("choose 1 to 65535")
	}
	return nil
}

// readCommand reads a string, split as a shell would, or a list of texts, taken as it is.
func readCommand(t table) []string {
	if _, ok := t.values["command"].([]any); ok {
		words := t.texts("command", `["./shop", "serve"]`)
		if len(words) == 0 || words[0] == "" {
			t.fail("command", model.Invalid("the command is empty").WithHint("leave command out to run the image's own"))
		}
		if strings.ContainsRune(strings.Join(words, ""), 0) {
			t.fail("command", model.Invalid("the command holds a NUL character"))
		}
		return words
	}
	s := t.text("command", `"./shop serve"`)
	if _, ok := t.values["command"].(string); !ok {
		return nil
	}
	words, err := Command(s)
	t.fail("command", err)
	return words
}

func readHealth(t table, p *model.Process) {
	t.only(healthKeys...)
	if t.has("path") {
		p.Health.Path = t.text("path", `"/up"`)
		if p.Health.Path == "" || p.Health.Path[0] != '/' {
			t.fail("path", model.Invalid("%q is not a path", p.Health.Path).WithHint(`begin it with /: path = "/up"`))
		}
	}
	for _, d := range []struct {
		key  string
		into *model.Duration
	}{{"grace", &p.Health.Grace}, {"interval", &p.Health.Interval}, {"timeout", &p.Health.Timeout}} {
		if t.has(d.key) {
			*d.into = t.duration(d.key, "10s")
			t.fail(d.key, model.Process{Name: p.Name, Health: model.HealthCheck{Grace: *d.into}}.Validate())
			if *d.into == 0 {
				t.fail(d.key, model.Invalid("%s is zero", d.key).WithHint("leave it out for the default"))
			}
		}
	}
}

// readHTTP sets what one request to the process may ask for. Headers add to those set before.
func readHTTP(t table, p *model.Process) {
	t.only(httpKeys...)
	if t.has("max_body") {
		if s := t.text("max_body", `"1GB"`); s == "none" {
			p.HTTP.MaxBody = -1
		} else if t.r.err == nil {
			var err error
			p.HTTP.MaxBody, err = ParseSize(s)
			t.fail("max_body", err)
		}
	}
	if t.has("timeout") {
		p.HTTP.Timeout = t.duration("timeout", "60s")
		t.fail("timeout", model.RouteLimits{Timeout: p.HTTP.Timeout}.Validate("process "+p.Name))
	}
	headers := t.table("headers", `{ X-Frame-Options = "DENY" }`)
	if len(headers.values) > 0 {
		p.HTTP.Headers = maps.Clone(p.HTTP.Headers)
		if p.HTTP.Headers == nil {
			p.HTTP.Headers = map[string]string{}
		}
	}
	for _, k := range headers.keys() {
		v := headers.text(k, `"DENY"`)
		headers.fail(k, model.RouteLimits{Headers: map[string]string{k: v}}.Validate("process "+p.Name))
		p.HTTP.Headers[k] = v
	}
	t.fail("headers", p.HTTP.Validate("process "+p.Name))
}

func readScale(t table, p *model.Process) {
	t.only(scaleKeys...)
	if t.has("replicas") {
		n := t.whole("replicas", 2)
		p.Scale.Replicas = &n
		t.fail("replicas", model.Scale{Replicas: &n}.Validate(p.Name))
		if p.Name == model.ProcessRelease {
			t.fail("replicas", model.Invalid("the release process has no replicas").WithWhy("it runs once, to its end, before traffic moves"))
		}
	}
	if t.has("cpu") {
		var err error
		if cores := t.number("cpu", "0.5"); t.r.err == nil {
			p.Scale.MilliCPU, err = milliCPU(cores)
			t.fail("cpu", err)
		}
	}
	if t.has("memory") {
		if n, ok := t.values["memory"].(int64); ok {
			t.fail("memory", model.Invalid("memory needs a unit").WithHint("for example: memory = %q", strconv.FormatInt(n, 10)+"MB"))
		}
		if s := t.text("memory", `"256MB"`); t.r.err == nil {
			var err error
			p.Scale.Memory, err = ParseSize(s)
			t.fail("memory", err)
			t.fail("memory", model.Scale{Memory: p.Scale.Memory}.Validate(p.Name))
		}
	}
	if t.has("pids") {
		n := t.whole("pids", 512)
		p.Scale.Pids = int64(n)
		if n < 1 {
			t.fail("pids", model.Invalid("%d is not a number of pids", n).WithHint("choose 1 or more; leave pids out for %d", model.DefaultPids))
		}
	}
}

// sorted returns the processes by name.
func sorted(ps []model.Process) []model.Process {
	slices.SortFunc(ps, func(a, b model.Process) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return ps
}
