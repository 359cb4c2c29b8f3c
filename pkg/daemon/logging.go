package daemon

import (
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"gopkg.in/natefinch/lumberjack.v2"
)

// Bounds of the daemon's own log file: at most logFiles+1 files of logFileSize megabytes.
const (
	logFileSize = 10
	logFiles    = 4
)

// logger returns the daemon's log: JSON lines into LogFile or for journald, words for a person at a terminal. The
// second result closes it.
func (c Config) logger() (zerolog.Logger, func() error) {
	if c.Logger != nil {
		return *c.Logger, func() error { return nil }
	}
	var out io.Writer = os.Stderr
	done := func() error { return nil }
	switch {
	case c.LogFile != "":
		f := &lumberjack.Logger{Filename: c.LogFile, MaxSize: logFileSize, MaxBackups: logFiles}
		out, done = f, f.Close
	case isatty.IsTerminal(os.Stderr.Fd()):
		out = zerolog.ConsoleWriter{Out: os.Stderr, TimeFormat: time.TimeOnly, NoColor: os.Getenv("NO_COLOR") != ""}
	}
	level, err := zerolog.ParseLevel(c.LogLevel)
	if err != nil { // complete has refused it
		level = zerolog.InfoLevel
	}
	return zerolog.New(out).Level(level).With().Timestamp().Logger(), done
}
