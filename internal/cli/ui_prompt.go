package cli

import (
	"bufio"
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
	if !o.interactive() {
		return "", model.Invalid("this needs an answer, and nobody is at a terminal").WithHint("give it with %s", flag)
	}
	_, _ = fmt.Fprint(o.err, question)
	line, err := bufio.NewReader(o.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the answer: %w", err)
	}
	return strings.TrimSpace(line), nil
}

// askSecret reads one line without showing it.
func (o *output) askSecret(question, flag string) (string, error) {
	if !o.interactive() {
		return "", model.Invalid("this needs an answer, and nobody is at a terminal").WithHint("give it with %s", flag)
	}
	_, _ = fmt.Fprint(o.err, question)
	b, err := term.ReadPassword(int(terminal(o.in).Fd()))
	_, _ = fmt.Fprintln(o.err)
	if err != nil {
		return "", fmt.Errorf("reading the answer: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}
