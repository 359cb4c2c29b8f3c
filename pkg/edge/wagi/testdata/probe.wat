;; A command that does what the second byte of its first argument says, which is the path.
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "pandabox_kv" "put" (func $kv_put (param i32 i32 i32 i32 i64) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "Content-Type: text/plain\n\n")
  (data (i32.const 32) "Status: 404 Not Found\r\nX-A: b\r\n\r\nnone")
  (data (i32.const 80) "Location: /there\n")
  (data (i32.const 112) "no header\n")
  (data (i32.const 128) "a line of log\n")
  (data (i32.const 144) "kept")
  (func $print (param $fd i32) (param $at i32) (param $n i32)
    (i32.store (i32.const 256) (local.get $at))
    (i32.store (i32.const 260) (local.get $n))
    (drop (call $fd_write (local.get $fd) (i32.const 256) (i32.const 1) (i32.const 264))))
  (func (export "_start")
    (local $what i32)
    (drop (call $args_get (i32.const 300) (i32.const 320)))
    (local.set $what (i32.load8_u (i32.const 321)))
    ;; e: its environment. s(cheduled), which is no path, too, as log
    (if (i32.or (i32.eq (local.get $what) (i32.const 101)) (i32.eq (local.get $what) (i32.const 99))) (then
      (call $print (i32.const 1) (i32.const 0) (i32.const 26))
      (drop (call $environ_sizes_get (i32.const 280) (i32.const 284)))
      (drop (call $environ_get (i32.const 1024) (i32.const 8192)))
      (call $print (i32.const 1) (i32.const 8192) (i32.load (i32.const 284)))))
    ;; o: its standard input
    (if (i32.eq (local.get $what) (i32.const 111)) (then
      (call $print (i32.const 1) (i32.const 0) (i32.const 26))
      (block $done (loop $more
        (i32.store (i32.const 256) (i32.const 8192))
        (i32.store (i32.const 260) (i32.const 1000))
        (drop (call $fd_read (i32.const 0) (i32.const 256) (i32.const 1) (i32.const 264)))
        (br_if $done (i32.eqz (i32.load (i32.const 264))))
        (call $print (i32.const 1) (i32.const 8192) (i32.load (i32.const 264)))
        (br $more)))))
    ;; n: not found; r: a redirect; b: no CGI; l: log and no answer
    (if (i32.eq (local.get $what) (i32.const 110)) (then (call $print (i32.const 1) (i32.const 32) (i32.const 37))))
    (if (i32.eq (local.get $what) (i32.const 114)) (then (call $print (i32.const 1) (i32.const 80) (i32.const 17))))
    (if (i32.eq (local.get $what) (i32.const 98)) (then (call $print (i32.const 1) (i32.const 112) (i32.const 10))))
    (if (i32.eq (local.get $what) (i32.const 108)) (then (call $print (i32.const 2) (i32.const 128) (i32.const 14))))
    ;; x: exits with code 3; u: traps; s: spins
    (if (i32.eq (local.get $what) (i32.const 120)) (then (call $proc_exit (i32.const 3))))
    (if (i32.eq (local.get $what) (i32.const 117)) (then (unreachable)))
    (if (i32.eq (local.get $what) (i32.const 115)) (then (loop $spin (br $spin))))
    ;; k: keeps a value; z: leaves in order with code 0
    (if (i32.eq (local.get $what) (i32.const 107)) (then
      (drop (call $kv_put (i32.const 144) (i32.const 4) (i32.const 144) (i32.const 4) (i64.const 0)))
      (call $print (i32.const 1) (i32.const 32) (i32.const 37))
      (call $proc_exit (i32.const 0))))
    ;; p: opens a file; says so where that works
    (if (i32.eq (local.get $what) (i32.const 112)) (then
      (if (i32.eqz (call $path_open (i32.const 3) (i32.const 0) (i32.const 144) (i32.const 4) (i32.const 1) (i64.const -1) (i64.const -1)
          (i32.const 0) (i32.const 280)))
        (then (call $print (i32.const 1) (i32.const 32) (i32.const 37)))
        (else (call $print (i32.const 1) (i32.const 0) (i32.const 26))))))))
