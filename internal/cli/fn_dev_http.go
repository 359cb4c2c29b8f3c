//go:build linux

package cli

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// ServeHTTP gives a request to the version that serves.
func (d *development) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case <-d.tried:
	case <-r.Context().Done():
		return
	}
	d.mu.Lock()
	name, wrong := d.name, d.wrong
	d.mu.Unlock()
	switch {
	case name == "":
		http.Error(w, "nothing serves yet", http.StatusServiceUnavailable)
		if wrong != nil {
			_, _ = io.WriteString(w, describe(wrong).Error()+"\n") // the client is gone
		}
		return
	case r.URL.Path == "/__scheduled":
		d.scheduled(w, r, name)
		return
	}
	began := time.Now()
	_ = http.NewResponseController(w).EnableFullDuplex() // as on a box: an answer may begin before the request is read
	counted := &statusWriter{ResponseWriter: w}
	d.host.Serve(name, counted, r, d.next)
	s := d.sh.errStyle()
	d.sh.say("  %s   %s %s %d %s", s.faint(began.Format("15:04:05")), r.Method, printable(r.URL.RequestURI()), counted.code(), s.faint(millis(time.Since(began))))
}

func (d *development) scheduled(w http.ResponseWriter, r *http.Request, name string) {
	err := d.host.Scheduled(r.Context(), name, model.ScheduledEvent{Cron: r.URL.Query().Get("cron"), Job: "dev", ScheduledTime: time.Now().UTC()})
	if err != nil {
		http.Error(w, describe(err).Error(), http.StatusInternalServerError)
		return
	}
	_, _ = io.WriteString(w, "ok\n") // the client is gone
}

// statusWriter keeps an answer's status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// Unwrap lets http.ResponseController reach the writer below.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (s *statusWriter) WriteHeader(status int) {
	if s.status == 0 && status >= http.StatusOK {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusWriter) code() int {
	if s.status == 0 {
		return http.StatusOK
	}
	return s.status
}

// millis writes "1.2 ms".
func millis(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
