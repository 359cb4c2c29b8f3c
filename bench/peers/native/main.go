// Command native is the floor of functions: a Go HTTP server that answers hello world at the address given.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

func main() {
	s := &http.Server{Addr: os.Args[1], ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello world")
	})}
	fmt.Fprintln(os.Stderr, s.ListenAndServe())
	os.Exit(1)
}
