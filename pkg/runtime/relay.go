package runtime

import (
	"io"

	"github.com/containerd/log"
	"github.com/rs/zerolog"
	"github.com/sirupsen/logrus" //nolint:depguard // what containerd's client logs with
)

// relay returns a logger for containerd's client that writes to ours. What the client has to say is detail: what
// matters of it comes back as errors.
func relay(to zerolog.Logger) *log.Entry {
	l := logrus.New()
	l.SetOutput(io.Discard)
	l.AddHook(relayHook{to})
	return logrus.NewEntry(l)
}

type relayHook struct{ to zerolog.Logger }

var _ logrus.Hook = relayHook{}

// Levels leaves tracing and debugging out.
func (relayHook) Levels() []logrus.Level {
	return []logrus.Level{logrus.PanicLevel, logrus.FatalLevel, logrus.ErrorLevel, logrus.WarnLevel, logrus.InfoLevel}
}

// Fire writes one line.
func (h relayHook) Fire(e *logrus.Entry) error {
	h.to.Debug().Fields(map[string]any(e.Data)).Msg(e.Message)
	return nil
}
