package bundle

// instead says what functions use in place of a module of Node.js. ok is false where module is none.
func instead(module string) (use string, ok bool) {
	switch module {
	case "fs":
		return "there is no file system: import a text file (import text from \"./a.txt\"), or keep data in env.KV", true
	case "http", "https", "http2":
		return "use fetch(url) for requests; requests to the function come to its fetch(request, env, ctx)", true
	case "net", "tls", "dgram", "dns":
		return "there are no sockets: use fetch(url), or run this as an app of kind web or worker", true
	case "crypto":
		return "use the global crypto: crypto.subtle.digest(\"SHA-256\", bytes), crypto.randomUUID()", true
	case "buffer":
		return "use Uint8Array with TextEncoder and TextDecoder, atob and btoa; or npm install buffer", true
	case "url":
		return "URL and URLSearchParams are globals: leave the import out", true
	case "querystring":
		return "use new URLSearchParams(text)", true
	case "util":
		return "TextEncoder, TextDecoder and structuredClone are globals; for the rest npm install util", true
	case "events":
		return "use EventTarget, or npm install events", true
	case "stream":
		return "use ReadableStream, WritableStream and TransformStream, which are globals", true
	case "string_decoder":
		return "use new TextDecoder()", true
	case "timers":
		return "setTimeout and setInterval are globals: leave the import out", true
	case "perf_hooks":
		return "use Date.now()", true
	case "async_hooks":
		return "hand values on as arguments; there is no AsyncLocalStorage", true
	case "process", "os":
		return "variables and secrets are in env, the second argument of fetch", true
	case "path", "assert", "punycode", "zlib", "tty", "constants":
		pkg := map[string]string{"path": "path-browserify", "zlib": "fflate", "tty": "", "constants": ""}[module]
		if module == "assert" || module == "punycode" {
			pkg = module
		}
		if pkg == "" {
			return "leave it out: functions have no terminal and no system calls", true
		}
		return "npm install " + pkg + ", which does the same without Node.js", true
	case "child_process", "cluster", "worker_threads", "vm", "v8", "repl", "readline", "inspector", "module",
		"domain", "diagnostics_channel", "trace_events", "test", "sqlite", "wasi", "sea", "sys":
		return "functions cannot do this: run it as an app of kind web or worker", true
	}
	return "", false
}
