package plan

import (
	"io/fs"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/pandabox/pandabox/pkg/model"
)

// defaultPython is the Python of projects that name none.
const defaultPython = "3.13"

// pyproject is the part of pyproject.toml that matters to a build.
type pyproject struct {
	Build   map[string]any `toml:"build-system"`
	Project struct {
		RequiresPython string            `toml:"requires-python"`
		Dependencies   []string          `toml:"dependencies"`
		Scripts        map[string]string `toml:"scripts"`
	} `toml:"project"`
	Tool struct {
		Poetry struct {
			Dependencies map[string]any `toml:"dependencies"`
		} `toml:"poetry"`
		UV struct {
			Workspace any            `toml:"workspace"`
			Sources   map[string]any `toml:"sources"`
		} `toml:"uv"`
	} `toml:"tool"`
}

// beside tells whether packages are folders of the source.
func (py *pyproject) beside() bool {
	if py.Tool.UV.Workspace != nil {
		return true
	}
	for _, where := range []map[string]any{py.Tool.UV.Sources, py.Tool.Poetry.Dependencies} {
		for _, one := range where {
			choices, several := one.([]any) // by platform
			if !several {
				choices = []any{one}
			}
			for _, c := range choices {
				if m, ok := c.(map[string]any); ok && (m["path"] != nil || m["workspace"] != nil) {
					return true
				}
			}
		}
	}
	return false
}

func pythonPlan(p *project) (*Plan, error) {
	sign := p.first("poetry.lock", "uv.lock", "requirements.txt", "pyproject.toml", "manage.py")
	if sign == "" {
		return nil, nil
	}
	var py pyproject
	if err := toml.Unmarshal([]byte(p.text("pyproject.toml")), &py); err != nil {
		return nil, model.Invalid("pyproject.toml cannot be read").WithWhy("%s", err)
	}
	poetryPython, _ := py.Tool.Poetry.Dependencies["python"].(string)
	v, why := version(2, defaultPython, [2]string{".python-version", p.line(".python-version")}, [2]string{"runtime.txt", p.line("runtime.txt")},
		[2]string{"pyproject.toml requires-python", fitting(py.Project.RequiresPython, defaultPython)},
		[2]string{"pyproject.toml of Poetry", fitting(poetryPython, defaultPython)})
	reasons := []string{why}
	var install []string
	switch {
	case p.has("poetry.lock"):
		reasons = append(reasons, "poetry.lock is there: Poetry")
		install = []string{
			"ENV POETRY_VIRTUALENVS_IN_PROJECT=1 POETRY_NO_INTERACTION=1",
			"RUN --mount=type=cache,target=/root/.cache/pip pip install poetry",
			when(!py.beside(), "COPY pyproject.toml poetry.lock ./"),
			when(py.beside(), "COPY . ."),
			"RUN --mount=type=cache,target=/root/.cache/pypoetry poetry install --only main --no-root",
			when(!py.beside(), "COPY . ."),
		}
	case p.has("uv.lock"):
		reasons = append(reasons, "uv.lock is there: uv")
		install = []string{
			"ENV UV_PYTHON=/usr/local/bin/python UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy",
			"RUN --mount=type=cache,target=/root/.cache/pip pip install uv",
			when(!py.beside(), "COPY pyproject.toml uv.lock ./"),
			when(!py.beside(), "RUN --mount=type=cache,target=/root/.cache/uv uv sync --locked --no-dev --no-install-project"),
			"COPY . .",
			"RUN --mount=type=cache,target=/root/.cache/uv uv sync --locked --no-dev",
		}
	case p.has("requirements.txt"):
		reasons = append(reasons, "requirements.txt is there: pip")
		install = []string{
			"RUN python -m venv .venv",
			"COPY requirements.txt ./",
			"RUN --mount=type=cache,target=/root/.cache/pip .venv/bin/pip install -r requirements.txt",
			"COPY . .",
		}
		if beside.MatchString(p.text("requirements.txt")) {
			install = []string{install[0], install[3], install[2]}
		}
	case p.has("pyproject.toml") && py.Build == nil: // no package: only what it needs is installed
		reasons = append(reasons, "pyproject.toml is there, without build-system: pip installs its dependencies")
		install = []string{"RUN python -m venv .venv", skip, "COPY . ."}
		if len(py.Project.Dependencies) > 0 {
			install[1] = "RUN --mount=type=cache,target=/root/.cache/pip " + command(append([]string{".venv/bin/pip", "install"}, py.Project.Dependencies...))
		}
	case p.has("pyproject.toml"):
		reasons = append(reasons, "pyproject.toml is there: pip")
		install = []string{
			"RUN python -m venv .venv",
			"COPY . .",
			"RUN --mount=type=cache,target=/root/.cache/pip .venv/bin/pip install .",
		}
	default:
		install = []string{"RUN python -m venv .venv", "COPY . ."}
	}
	start, whyStart, err := p.pythonStart(&py)
	if err != nil {
		return nil, err
	}
	debian := libraries(func(name string) bool { return p.requires(&py, name) }, [][]string{
		{"psycopg2", "libpq5"}, {"psycopg", "libpq5"}, {"psycopg-c", "libpq5"}, {"mysqlclient", "libmariadb3"}, {"python-magic", "libmagic1"},
		{"opencv-python", "libgl1", "libglib2.0-0"}, {"weasyprint", "libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0"},
	})
	lines := append([]string{"FROM python:" + v + "-bookworm AS build", "WORKDIR /app", "ENV PATH=/app/.venv/bin:$PATH"}, install...)
	return &Plan{
		Version: v, Reasons: append(reasons, whyStart),
		Dockerfile: dockerfile(append(lines,
			"",
			"FROM python:"+v+"-slim-bookworm",
			when(len(debian) > 0, apt(debian...)),
			"WORKDIR /app",
			"ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1",
			"COPY --from=build /app /app",
			"USER 1000:1000",
			shell(start, ""),
		)...),
	}, nil
}

// beside finds lines of requirements.txt that name files or folders of the source.
var beside = regexp.MustCompile(`(?m)^\s*(-r|-c|-e|--requirement|--constraint|--editable|\.|file:|\S+\s*@\s*file:)`)

var requirement = regexp.MustCompile(`(?m)^\s*([A-Za-z0-9._-]+)`)

// requires tells whether a package is among the project's dependencies.
func (p *project) requires(py *pyproject, name string) bool {
	for n := range py.Tool.Poetry.Dependencies {
		if strings.EqualFold(strings.ReplaceAll(n, "_", "-"), name) {
			return true
		}
	}
	for _, m := range requirement.FindAllStringSubmatch(p.text("requirements.txt")+"\n"+strings.Join(py.Project.Dependencies, "\n"), -1) {
		if strings.EqualFold(strings.ReplaceAll(m[1], "_", "-"), name) {
			return true
		}
	}
	return false
}

// pythonStart returns the command that serves.
func (p *project) pythonStart(py *pyproject) (command, why string, err error) {
	if c := p.webCommand(); c != "" {
		return c, "Procfile names the process web", nil
	}
	if p.has("manage.py") {
		if wsgi, _ := fs.Glob(p.dir, "*/wsgi.py"); len(wsgi) == 1 && p.requires(py, "gunicorn") {
			return "gunicorn --bind 0.0.0.0:$PORT " + strings.TrimSuffix(wsgi[0], "/wsgi.py") + ".wsgi", "manage.py and gunicorn: Django", nil
		}
		return "python manage.py runserver --noreload 0.0.0.0:$PORT", "manage.py without gunicorn: Django's own server", nil
	}
	f := p.first("main.py", "app.py", "server.py", "wsgi.py", "asgi.py", "app/main.py", "src/main.py")
	module := strings.ReplaceAll(strings.TrimSuffix(f, ".py"), "/", ".")
	switch {
	case f == "":
		return "", "", model.Invalid("nobody knows how to start this Python project").WithWhy("there is no main.py, app.py or manage.py").
			WithHint("add a Procfile: web: python yourfile.py")
	case p.requires(py, "uvicorn") || p.requires(py, "fastapi"):
		return "uvicorn " + module + ":app --host 0.0.0.0 --port $PORT", f + " and uvicorn", nil
	case p.requires(py, "gunicorn"):
		return "gunicorn --bind 0.0.0.0:$PORT " + module + ":app", f + " and gunicorn", nil
	case p.requires(py, "flask"):
		return "flask --app " + module + " run --host 0.0.0.0 --port $PORT", f + " and flask", nil
	}
	return "python " + f, f + " is there", nil
}
