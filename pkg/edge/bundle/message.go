package bundle

import (
	"fmt"
	"strings"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/pandabox/pandabox/pkg/model"
)

// shown is how many further errors are named.
const shown = 4

// describe makes of the errors of a build one that a person can act on: the first in full, the others by place.
func describe(messages []api.Message) error {
	first := messages[0]
	text, hint := explain(first)
	var why strings.Builder
	why.WriteString(excerpt(first.Location))
	for i, m := range messages[1:] {
		if i == shown {
			fmt.Fprintf(&why, "\nand %d more errors", len(messages)-1-shown)
			break
		}
		other, _ := explain(m)
		why.WriteString("\nalso " + place(m) + other)
	}
	e := model.Invalid("%s%s", place(first), text)
	if s := strings.Trim(why.String(), "\n"); s != "" {
		e = e.WithWhy("%s", s)
	}
	if hint == "" {
		hint = "correct it and try again"
	}
	return e.WithHint("%s", hint)
}

// place returns "src/index.ts:3:7: ", or "" where the message has none.
func place(m api.Message) string {
	if m.Location == nil {
		return ""
	}
	return fmt.Sprintf("%s:%d:%d: ", m.Location.File, m.Location.Line, m.Location.Column+1)
}

// excerpt returns the line and a mark below the place.
func excerpt(at *api.Location) string {
	if at == nil || at.LineText == "" || len(at.LineText) > 300 {
		return ""
	}
	line, column := at.LineText, min(at.Column, len(at.LineText))
	length := max(1, min(at.Length, len(line)-column))
	number := fmt.Sprint(at.Line)
	before := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, line[:column])
	return fmt.Sprintf("%s | %s\n%*s | %s%s", number, line, len(number), "", before, strings.Repeat("^", length))
}

// explain words a message for functions, with what to do. Hints of esbuild's own come with its notes.
func explain(m api.Message) (text, hint string) {
	if name, ok := unresolved(m.Text); ok {
		return missing(name)
	}
	text = m.Text
	for _, n := range m.Notes {
		if n.Text != "" && n.Location == nil {
			return text, n.Text
		}
	}
	if strings.HasPrefix(text, "No loader is configured for") {
		return text, "files that can be imported: JavaScript, TypeScript, JSON; .txt .html .md .sql .css as text; .bin .wasm as bytes"
	}
	return text, ""
}

// unresolved returns the import of a message that says it cannot be found.
func unresolved(text string) (string, bool) {
	rest, ok := strings.CutPrefix(text, `Could not resolve "`)
	if !ok {
		return "", false
	}
	name, _, ok := strings.Cut(rest, `"`)
	return name, ok
}

func missing(name string) (text, hint string) {
	bare := strings.TrimPrefix(name, "node:")
	module, _, _ := strings.Cut(bare, "/")
	if use, ok := instead(module); ok {
		return fmt.Sprintf("%q is a part of Node.js, which functions do not have", name), use
	}
	switch {
	case strings.HasPrefix(name, "node:"):
		return fmt.Sprintf("%q is a part of Node.js, which functions do not have", name), "use the web platform's way; see docs/functions-apis.md"
	case strings.HasPrefix(name, "."), strings.HasPrefix(name, "/"):
		return fmt.Sprintf("there is no file %q", name), "correct the path of the import"
	case strings.Contains(name, "://"):
		return fmt.Sprintf("%q is not fetched while bundling", name), "install the package with npm and import it by its name"
	case strings.Contains(name, ":"):
		return fmt.Sprintf("%q is a module of another platform", name), "bindings come as the second argument: fetch(request, env, ctx)"
	}
	if name == "react/jsx-runtime" { // nobody wrote this import
		return "JSX needs a package that makes something of it", `npm install hono, and in tsconfig.json "compilerOptions": {"jsx": "react-jsx", "jsxImportSource": "hono/jsx"}; or npm install react`
	}
	parts := strings.SplitN(name, "/", 3)
	pkg := parts[0]
	if strings.HasPrefix(name, "@") && len(parts) > 1 {
		pkg += "/" + parts[1]
	}
	return fmt.Sprintf("the package %q is not installed", pkg), "npm install " + pkg
}
