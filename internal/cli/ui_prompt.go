package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/term"

	"github.com/pandabox/pandabox/pkg/model"
)

// confirm asks for a yes. Where nobody can be asked it refuses and names the flag that answers.
func (o *output) confirm(question, flag string) error {
	answer, err := o.ask(question+" [y/N] ", flag)
	if err != nil {
		return err
	}
	if a := strings.ToLower(answer); a == "y" || a == "yes" {
		return nil
	}
	return model.Errorf(model.KindCanceled, "nothing was changed")
}

// confirmName asks for a name to be typed again.
func (o *output) confirmName(warning, name string) error {
	answer, err := o.ask(fmt.Sprintf("%s\nType %s to go on: ", warning, name), "--yes")
	if err != nil {
		return err
	}
	if answer == name {
		return nil
	}
	return model.Errorf(model.KindCanceled, "%q is not %q: nothing was changed", printable(answer), name)
}

// ask prints a question and reads one line.
func (o *output) ask(question, flag string) (string, error) {
	return o.prompt(question, flag, (*term.Terminal).ReadLine)
}

// askSecret reads one line without showing it.
func (o *output) askSecret(question, flag string) (string, error) {
	return o.prompt(question, flag, func(t *term.Terminal) (string, error) { return t.ReadPassword(lastQuestionLine(question)) })
}

// prompt reads one line with the terminal in raw mode: nothing is shown that was typed before the question stood there,
// and Ctrl-C ends the question although signals are the caller's.
func (o *output) prompt(question, flag string, read func(*term.Terminal) (string, error)) (string, error) {
	if !o.interactive() {
		return "", model.Invalid("this needs an answer, and nobody is at a terminal").WithHint("give it with %s", flag)
	}
	last := lastQuestionLine(question)
	if _, err := io.WriteString(o.err, strings.TrimSuffix(question, last)); err != nil {
		return "", fmt.Errorf("asking: %w", err)
	}
	in := int(terminal(o.in).Fd())
	before, err := term.MakeRaw(in)
	if err != nil {
		return "", fmt.Errorf("setting up the terminal: %w", err)
	}
	defer func() { _ = term.Restore(in, before) }()
	answer, err := read(term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{o.in, o.err}, last))
	if errors.Is(err, io.EOF) { // Ctrl-C, Ctrl-D
		_, _ = io.WriteString(o.err, "\r\n")
		return "", model.Errorf(model.KindCanceled, "interrupted: nothing was changed")
	}
	if err != nil {
		return "", fmt.Errorf("reading the answer: %w", err)
	}
	return strings.TrimSpace(answer), nil
}

func lastQuestionLine(question string) string {
	return question[strings.LastIndexByte(question, '\n')+1:]
}
