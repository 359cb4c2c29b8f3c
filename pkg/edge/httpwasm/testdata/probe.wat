;; Does what the second byte of the path says. It counts its requests, to show what state lives on.
(module
  (import "http_handler" "enable_features" (func $enable_features (param i32) (result i32)))
  (import "http_handler" "get_config" (func $get_config (param i32 i32) (result i32)))
  (import "http_handler" "log" (func $log (param i32 i32 i32)))
  (import "http_handler" "log_enabled" (func $log_enabled (param i32) (result i32)))
  (import "http_handler" "get_uri" (func $get_uri (param i32 i32) (result i32)))
  (import "http_handler" "set_uri" (func $set_uri (param i32 i32)))
  (import "http_handler" "get_source_addr" (func $get_source_addr (param i32 i32) (result i32)))
  (import "http_handler" "get_header_names" (func $get_header_names (param i32 i32 i32) (result i64)))
  (import "http_handler" "get_header_values" (func $get_header_values (param i32 i32 i32 i32 i32) (result i64)))
  (import "http_handler" "set_header_value" (func $set_header_value (param i32 i32 i32 i32 i32)))
  (import "http_handler" "add_header_value" (func $add_header_value (param i32 i32 i32 i32 i32)))
  (import "http_handler" "read_body" (func $read_body (param i32 i32 i32) (result i64)))
  (import "http_handler" "write_body" (func $write_body (param i32 i32 i32)))
  (import "http_handler" "get_status_code" (func $get_status_code (result i32)))
  (import "http_handler" "set_status_code" (func $set_status_code (param i32)))
  (import "pandabox_kv" "get" (func $kv_get (param i32 i32 i32 i32) (result i64)))
  (import "pandabox_kv" "put" (func $kv_put (param i32 i32 i32 i32 i64) (result i32)))
  (import "pandabox_kv" "delete" (func $kv_delete (param i32 i32) (result i32)))
  (import "pandabox_kv" "list" (func $kv_list (param i32 i32 i32 i32 i32 i32 i32) (result i64)))
  (import "pandabox_kv" "last_error" (func $kv_error (param i32 i32) (result i32)))
  (import "pandabox_http" "fetch" (func $fetch (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "pandabox_http" "status" (func $status (param i32) (result i32)))
  (import "pandabox_http" "header_values" (func $answer_values (param i32 i32 i32 i32 i32) (result i64)))
  (import "pandabox_http" "read" (func $read (param i32 i32 i32) (result i64)))
  (import "pandabox_http" "close" (func $close (param i32) (result i32)))
  (import "pandabox_http" "last_error" (func $http_error (param i32 i32) (result i32)))
  (import "pandabox_job" "get_event" (func $get_event (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $count (mut i32) (i32.const 48))
  (data (i32.const 0) "GETx-testvalueline\0abreak")
  (data (i32.const 64) "key")
  (data (i32.const 72) "a value")
  (data (i32.const 80) "X-Sent: yes\r\n")
  (data (i32.const 96) "trailer")
  (func $say (param $at i32) (param $n i32) (call $write_body (i32.const 1) (local.get $at) (local.get $n)))
  ;; The URI is at 1024.
  (func (export "handle_request") (result i64)
    (local $n i32) (local $what i32) (local $r i64)
    (local.set $n (call $get_uri (i32.const 1024) (i32.const 512)))
    (local.set $what (i32.load8_u (i32.const 1025)))
    ;; c: the count of requests
    (if (i32.eq (local.get $what) (i32.const 99)) (then
      (global.set $count (i32.add (global.get $count) (i32.const 1)))
      (i32.store8 (i32.const 200) (global.get $count))
      (call $say (i32.const 200) (i32.const 1))))
    ;; e: the configuration
    (if (i32.eq (local.get $what) (i32.const 101)) (then
      (call $say (i32.const 4096) (call $get_config (i32.const 4096) (i32.const 1024)))))
    ;; l: a line of log
    (if (i32.eq (local.get $what) (i32.const 108)) (then
      (call $log (i32.const 0) (i32.const 72) (i32.const 7))
      (call $log (i32.const 2) (i32.const 64) (i32.const 3))))
    ;; h: headers, named and read
    (if (i32.eq (local.get $what) (i32.const 104)) (then
      (local.set $r (call $get_header_names (i32.const 0) (i32.const 4096) (i32.const 4096)))
      (call $say (i32.const 4096) (i32.wrap_i64 (local.get $r)))
      (local.set $r (call $get_header_values (i32.const 0) (i32.const 3) (i32.const 6) (i32.const 4096) (i32.const 4096)))
      (call $say (i32.const 4096) (i32.wrap_i64 (local.get $r)))))
    ;; b: a header with a line break
    (if (i32.eq (local.get $what) (i32.const 98)) (then
      (call $set_header_value (i32.const 1) (i32.const 3) (i32.const 6) (i32.const 14) (i32.const 10))))
    ;; o: the request's body, sent back
    (if (i32.eq (local.get $what) (i32.const 111)) (then
      (loop $more
        (local.set $r (call $read_body (i32.const 0) (i32.const 8192) (i32.const 1000)))
        (call $say (i32.const 8192) (i32.wrap_i64 (local.get $r)))
        (br_if $more (i64.eqz (i64.shr_u (local.get $r) (i64.const 32)))))))
    ;; x: outside of its memory; y: so with a length that wraps around
    (if (i32.eq (local.get $what) (i32.const 120)) (then (call $say (i32.const 65530) (i32.const 100))))
    (if (i32.eq (local.get $what) (i32.const 121)) (then (call $say (i32.const 100) (i32.const -1))))
    ;; d: headers without end
    (if (i32.eq (local.get $what) (i32.const 100)) (then
      (loop $flood
        (call $add_header_value (i32.const 1) (i32.const 3) (i32.const 6) (i32.const 9) (i32.const 5))
        (br $flood))))
    ;; u: unreachable; s: spins
    (if (i32.eq (local.get $what) (i32.const 117)) (then (unreachable)))
    (if (i32.eq (local.get $what) (i32.const 115)) (then (loop $spin (br $spin))))
    ;; k: puts, gets, lists and deletes a key
    (if (i32.eq (local.get $what) (i32.const 107)) (then
      (drop (call $kv_put (i32.const 64) (i32.const 3) (i32.const 72) (i32.const 7) (i64.const 60)))
      (local.set $r (call $kv_get (i32.const 64) (i32.const 3) (i32.const 4096) (i32.const 100)))
      (call $say (i32.const 4096) (i32.wrap_i64 (local.get $r)))
      (local.set $r (call $kv_list (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 10) (i32.const 4096) (i32.const 100)))
      (call $say (i32.const 4104) (i32.load (i32.const 4096)))
      (drop (call $kv_delete (i32.const 64) (i32.const 3)))
      (if (i64.eq (call $kv_get (i32.const 64) (i32.const 3) (i32.const 4096) (i32.const 100)) (i64.const -1))
        (then (call $say (i32.const 4096) (call $kv_error (i32.const 4096) (i32.const 100)))))))
    ;; f: fetches the URL in the query, from the fourth byte on: /f?http://…
    (if (i32.eq (local.get $what) (i32.const 102)) (then
      (local.set $what (call $fetch (i32.const 0) (i32.const 3) (i32.const 1027) (i32.sub (local.get $n) (i32.const 3))
        (i32.const 80) (i32.const 13) (i32.const 0) (i32.const 0)))
      (if (i32.lt_s (local.get $what) (i32.const 0))
        (then
          (call $set_status_code (i32.const 502))
          (call $say (i32.const 4096) (call $http_error (i32.const 4096) (i32.const 1000))))
        (else
          (call $set_status_code (call $status (local.get $what)))
          (loop $next
            (local.set $r (call $read (local.get $what) (i32.const 4096) (i32.const 10)))
            (call $say (i32.const 4096) (i32.wrap_i64 (local.get $r)))
            (br_if $next (i64.eqz (i64.shr_u (local.get $r) (i64.const 32)))))
          (drop (call $close (local.get $what)))))
      (return (i64.const 0))))
    ;; n: the next handler, with a context of 7; r: so, its answer held back; a: so, and changes it without the feature
    (if (i32.eq (local.get $what) (i32.const 110)) (then (return (i64.const 0x700000001))))
    (if (i32.eq (local.get $what) (i32.const 97)) (then (return (i64.const 0x900000001))))
    (if (i32.eq (local.get $what) (i32.const 114)) (then
      (drop (call $enable_features (i32.const 3)))
      (local.set $r (call $read_body (i32.const 0) (i32.const 8192) (i32.const 1000)))
      (call $set_uri (i32.const 1024) (local.get $n))
      (return (i64.const 0x800000001))))
    ;; t: a trailer
    (if (i32.eq (local.get $what) (i32.const 116)) (then
      (drop (call $enable_features (i32.const 4)))
      (call $say (i32.const 64) (i32.const 3))
      (call $set_header_value (i32.const 3) (i32.const 3) (i32.const 6) (i32.const 96) (i32.const 7))))
    ;; v: a status after the answer has begun
    (if (i32.eq (local.get $what) (i32.const 118)) (then
      (call $say (i32.const 64) (i32.const 3))
      (call $set_status_code (i32.const 404))))
    (i64.const 0))
  (func (export "handle_response") (param $ctx i32) (param $err i32)
    (local $r i64)
    ;; n: writes down that it was called with its context
    (if (i32.eq (local.get $ctx) (i32.const 7)) (then (call $log (i32.const 0) (i32.const 64) (i32.const 3))))
    (if (i32.eq (local.get $ctx) (i32.const 9)) (then (call $set_status_code (i32.const 404))))
    ;; r: the status becomes 201, the body is said twice
    (if (i32.eq (local.get $ctx) (i32.const 8)) (then
      (local.set $r (call $read_body (i32.const 1) (i32.const 8192) (i32.const 1000)))
      (if (i32.eq (call $get_status_code) (i32.const 200)) (then (call $set_status_code (i32.const 201))))
      (call $say (i32.const 8192) (i32.wrap_i64 (local.get $r)))
      (call $say (i32.const 8192) (i32.wrap_i64 (local.get $r))))))
  (func (export "handle_scheduled") (result i32)
    (call $log (i32.const 0) (i32.const 4096) (call $get_event (i32.const 4096) (i32.const 1000)))
    (i32.const 0)))
