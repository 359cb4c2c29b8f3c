;; Imports a function that the ABI does not have.
(module
  (import "http_handler" "get_weather" (func $get_weather (result i32)))
  (memory (export "memory") 1)
  (func (export "handle_request") (result i64) (i64.extend_i32_u (call $get_weather)))
  (func (export "handle_response") (param i32 i32)))
