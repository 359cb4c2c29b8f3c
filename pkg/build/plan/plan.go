// Package plan finds out how a folder becomes an image. A plan is a Dockerfile: the folder's own, or one that a golden
// path writes from what the project's files say. What is printed is what is built, and may be kept (ejected) and changed.
package plan

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/pandabox/pandabox/pkg/model"
)

// maxFile bounds the project files that are read, in bytes.
const maxFile = 4 << 20

// Plan is how a folder is built.
type Plan struct {
	Path       string   // what was found: "Dockerfile", "Go", "Node.js", "Static files" …
	Version    string   // of the language, "" where it has none: "1.26"
	File       string   // the folder's own Dockerfile, relative to it; "" where Dockerfile was written here
	Dockerfile string   // the build; "" where there is nothing to build
	Output     string   // of a static site: the folder of the last stage that is served, or of the source where nothing is built
	Reasons    []string // "1.26 by go.mod": what was decided, and by which file
}

// Static tells whether what is built is a static site.
func (p *Plan) Static() bool { return p.Output != "" }

// String names the plan in one line: "Go 1.26".
func (p *Plan) String() string { return strings.TrimSpace(p.Path + " " + p.Version) }

// Options say what pandabox.toml says of the build. The zero value finds everything out.
type Options struct {
	Dockerfile string // relative to the folder
	Kind       model.AppKind
	Output     string // [static] dir
	App        string // the app's name: which of several programs is meant
}

// path makes a plan where the folder is of its kind: nil, nil where it is not.
type goldenPath struct {
	name string
	sign string // what it looks for
	plan func(*project) (*Plan, error)
}

// paths are asked in turn: a folder with a Gemfile and a package.json is a Ruby app.
func paths() []goldenPath {
	return []goldenPath{
		{"Go", "go.mod", goPlan},
		{"Rust", "Cargo.toml", rustPlan},
		{"Ruby", "Gemfile", rubyPlan},
		{"Python", "requirements.txt, pyproject.toml, uv.lock, poetry.lock, manage.py", pythonPlan},
		{"PHP", "composer.json, index.php, public/index.php", phpPlan},
		{"Hugo", "hugo.toml, hugo.yaml, config.toml with content/", hugoPlan},
		{"Node.js", "package.json", nodePlan},
		{"Static files", "index.html, public/index.html", filesPlan},
	}
}

// Detect returns the plan of a folder. One that nothing is known of is refused with the list of what was looked for. Links
// are followed: of a folder that came from outside, dir must be the file system of an os.Root.
func Detect(dir fs.FS, o Options) (*Plan, error) {
	p := &project{dir: dir, opt: o}
	plan, err := p.detect()
	if err != nil {
		return nil, err
	}
	if p.err != nil {
		return nil, p.err
	}
	return plan, nil
}

func (p *project) detect() (*Plan, error) {
	if own, err := p.ownDockerfile(); own != nil || err != nil {
		return own, err
	}
	if p.opt.Kind == model.KindStatic && p.opt.Output != "" && !p.has("package.json") {
		return filesPlan(p)
	}
	looked := []string{"Dockerfile or Containerfile"}
	for _, g := range paths() {
		plan, err := g.plan(p)
		if err != nil {
			return nil, err
		}
		if plan != nil {
			plan.Path = g.name
			if p.opt.Kind == model.KindStatic && !plan.Static() {
				return nil, model.Invalid("the folder is no static site").WithWhy("it looks like %s", plan).
					WithHint(`name the folder with the built files: [static] dir = "dist"; or leave out kind = "static"`)
			}
			return plan, nil
		}
		looked = append(looked, g.name+" ("+g.sign+")")
	}
	return nil, model.Invalid("nobody knows how to build this folder").WithWhy("looked for: %s", strings.Join(looked, "; ")).
		WithHint("add a Dockerfile, or deploy an image: pandabox deploy --image REF")
}

// ownDockerfile returns the folder's own build.
func (p *project) ownDockerfile() (*Plan, error) {
	names := []string{"Dockerfile", "Containerfile"}
	if f := p.opt.Dockerfile; f != "" {
		if !fs.ValidPath(f) || !p.has(f) {
			return nil, model.NotFound("there is no %s", f).WithHint("correct [build] dockerfile in pandabox.toml")
		}
		names = []string{f}
	}
	for _, name := range names {
		if p.has(name) {
			text := p.text(name)
			if p.err != nil {
				return nil, p.err
			}
			if strings.TrimSpace(text) == "" {
				return nil, model.Invalid("%s is empty", name).WithHint("remove it to have the build found out")
			}
			own := &Plan{Path: path.Base(name), File: name, Dockerfile: text, Reasons: []string{name + " is there"}}
			if p.opt.Kind == model.KindStatic {
				own.Output = path.Join("/", p.opt.Output)
				own.Reasons = append(own.Reasons, "its last stage has the site in "+own.Output)
			}
			return own, nil
		}
	}
	return nil, nil
}

// project is a folder being looked at.
type project struct {
	dir fs.FS
	opt Options
	err error // the first fault of reading
}

func (p *project) has(name string) bool {
	st, err := fs.Stat(p.dir, name)
	return err == nil && !st.IsDir()
}

func (p *project) hasDir(name string) bool {
	st, err := fs.Stat(p.dir, name)
	return err == nil && st.IsDir()
}

// first returns the first of names that is there, or "".
func (p *project) first(names ...string) string {
	for _, n := range names {
		if p.has(n) {
			return n
		}
	}
	return ""
}

// text returns a file's content, "" where there is none.
func (p *project) text(name string) string {
	st, err := fs.Stat(p.dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	var b []byte
	switch {
	case err != nil:
	case !st.Mode().IsRegular():
		err = model.Invalid("%s is no file", name).WithHint("a link must lead to a file of the source")
	default:
		b, err = p.read(name)
	}
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("reading %s: %w", name, err)
	}
	return string(b)
}

// read returns a file of at most maxFile bytes; what the file says of its size is not believed.
func (p *project) read(name string) ([]byte, error) {
	f, err := p.dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if len(b) > maxFile {
		return nil, model.Errorf(model.KindTooLarge, "%s is larger than %d MB", name, maxFile>>20)
	}
	return b, err
}

// line returns a file's first line that says something, "" where there is none.
func (p *project) line(name string) string {
	for row := range strings.Lines(p.text(name)) {
		if row = strings.TrimSpace(row); row != "" && row[0] != '#' {
			return row
		}
	}
	return ""
}

// version returns the first version that one of the sources names, cut to parts numbers, and how it came about.
func version(parts int, fallback string, sources ...[2]string) (string, string) {
	for _, s := range sources {
		if v := cut(s[1], parts); v != "" {
			return v, v + " by " + s[0]
		}
	}
	return fallback, fallback + " where nothing is said"
}

var (
	number     = regexp.MustCompile(`[0-9]+(\.[0-9]+)*`)
	compatible = regexp.MustCompile(`~=\s*([0-9]+\.[0-9]+\.)`) // of Python: the third number may grow
)

// fitting returns the line of releases ("22", "3.13") for a requirement of npm, Composer or Python, such as
// "^18 || >=20.1 <23": the one of fallback where it fits, else the newest of those named and of those just below. What is
// no such requirement is returned as it is.
func fitting(requirement, fallback string) string {
	norm := strings.NewReplacer("~=", "^", "==", "=").Replace(compatible.ReplaceAllString(requirement, "~$1"))
	c, err := semver.NewConstraint(norm)
	if err != nil || requirement == "" {
		return requirement
	}
	fits := func(line string) bool { // its newest release, which is what an image of that name holds
		v, err := semver.NewVersion(line + strings.Repeat(".999", 2-strings.Count(line, ".")))
		return err == nil && c.Check(v)
	}
	if fits(fallback) {
		return fallback
	}
	parts, best := strings.Count(fallback, ".")+1, ""
	for _, n := range number.FindAllString(requirement, -1) {
		n = cut(n, parts)
		lines := []string{n}
		front, last := "", n
		if at := strings.LastIndexByte(n, '.'); at >= 0 {
			front, last = n[:at+1], n[at+1:]
		}
		if i, err := strconv.Atoi(last); err == nil && i > 0 {
			lines = append(lines, front+strconv.Itoa(i-1))
		}
		for _, line := range lines {
			if fits(line) && (best == "" || semver.MustParse(line).GreaterThan(semver.MustParse(best))) {
				best = line
			}
		}
	}
	return cmp.Or(best, requirement)
}

// cut takes the first number out of ">=20.1 <23", "^8.2", "python-3.12.4", "v22", with at most parts parts.
func cut(s string, parts int) string {
	at := strings.IndexAny(s, "0123456789")
	if at < 0 {
		return ""
	}
	end := at
	for end < len(s) && (s[end] == '.' || s[end] >= '0' && s[end] <= '9') {
		end++
	}
	numbers := strings.Split(strings.Trim(s[at:end], "."), ".")
	return strings.Join(numbers[:min(parts, len(numbers))], ".")
}

// webCommand returns what Procfile says of the process web, "" where it says nothing.
func (p *project) webCommand() string {
	for row := range strings.Lines(p.text("Procfile")) {
		if name, command, ok := strings.Cut(row, ":"); ok && strings.TrimSpace(name) == "web" {
			return strings.TrimSpace(command)
		}
	}
	return ""
}

// dockerfile joins the lines of a Dockerfile; empty ones separate stages.
func dockerfile(lines ...string) string {
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return l == skip }), "\n") + "\n"
}

// skip is a line that is left out.
const skip = "\x00"

func when(yes bool, line string) string {
	if yes {
		return line
	}
	return skip
}

// apt installs packages of Debian.
func apt(packages ...string) string {
	return "RUN apt-get update && apt-get install -y --no-install-recommends " + strings.Join(packages, " ") + " && rm -rf /var/lib/apt/lists/*"
}

// command writes a program and its arguments as RUN and CMD take them: no shell looks at them.
func command(args []string) string {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(args) // strings
	return strings.TrimSpace(out.String())
}

// libraries returns what of a table {package, library of Debian …} is used, each library once.
func libraries(uses func(string) bool, table [][]string) []string {
	var out []string
	for _, row := range table {
		for _, l := range row[1:] {
			if uses(row[0]) && !slices.Contains(out, l) {
				out = append(out, l)
			}
		}
	}
	return out
}

// search gives the files with such a name to see until it returns true, and tells whether it did: those at most searchDepth
// folders deep, without packages that are kept with the source, and of what is too large nothing.
func (p *project) search(name *regexp.Regexp, see func([]byte) bool) bool {
	found := false
	_ = fs.WalkDir(p.dir, ".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || found:
			return fs.SkipAll
		case d.IsDir() && (strings.Count(file, "/") >= searchDepth || file != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "vendor" || d.Name() == "node_modules")):
			return fs.SkipDir
		case d.Type().IsRegular() && name.MatchString(d.Name()):
			b, _ := p.read(file)
			found = see(b)
		}
		return nil
	})
	return found
}

// searchDepth bounds how many folders deep a search in the project's own code goes.
const searchDepth = 4

// shell writes a command line as CMD. The shell makes way for the program where there is but one, so that it receives
// signals itself; init, if not "", is what runs the program then.
func shell(line, init string) string {
	words := strings.Fields(line)
	switch {
	case len(words) == 0 || strings.ContainsAny(line, "&|;()\n") || words[0] == "exec" || words[0] == "cd":
	case strings.Contains(words[0], "="):
		line = "exec " + init + "env " + line
	default:
		line = "exec " + init + line
	}
	return "CMD " + command([]string{"/bin/sh", "-c", line})
}
