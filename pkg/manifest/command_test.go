package manifest

import (
	"reflect"
	"testing"
)

func TestCommand(t *testing.T) {
	sh := func(s string) []string { return []string{"/bin/sh", "-c", s} }
	for in, want := range map[string][]string{
		"./shop serve":                   {"./shop", "serve"},
		"  ./shop\tserve  ":              {"./shop", "serve"},
		`a 'b c' "d e" f\ g`:             {"a", "b c", "d e", "f g"},
		`a "" ''`:                        {"a", "", ""},
		`a "x\"y\\z\n" 'no\esc'`:         {"a", `x"y\z\n`, `no\esc`},
		`a '$HOME' "\$HOME" \* "*"`:      {"a", "$HOME", "$HOME", "*", "*"},
		"a --x=1,2 b@c {1,2} 50%":        {"a", "--x=1,2", "b@c", "{1,2}", "50%"},
		"a -p $PORT":                     sh("exec a -p $PORT"),
		`a "${PORT:-80}"`:                sh(`exec a "${PORT:-80}"`),
		"a > out 2>&1":                   sh("exec a > out 2>&1"),
		"> out a":                        sh("> out exec a"),
		"a *.txt":                        sh("exec a *.txt"),
		"a ~/x":                          sh("exec a ~/x"),
		"a `b`":                          sh("exec a `b`"),
		"RAILS_ENV=production rails s":   sh("RAILS_ENV=production exec rails s"),
		"a | b":                          sh("a | b"),
		"a && b":                         sh("a && b"),
		"a; b":                           sh("a; b"),
		"a & wait":                       sh("a & wait"),
		"! a":                            sh("! a"),
		"cd x && exec ./run":             sh("cd x && exec ./run"),
		"exec ./run":                     sh("exec ./run"),
		". ./env":                        sh(". ./env"),
		"X=1":                            sh("X=1"),
		"if a; then b; fi":               sh("if a; then b; fi"),
		"a # and so on":                  {"a"},
		"a \\\n b":                       {"a", "b"},
		"php artisan queue:work --tries": {"php", "artisan", "queue:work", "--tries"},
	} {
		got, err := Command(in)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "   ", "# nothing", `a "b`, "a 'b", "a (", "a &&", "$(", "a\x00"} {
		if got, err := Command(in); err == nil {
			t.Errorf("%q was accepted as %q", in, got)
		}
	}
}
