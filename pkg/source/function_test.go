package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAFunctionIsMadeOfTheSource only: the box, which bundles it, can read more than who pushed it.
func TestAFunctionIsMadeOfTheSource(t *testing.T) {
	const secret = "the-key-of-the-box"
	const good = `export default { fetch() { return new Response("hello") } }`
	away := t.TempDir()
	for name, text := range map[string]string{"key": secret, "key.txt": secret, "key.json": secret, "key.js": "let " + secret} {
		if err := os.WriteFile(filepath.Join(away, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const shows = `; export default { fetch() { return new Response(x) } }`
	for name, c := range map[string]struct {
		files map[string]string
		says  string
	}{
		"its own":              {map[string]string{"fn/index.js": `import x from "../shared/x.txt"` + shows, "shared/x.txt": "x", "shared/y.txt": "-> x.txt", "fn/node_modules/a/tsconfig.json": `{"extends": "x"}`}, "it is shipped"},
		"its own mistakes":     {map[string]string{"fn/index.js": `import "../shared/x.js"; ` + good, "shared/x.js": "let let"}, "shared/x.js:1:5"},
		"an import":            {map[string]string{"fn/index.js": `import x from "` + away + `/key.txt"` + shows}, "not in the source"},
		"an import of no JSON": {map[string]string{"fn/index.js": `import x from "` + away + `/key.json"` + shows}, "not in the source"},
		"an import from above": {map[string]string{"fn/index.js": `import "` + strings.Repeat("../", 20) + away + `/key.js"; ` + good}, "not in the source"},
		"a link":               {map[string]string{"fn/index.js": `import x from "./x.txt"` + shows, "fn/x.txt": "-> " + away + "/key.txt"}, "leads out of the source"},
		"a link in steps":      {map[string]string{"fn/index.js": good, "fn/d": "-> .", "fn/x.txt": "-> d/d/d/../../../x.txt"}, "leads out of the source"},
		"a setting":            {map[string]string{"fn/index.js": good, "fn/tsconfig.json": `{"extends": "` + away + `/key"}`}, "extends another file"},
		"a hidden setting":     {map[string]string{"fn/index.js": good, "fn/tsconfig.json": `{"\u0065xtends": "` + away + `/key"}`}, "extends another file"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, code := newService(t)
			c.files["fn/pandabox.toml"] = "kind = \"function\"\n"
			said := "it is shipped"
			if _, err := s.Ship(t.Context(), root, Arrival{App: "greet", Tree: tree(t, s, c.files), Dir: "fn"}); err != nil {
				said = whole(err)
			}
			if strings.Contains(said+*code, secret) {
				t.Errorf("a secret of the box is told: %q, %q", said, *code)
			}
			if !strings.Contains(said, c.says) {
				t.Errorf("it says %q", said)
			}
		})
	}
}
