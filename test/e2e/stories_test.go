package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestStories plays what users do, word by word, through the real binary against a real box. Besides testscript's own
// commands there are
//
//	https [-wait] HOST PATH BODY    GET answers 200 with this body; -wait tries for patience
//	status CODE HOST PATH           GET answers with this code
//	soon PATTERN COMMAND...         the command's standard output matches, at once or within patience
//	kill-daemon                     kill -9 of the daemon, which is then started again
func TestStories(t *testing.T) {
	w := start(t)
	image := archive(t, nil)
	client := w.http
	get := func(host, path string) (int, string, error) {
		req, err := http.NewRequest(http.MethodGet, "https://"+host+path, nil)
		if err != nil {
			return 0, "", err
		}
		res, err := client.Do(req)
		if err != nil {
			return 0, "", err
		}
		defer func() { _ = res.Body.Close() }()
		b, err := io.ReadAll(res.Body)
		return res.StatusCode, string(b), err
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/stories",
		Setup: func(e *testscript.Env) error {
			link := filepath.Join(e.WorkDir, "bin")
			if err := os.MkdirAll(link, 0o700); err != nil {
				return err
			}
			if err := os.Symlink(w.box.Bin, filepath.Join(link, "pandabox")); err != nil {
				return err
			}
			_, port, _ := strings.Cut(w.box.HTTPS, ":")
			e.Setenv("PATH", link+":"+e.Getenv("PATH"))
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("PANDABOX_SOCKET", w.box.Socket())
			e.Setenv("IMAGE", image)
			e.Setenv("PORT", port)
			e.Setenv("CA", filepath.Join(w.box.DataDir, "ca.crt"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"https": func(ts *testscript.TestScript, neg bool, args []string) {
				patient := len(args) > 0 && args[0] == "-wait"
				if patient {
					args = args[1:]
				}
				if len(args) != 3 {
					ts.Fatalf("usage: https [-wait] HOST PATH BODY")
				}
				for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
					code, body, err := get(args[0], args[1])
					ok := err == nil && code == http.StatusOK && body == args[2]
					if ok != neg {
						return
					}
					if !patient || time.Now().After(deadline) {
						ts.Fatalf("%s%s: %d %q %v", args[0], args[1], code, body, err)
					}
				}
			},
			"status": func(ts *testscript.TestScript, neg bool, args []string) {
				if len(args) != 3 {
					ts.Fatalf("usage: status CODE HOST PATH")
				}
				code, body, err := get(args[1], args[2])
				if err != nil || (fmt.Sprint(code) == args[0]) == neg {
					ts.Fatalf("%s%s: %d %q %v", args[1], args[2], code, body, err)
				}
			},
			"soon": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) < 2 {
					ts.Fatalf("usage: soon PATTERN COMMAND...")
				}
				want, err := regexp.Compile("(?m)" + args[0])
				ts.Check(err)
				for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
					err := ts.Exec(args[1], args[2:]...)
					if err == nil && want.MatchString(ts.ReadFile("stdout")) {
						return
					}
					if time.Now().After(deadline) {
						ts.Fatalf("no match for %s (%v)", args[0], err)
					}
				}
			},
			"claim-link": func(ts *testscript.TestScript, _ bool, args []string) {
				r := w.box.Run(t.Context(), "claim", "--json")
				if r.Code != 0 {
					ts.Fatalf("claim: %s%s", r.Out, r.Err)
				}
				url, _, _ := bytes.Cut([]byte(r.Out[strings.Index(r.Out, `"url"`)+len(`"url"`):]), []byte(","))
				ts.Setenv(args[0], strings.ReplaceAll(strings.Trim(string(url), ": \"\n}"), "//"+"box.localhost", "//localhost"))
			},
		},
	})
}
