package manifest

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/pandabox/pandabox/pkg/model"
)

// shellBuiltins cannot be given to exec, for no program of that name need exist.
const shellBuiltins = " . : alias bg break cd command continue eval exec exit export fc fg getopts hash jobs local read readonly return set shift source times trap type ulimit umask unalias unset wait "

// Command makes a command line of a string. Plain words, quoted as a shell would have them, become the command line
// itself. Anything else a shell knows (|, &&, ;, $, >, *, ~ …) becomes /bin/sh -c of it; a single simple command then
// gets exec before it, so that the program itself receives the signal to stop.
func Command(s string) ([]string, error) {
	if strings.ContainsRune(s, 0) {
		return nil, model.Invalid("the command holds a NUL character")
	}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(s), "")
	if err != nil {
		return nil, model.Invalid("the command cannot be read").WithWhy("%s", shellMessage(err)).WithHint(`close every quote and bracket; write a literal quote as \"`)
	}
	if len(file.Stmts) == 0 {
		return nil, model.Invalid("the command is empty").WithHint("leave command out to run the image's own")
	}
	simple, redirected := simpleCommand(file)
	if simple == nil {
		return []string{"/bin/sh", "-c", s}, nil
	}
	builtin := len(simple.Args) == 0 || strings.Contains(shellBuiltins, " "+simple.Args[0].Lit()+" ")
	if words := plainWords(simple); words != nil && !redirected && !builtin {
		return words, nil
	}
	if !builtin {
		at := simple.Args[0].Pos().Offset()
		s = s[:at] + "exec " + s[at:]
	}
	return []string{"/bin/sh", "-c", s}, nil
}

// simpleCommand returns the only command of the file, nil if it is more than one simple command in the foreground.
func simpleCommand(f *syntax.File) (call *syntax.CallExpr, redirected bool) {
	if len(f.Stmts) != 1 {
		return nil, false
	}
	st := f.Stmts[0]
	call, ok := st.Cmd.(*syntax.CallExpr)
	if !ok || st.Negated || st.Background {
		return nil, false
	}
	return call, len(st.Redirs) > 0
}

// plainWords returns the words of a command that means the same without a shell, else nil.
func plainWords(c *syntax.CallExpr) []string {
	if len(c.Assigns) > 0 {
		return nil
	}
	var words []string
	for _, w := range c.Args {
		word, ok := plainWord(w)
		if !ok {
			return nil
		}
		words = append(words, word)
	}
	return words
}

func plainWord(w *syntax.Word) (string, bool) {
	var b strings.Builder
	for _, part := range w.Parts {
		switch p := part.(type) {
		case *syntax.Lit:
			if !unquote(&b, p.Value, false) {
				return "", false
			}
		case *syntax.SglQuoted:
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			for _, in := range p.Parts {
				l, ok := in.(*syntax.Lit)
				if !ok || !unquote(&b, l.Value, true) {
					return "", false
				}
			}
		default:
			return "", false
		}
	}
	return b.String(), true
}

// unquote resolves the backslashes of a literal. It returns false for what a shell would expand.
func unquote(b *strings.Builder, s string, quoted bool) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			switch {
			case s[i] == '\n':
			case quoted && !strings.ContainsRune("$`\"\\", rune(s[i])):
				b.WriteByte('\\')
				b.WriteByte(s[i])
			default:
				b.WriteByte(s[i])
			}
		case !quoted && strings.ContainsRune("*?[~", rune(c)):
			return false
		default:
			b.WriteByte(c)
		}
	}
	return true
}

// shellMessage leaves the place out: it counts within the command, not within the file.
func shellMessage(err error) string {
	text := err.Error()
	if _, after, ok := strings.Cut(text, ": "); ok {
		return after
	}
	return text
}
