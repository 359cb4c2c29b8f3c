package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/pandabox/pandabox/pkg/model"
)

// AppJSONName is the file of Heroku and Dokku whose "cron" is read where pandabox.toml has no [[job]]. The rest of it is
// left alone.
const AppJSONName = "app.json"

// loadAppJSON takes the jobs of a folder's app.json, where pandabox.toml has none.
func (m *Manifest) loadAppJSON(dir string) error {
	if m.hasJobs {
		return nil
	}
	doc, err := readFile(dir, AppJSONName)
	if err != nil || doc == nil {
		return err
	}
	found, err := parseAppJSON(doc, m.Kind)
	if err != nil || found == nil {
		return err
	}
	m.jobs, m.Files = found, append(m.Files, AppJSONName)
	return nil
}

// parseAppJSON reads the jobs of an app.json: {"cron": [{"command": "…", "schedule": "…"}]}. They run in production,
// in UTC, and are called cron-1, cron-2 … It returns nil where the file has no cron.
func parseAppJSON(doc []byte, kind model.AppKind) ([]job, error) {
	var file struct {
		Cron *[]struct {
			Command  string `json:"command"`
			Schedule string `json:"schedule"`
		} `json:"cron"`
	}
	if err := json.Unmarshal(doc, &file); err != nil {
		e := &Error{File: AppJSONName, Line: 1, Column: 1, What: "this is not an app.json", Why: err.Error(), Hint: `write "cron": [{ "command": "./shop tidy", "schedule": "0 3 * * *" }]`}
		var syntax *json.SyntaxError
		var wrong *json.UnmarshalTypeError
		switch {
		case errors.As(err, &syntax):
			e.at(doc, int(syntax.Offset)-1)
		case errors.As(err, &wrong):
			e.at(doc, int(wrong.Offset)-1)
		}
		return nil, e
	}
	if file.Cron == nil {
		return nil, nil
	}
	out := []job{}
	for i, c := range *file.Cron {
		spec := model.JobSpec{Name: "cron-" + strconv.Itoa(i+1), Schedule: c.Schedule}
		var err error
		if spec.Command, err = Command(c.Command); err != nil {
			err = &model.JobError{Field: "command", Err: err}
		} else {
			err = spec.Validate()
		}
		if err == nil && (kind == model.KindFunction || kind == model.KindStatic) {
			err = &model.JobError{Field: "command", Err: model.Invalid("an app of the kind %s has no containers, so its job cannot run a command", kind)}
		}
		if err != nil {
			return nil, jsonFault(doc, i, err)
		}
		out = append(out, job{spec: spec, envs: []string{Production}})
	}
	return out, nil
}

// jsonFault places a fault of the n-th element of cron.
func jsonFault(doc []byte, n int, err error) *Error {
	field := ""
	var at *model.JobError
	if errors.As(err, &at) {
		field = at.Field
	}
	e := locate(AppJSONName, position{1, 1}, err)
	e.What = fmt.Sprintf("cron[%d], %s: %s", n, field, e.What)
	e.at(doc, elementOf(doc, n))
	return e
}

// elementOf returns where the n-th element of cron begins in a document that is known to be good JSON.
func elementOf(doc []byte, n int) int {
	d := json.NewDecoder(bytes.NewReader(doc))
	depth, key, in, seen := 0, "", false, -1
	for {
		t, err := d.Token()
		if err != nil {
			return 0
		}
		switch v := t.(type) {
		case json.Delim:
			switch v {
			case '{', '[':
				if in && depth == 2 && v == '{' {
					if seen++; seen == n {
						return int(d.InputOffset()) - 1
					}
				}
				depth++
				in = in || (v == '[' && depth == 2 && key == "cron")
			default:
				if depth--; depth == 1 {
					in = false
				}
			}
		case string:
			if depth == 1 && !in {
				key = v
			}
		}
	}
}

// at puts a fault to an offset of its file.
func (e *Error) at(doc []byte, offset int) {
	p := lineOf(doc, max(offset, 0))
	e.Line, e.Column = p.line, p.column
}
