package manifest

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/pandabox/pandabox/pkg/model"
)

// ParseProcfile reads the text of a Procfile: lines of "name: command". Empty lines and lines that begin with # are
// comments. The processes are sorted by name; a fault is an *Error.
func ParseProcfile(text []byte) ([]model.Process, error) {
	var out []model.Process
	for i, raw := range bytes.Split(text, []byte{'\n'}) {
		line := strings.TrimSpace(string(raw))
		if i == 0 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		if line == "" || line[0] == '#' {
			continue
		}
		p, err := procfileLine(line)
		for _, o := range out {
			if err == nil && o.Name == p.Name {
				err = model.Invalid("the process %s stands here twice", p.Name)
			}
		}
		if err != nil {
			return nil, locate(ProcfileName, position{i + 1, 1}, err)
		}
		out = append(out, p)
	}
	return sorted(out), nil
}

func procfileLine(line string) (model.Process, error) {
	if !utf8.ValidString(line) || strings.ContainsRune(line, 0) {
		return model.Process{}, model.Invalid("this line is not text").WithHint("save the Procfile as UTF-8")
	}
	name, command, ok := strings.Cut(line, ":")
	if name = strings.TrimSpace(name); !ok || strings.ContainsAny(name, " \t") {
		return model.Process{}, model.Invalid("this is not a process").WithHint("write name: command, as in web: ./shop serve")
	}
	if err := model.CheckName("process", name); err != nil {
		return model.Process{}, err
	}
	words, err := Command(command)
	if err != nil {
		return model.Process{}, err
	}
	return model.Process{Name: name, Command: words}, nil
}
