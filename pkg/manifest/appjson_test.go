package manifest

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAppJSON(t *testing.T) {
	const cron = `{"name": "shop", "cron": [{"command": "./shop tidy", "schedule": "0 3 * * *"}, {"command": "./shop a | b", "schedule": "@hourly"}]}`
	want := []model.JobSpec{
		{Name: "cron-1", Schedule: "0 3 * * *", Command: []string{"./shop", "tidy"}},
		{Name: "cron-2", Schedule: "@hourly", Command: []string{"/bin/sh", "-c", "./shop a | b"}},
	}
	m, err := Load(folder(t, map[string]string{AppJSONName: cron, FileName: `app = "shop"`}))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.For(Production).Jobs; got == nil || !reflect.DeepEqual(*got, want) {
		t.Errorf("in production: %+v", got)
	}
	if got := m.For("staging").Jobs; got == nil || len(*got) != 0 {
		t.Errorf("in staging: %+v", got)
	}
	m, err = Load(folder(t, map[string]string{AppJSONName: cron, FileName: "[[job]]\nname = \"own\"\nschedule = \"@daily\"\npath = \"/\"\n"}))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.For(Production).Jobs; got == nil || len(*got) != 1 || (*got)[0].Name != "own" {
		t.Errorf("[[job]] does not win: %+v", got)
	}
	for text, files := range map[string]map[string]string{"without files": {}, "with an app.json that names none": {AppJSONName: `{"name": "shop"}`}} {
		if m, err = Load(folder(t, files)); err != nil || m.For(Production).Jobs != nil {
			t.Errorf("%s: %v %v", text, m.For(Production).Jobs, err)
		}
	}
}

func TestAppJSONRefused(t *testing.T) {
	for doc, want := range map[string]string{
		"{\n  \"cron\": [\n    {\"command\": \"a\", \"schedule\": \"@daily\"},\n    {\"command\": \"b\", \"schedule\": \"0 99 * * *\"}\n  ]\n}": "app.json:4:5: cron[1], schedule: ",
		"{\n  \"cron\": [\n    {\"command\": \"\", \"schedule\": \"@daily\"}]}":                                                                 "app.json:3:5: cron[0], command: ",
		"{\n  \"cron\": 5\n}": "app.json:2:",
		"{\n  \"cron\": [\n":  "app.json:",
		`{"env": {"cron": [{"command": "", "schedule": "x"}]}, "cron": [{"command": "a b", "schedule": "x"}]}`: "app.json:1:64: cron[0], schedule: ",
	} {
		_, err := Load(folder(t, map[string]string{AppJSONName: doc}))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s\n%v\nwant %s", doc, err, want)
		}
	}
}
