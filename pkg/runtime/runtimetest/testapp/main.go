// Command testapp is what runs inside the containers of tests: a web server that can be asked to misbehave, and a few
// small commands.
//
//	testapp [serve]    GET /up /env /hello /crash?code=N /slow?ms=N /oom /log?n=N&text=T /status /read?path=P
//	                   /write?path=P&text=T /lookup?name=N /fetch?url=U; listens on $PORT, 8080 without
//	testapp exit N     ends with code N
//	testapp sleep      waits for ever, ends on SIGTERM
//	testapp deaf       the same, without a handler for SIGTERM
//	testapp stubborn   ignores SIGTERM
//	testapp oom        eats memory until killed
//	testapp echo …     prints its arguments
//	testapp cat        copies its input to its output
//	testapp env NAME   prints a variable
//	testapp id         prints uid and gid
//	testapp tty        prints the size of its terminal whenever it changes, until its input ends
//	testapp spam N     prints N lines
//
// $UP_AFTER (a duration) delays a good answer of /up; $UP_FAIL makes it 500; $VERSION is what /hello says.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/term"
)

func main() {
	cmd := "serve"
	if len(os.Args) > 1 {
		cmd = os.Args[1]
	}
	switch cmd {
	case "serve":
		serve()
	case "exit":
		os.Exit(number(arg(2), 0))
	case "sleep":
		end := make(chan os.Signal, 1)
		signal.Notify(end, syscall.SIGTERM)
		fmt.Println("sleeping")
		<-end
	case "deaf":
		// Go's runtime installs handlers for every signal, so the default is put back behind its back.
		var none struct {
			handler, flags, restorer uintptr
			mask                     uint64
		}
		_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGTERM), uintptr(unsafe.Pointer(&none)), 0, 8, 0, 0)
		fmt.Println("deaf")
		pause()
	case "stubborn":
		c := make(chan os.Signal, 8) // full after a while, and never read
		signal.Notify(c, syscall.SIGTERM)
		fmt.Println("stubborn")
		pause()
	case "oom":
		eat()
	case "echo":
		fmt.Println(strings.Join(os.Args[2:], " "))
	case "cat":
		_, _ = io.Copy(os.Stdout, os.Stdin)
	case "env":
		fmt.Println(os.Getenv(arg(2)))
	case "id":
		fmt.Println(os.Getuid(), os.Getgid())
	case "tty":
		tty()
	case "spam":
		for i := range number(arg(2), 10) {
			fmt.Println("line", i)
		}
	default:
		fmt.Fprintln(os.Stderr, "unknown command", cmd)
		os.Exit(2)
	}
}

func serve() {
	began := time.Now()
	mux := http.NewServeMux()
	mux.HandleFunc("/up", func(w http.ResponseWriter, _ *http.Request) {
		after, _ := time.ParseDuration(os.Getenv("UP_AFTER"))
		if os.Getenv("UP_FAIL") != "" || time.Since(began) < after {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) {
		host, _ := os.Hostname()
		w.Header().Set("X-Version", os.Getenv("VERSION"))
		_, _ = fmt.Fprintf(w, "hello from %s %s\n", host, os.Getenv("VERSION"))
	})
	mux.HandleFunc("/env", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(os.Environ()) })
	mux.HandleFunc("/crash", func(_ http.ResponseWriter, q *http.Request) { os.Exit(number(q.FormValue("code"), 1)) })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, q *http.Request) {
		time.Sleep(time.Duration(number(q.FormValue("ms"), 1000)) * time.Millisecond)
		_, _ = fmt.Fprintln(w, "at last")
	})
	mux.HandleFunc("/oom", func(http.ResponseWriter, *http.Request) { eat() })
	mux.HandleFunc("/log", func(_ http.ResponseWriter, q *http.Request) {
		for range number(q.FormValue("n"), 1) {
			fmt.Println(q.FormValue("text"))
		}
	})
	mux.HandleFunc("/status", func(w http.ResponseWriter, _ *http.Request) { copyFile(w, "/proc/self/status") })
	mux.HandleFunc("/read", func(w http.ResponseWriter, q *http.Request) { copyFile(w, q.FormValue("path")) })
	mux.HandleFunc("/write", func(w http.ResponseWriter, q *http.Request) {
		if err := os.WriteFile(q.FormValue("path"), []byte(q.FormValue("text")), 0o644); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("/lookup", func(w http.ResponseWriter, q *http.Request) {
		addrs, err := net.LookupHost(q.FormValue("name"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		_, _ = fmt.Fprintln(w, strings.Join(addrs, " "))
	})
	mux.HandleFunc("/fetch", func(w http.ResponseWriter, q *http.Request) {
		c := &http.Client{Timeout: 5 * time.Second}
		resp, err := c.Get(q.FormValue("url"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	})
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	srv := &http.Server{Addr: ":" + port, Handler: mux, ReadHeaderTimeout: time.Minute}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-ctx.Done()
		_ = srv.Shutdown(context.Background())
	}()
	fmt.Println("listening on", srv.Addr)
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	<-ended
	fmt.Println("bye")
}

func copyFile(w http.ResponseWriter, path string) {
	f, err := os.Open(path)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	defer func() { _ = f.Close() }()
	_, _ = io.Copy(w, f)
}

func eat() {
	var all [][]byte
	for {
		b := make([]byte, 8<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		all = append(all, b)
		_ = all
	}
}

func tty() {
	show := func() {
		w, h, err := term.GetSize(0)
		if err != nil {
			fmt.Println("no terminal:", err)
			return
		}
		fmt.Printf("size %dx%d\n", w, h)
	}
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	show()
	go func() {
		for range changed {
			show()
		}
	}()
	b := make([]byte, 1)
	for {
		if _, err := os.Stdin.Read(b); err != nil || b[0] == 'q' {
			return
		}
	}
}

func pause() {
	for {
		time.Sleep(time.Hour)
	}
}

func arg(i int) string {
	if i < len(os.Args) {
		return os.Args[i]
	}
	return ""
}

func number(s string, def int) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return def
	}
	return n
}
