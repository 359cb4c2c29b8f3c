package cli

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

func TestParseDotenv(t *testing.T) {
	in := "\ufeff# comment\r\nA=1\r\nexport B = two words # note\nC='single # $x \\n'\nD=\"double \\\"q\\\" \\n\\$x\" # note\nE=\nF=a#b\nG=\"line one\nline two\"\nH='x'\n\nI=$HOME"
	want := map[string]string{
		"A": "1", "B": "two words", "C": `single # $x \n`, "D": "double \"q\" \n$x", "E": "", "F": "a#b", "G": "line one\nline two", "H": "x", "I": "$HOME",
	}
	got, err := parseDotenv("x.env", in)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
	for in, want := range map[string]string{
		"A=1\nnonsense":    "x.env:2: this is not NAME=value",
		"A=\"1\nB=2":       "x.env:1: the quote is not closed",
		"A='1' 2":          "x.env:1: something stands after the closing quote",
		"A=\"1\n2\"\n1X=2": `x.env:3: "1X" is not a variable name`,
		"PANDABOX_X=1":     "x.env:1: PANDABOX_X is set by pandabox itself",
		"=1":               `x.env:1: "" is not a variable name`,
		"A=" + strings.Repeat("x", model.MaxVariableValue+1): "x.env:1: A is 65537 bytes long",
	} {
		if got, err := parseDotenv("x.env", in); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.20q: got %q, %v; want %s", in, got, err, want)
		}
	}
}

func FuzzDotenv(f *testing.F) {
	f.Add("A=1\nexport B='x'\nC=\"y\\n\" # z")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseDotenv("x.env", text)
		if (got == nil) == (err == nil) {
			t.Errorf("got %v and %v", got, err)
		}
		for name, value := range got {
			if err := model.CheckVariable(name, value); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestParseScale(t *testing.T) {
	n := func(i int) *int { return &i }
	got, err := parseScale([]string{"web=3", "worker"}, "0.5", "256MB")
	want := api.Scaling{Processes: map[string]model.Scale{
		"web": {Replicas: n(3), MilliCPU: 500, Memory: 256 << 20}, "worker": {MilliCPU: 500, Memory: 256 << 20},
	}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, bad := range []struct {
		args        []string
		cpu, memory string
	}{
		{[]string{"web"}, "", ""}, {[]string{"web=many"}, "", ""}, {[]string{"web=-1"}, "", ""}, {[]string{"Web=1"}, "", ""}, {[]string{"web=1", "web=2"}, "", ""},
		{nil, "1", ""}, {[]string{"web=1"}, "x", ""}, {[]string{"web=1"}, "", "12"}, {[]string{"web=1"}, "", "1KB"},
	} {
		if got, err := parseScale(bad.args, bad.cpu, bad.memory); model.KindOf(err) != model.KindInvalid {
			t.Errorf("%v: got %+v, %v", bad, got, err)
		}
	}
}

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]boxAddress{
		"box.example.com":                             {url: "https://box.example.com", host: "box.example.com"},
		"https://box.example.com/":                    {url: "https://box.example.com", host: "box.example.com"},
		"https://box.example.com:443":                 {url: "https://box.example.com:443", host: "box.example.com"},
		"https://box.example.com:8443":                {url: "https://box.example.com:8443", host: "box.example.com:8443"},
		"https://b.example.com/claim/s3cret":          {url: "https://b.example.com", host: "b.example.com", claim: "s3cret"},
		"https://b.example.com/claim/x#ca=sha256:a1B": {url: "https://b.example.com", host: "b.example.com", claim: "x", fingerprint: "sha256:a1B"},
		"http://127.0.0.1:8080":                       {url: "http://127.0.0.1:8080", host: "127.0.0.1:8080"},
	} {
		if got, err := parseAddress(in); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "https://", "http://box.example.com", "ftp://box.example.com", "https://u:p@box.example.com", "https://box.example.com/apps", "https://box.example.com?x=1", "https://box.example.com/claim/a/b", "https://box.example.com#x", "https://b ox"} {
		if got, err := parseAddress(in); model.KindOf(err) != model.KindInvalid {
			t.Errorf("%q: got %+v, %v", in, got, err)
		}
	}
}

func TestSameFingerprint(t *testing.T) {
	if !sameFingerprint("sha256:ab01", " SHA256:AB:01 ") || sameFingerprint("sha256:ab01", "sha256:ab02") || !sameFingerprint("sha256:ab01", "ab01") {
		t.Error("fingerprints are not compared as people write them")
	}
}

func TestAppOfRemote(t *testing.T) {
	for url, want := range map[string]string{
		"https://box.example.com/shop.git": "shop", "git@box.example.com:shop.git": "shop", "ssh://git@box.example.com:2222/shop": "shop", "box:team/shop.git": "shop", "https://box.example.com:8443/shop.git": "shop",
	} {
		file := filepath.Join(t.TempDir(), "config")
		text := "[core]\n\turl = https://x/core.git\n[remote \"pandabox\"]\n\tfetch = +refs\n\turl = " + url + "\n[remote \"other\"]\n\turl = https://x/other.git\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := appOfRemote(file); got != want {
			t.Errorf("%s: got %q, want %q", url, got, want)
		}
	}
	if got := appOfRemote(filepath.Join(t.TempDir(), "none")); got != "" {
		t.Errorf("without a file: %q", got)
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{
		"10m": now.Add(-10 * time.Minute), "3d": now.AddDate(0, 0, -3), "2026-01-02T15:04:05Z": time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC),
		"2026-01-02": time.Date(2026, 1, 2, 0, 0, 0, 0, time.Local),
	} {
		if got, err := parseSince(in, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: got %s, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "-1h", "d", "-3d", "tomorrow"} {
		if got, err := parseSince(in, now); err == nil {
			t.Errorf("%q: got %s", in, got)
		}
	}
}

func TestLoginsFile(t *testing.T) {
	dir := t.TempDir()
	sh := &shell{env: func(name string) string { return map[string]string{"XDG_CONFIG_HOME": dir}[name] }}
	l, err := sh.logins()
	if err != nil {
		t.Fatal(err)
	}
	l.Boxes["203-0-113-7.sslip.io:8443"] = login{URL: "https://203-0-113-7.sslip.io:8443", Token: "secret", CA: "-----BEGIN\nEND-----\n"}
	l.Current = "203-0-113-7.sslip.io:8443"
	if err := l.save(); err != nil {
		t.Fatal(err)
	}
	again, err := sh.logins()
	if err != nil || !reflect.DeepEqual(again, l) {
		t.Errorf("got %+v, %v; want %+v", again, err, l)
	}
	file := filepath.Join(dir, "pandabox", "config.toml")
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode: %v, %v", st.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "pandabox", ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := os.WriteFile(file, []byte("currant = 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sh.logins(); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("a damaged file: %v", err)
	}
}
