package proxy

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/rs/zerolog"
	"go.uber.org/zap/zapcore"
)

// logModule sends what Caddy and certmagic log to the proxy's logger.
type logModule struct{ *logCore }

var _ caddy.Provisioner = (*logModule)(nil)

// CaddyModule implements caddy.Module.
func (logModule) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.logging.cores.pandabox", New: func() caddy.Module { return new(logModule) }}
}

// Provision implements caddy.Provisioner.
func (m *logModule) Provision(caddy.Context) error {
	m.logCore = &logCore{log: running.Load().log}
	return nil
}

// logCore is a zapcore.Core over zerolog. Caddy is chatty: its information is our debug.
type logCore struct {
	log    zerolog.Logger
	fields []zapcore.Field
}

var _ zapcore.Core = (*logCore)(nil)

// Enabled implements zapcore.LevelEnabler.
func (c *logCore) Enabled(l zapcore.Level) bool { return c.log.GetLevel() <= levelOf(l) }

// With implements zapcore.Core.
func (c *logCore) With(fields []zapcore.Field) zapcore.Core {
	return &logCore{log: c.log, fields: append(c.fields[:len(c.fields):len(c.fields)], fields...)}
}

// Check implements zapcore.Core.
func (c *logCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write implements zapcore.Core.
func (c *logCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	level := levelOf(e.Level)
	if strings.HasPrefix(e.LoggerName, "tls.handshake") || e.LoggerName == "admin" {
		level = zerolog.DebugLevel // anybody can make a handshake fail; that there is no admin endpoint is meant so
	}
	ev := c.log.WithLevel(level)
	if ev == nil || level < c.log.GetLevel() {
		return nil
	}
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range c.fields {
		f.AddTo(enc)
	}
	for _, f := range fields {
		f.AddTo(enc)
	}
	ev.Str("logger", e.LoggerName).Fields(enc.Fields).Msg(e.Message)
	return nil
}

// Sync implements zapcore.Core.
func (c *logCore) Sync() error { return nil }

func levelOf(l zapcore.Level) zerolog.Level {
	switch {
	case l >= zapcore.ErrorLevel:
		return zerolog.ErrorLevel
	case l == zapcore.WarnLevel:
		return zerolog.WarnLevel
	}
	return zerolog.DebugLevel
}
