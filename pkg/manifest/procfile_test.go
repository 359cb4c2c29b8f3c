package manifest

import (
	"reflect"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestProcfile(t *testing.T) {
	got, err := ParseProcfile([]byte("\ufeff# how it runs\r\n\r\nworker: ./shop work | tee log\r\nweb : bin/serve -p 80\nrelease: ./migrate\n"))
	want := []model.Process{
		{Name: "release", Command: []string{"./migrate"}},
		{Name: "web", Command: []string{"bin/serve", "-p", "80"}},
		{Name: "worker", Command: []string{"/bin/sh", "-c", " ./shop work | tee log"}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestProcfileRefused(t *testing.T) {
	for in, want := range map[string]string{
		"web":                       "Procfile:1:1: this is not a process",
		"\nweb serve: x":            "Procfile:2:1: this is not a process",
		"web: a\n\nweb: b":          "Procfile:3:1: the process web stands here twice",
		"Web: a":                    `Procfile:1:1: "Web" is not a name for a process`,
		"web:":                      "Procfile:1:1: the command is empty",
		"web: echo \"x":             "Procfile:1:1: the command cannot be read",
		"web: a\x00b":               "Procfile:1:1: this line is not text",
		"a: x\nworker_one: ./work ": `Procfile:2:1: "worker_one" is not a name for a process`,
	} {
		if _, err := ParseProcfile([]byte(in)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", in, err, want)
		}
	}
}

func FuzzProcfile(f *testing.F) {
	f.Add([]byte("web: ./shop serve\n# x\nworker: a && b"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, err := ParseProcfile(text)
		checkFault(t, text, err)
	})
}
