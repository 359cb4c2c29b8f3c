package cli

import (
	"bufio"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/manifest"
	"github.com/pandabox/pandabox/pkg/model"
)

// gitRemote is the name of the git remote that leads to a box.
const gitRemote = "pandabox"

// path makes a path relative to the folder the command runs in.
func (sh *shell) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(sh.dir, p)
}

// target says which app and environment are meant, and tells the person where one of them was inferred.
func (sh *shell) target() (client.Ref, error) {
	ref, inferred, err := sh.infer(nil)
	if err == nil && inferred && !sh.json {
		sh.say("  → %s, %s", ref.App, ref.Env)
	}
	return ref, err
}

// infer returns the app and environment: from the flag, the variable, pandabox.toml, the git remote, the folder's name.
// m is what the folder says, nil to read it only if it is needed.
func (sh *shell) infer(m *manifest.Manifest) (ref client.Ref, inferred bool, err error) {
	ref = client.Ref{App: sh.app, Env: sh.appEnv}
	if ref.Env == "" {
		ref.Env, inferred = sh.env("PANDABOX_ENV"), true
	}
	if ref.Env == "" {
		ref.Env = manifest.Production
	}
	if err := model.CheckName("environment", ref.Env); err != nil {
		return ref, false, err
	}
	if ref.App == "" {
		ref.App, inferred = sh.env("PANDABOX_APP"), true
	}
	if ref.App == "" {
		if ref.App, err = sh.appOfFolder(m); err != nil {
			return ref, false, err
		}
	}
	return ref, inferred, model.CheckName("app", ref.App)
}

func (sh *shell) appOfFolder(m *manifest.Manifest) (string, error) {
	dir, err := sh.projectDir()
	if err != nil {
		return "", err
	}
	if m == nil {
		if m, err = manifest.Load(dir); err != nil {
			return "", err
		}
	}
	if m.App != "" {
		return m.App, nil
	}
	if app := appOfRemote(filepath.Join(dir, ".git", "config")); app != "" {
		return app, nil
	}
	if app := model.Slug(filepath.Base(dir)); app != "" {
		return app, nil
	}
	return "", model.Invalid("which app?").WithWhy("no name can be made of the folder %s", dir).WithHint(`add -a NAME, or write app = "NAME" to pandabox.toml`)
}

// projectDir returns the nearest folder, from the current one upwards, with a pandabox.toml. It looks no further than the
// git repository or the home folder; without one it is the current folder.
func (sh *shell) projectDir() (string, error) {
	start, err := filepath.Abs(sh.dir)
	if err != nil {
		return "", model.Invalid("the current folder cannot be found").Wrap(err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if exists(filepath.Join(dir, manifest.FileName)) {
			return dir, nil
		}
		if exists(filepath.Join(dir, ".git")) || dir == filepath.Dir(dir) || dir == sh.env("HOME") {
			return start, nil
		}
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// appOfRemote returns the app that the git remote named pandabox leads to, "" for none.
func appOfRemote(gitConfig string) string {
	f, err := os.Open(gitConfig)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	inside := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			inside = line == `[remote "`+gitRemote+`"]`
			continue
		}
		if key, value, ok := strings.Cut(line, "="); inside && ok && strings.TrimSpace(key) == "url" {
			_, after, _ := strings.Cut(strings.ReplaceAll(value, "://", "//"), ":") // git@host:shop.git
			if after == "" {
				after = value
			}
			return model.Slug(strings.TrimSuffix(path.Base(strings.TrimSpace(after)), ".git"))
		}
	}
	return ""
}

// at connects and says which app is meant.
func (sh *shell) at() (*client.Client, client.Ref, error) {
	ref, err := sh.target()
	if err != nil {
		return nil, ref, err
	}
	c, err := sh.connect()
	return c, ref, err
}

// hint writes a command line about the app, ready to be typed.
func hint(command string, ref client.Ref) string {
	s := "pandabox " + command + " -a " + ref.App
	if ref.Env != "" && ref.Env != manifest.Production {
		s += " -e " + ref.Env
	}
	return s
}
