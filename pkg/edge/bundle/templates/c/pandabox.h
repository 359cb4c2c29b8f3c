// What a function may call: the http-wasm handler ABI, and pandabox's store, outbound requests and jobs.
// A buffer is a pointer and a limit; the length that is needed is returned, and nothing is written where the limit is less.
#pragma once
#include <stddef.h>
#include <stdint.h>

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))

enum { REQUEST = 0, RESPONSE = 1, REQUEST_TRAILERS = 2, RESPONSE_TRAILERS = 3 };
enum { BUFFER_REQUEST = 1, BUFFER_RESPONSE = 2, TRAILERS = 4 };
enum { NOT_FOUND = -1, INVALID = -2, REFUSED = -3, FAILED = -4 };

IMPORT("http_handler", "enable_features") uint32_t enable_features(uint32_t features);
IMPORT("http_handler", "get_config") uint32_t get_config(char *buf, uint32_t limit);
IMPORT("http_handler", "log") void log_line(int32_t level, const char *text, uint32_t len);
IMPORT("http_handler", "get_method") uint32_t get_method(char *buf, uint32_t limit);
IMPORT("http_handler", "get_uri") uint32_t get_uri(char *buf, uint32_t limit);
IMPORT("http_handler", "set_uri") void set_uri(const char *uri, uint32_t len);
IMPORT("http_handler", "get_source_addr") uint32_t get_source_addr(char *buf, uint32_t limit);
IMPORT("http_handler", "get_header_names") uint64_t get_header_names(uint32_t kind, char *buf, uint32_t limit);
IMPORT("http_handler", "get_header_values")
uint64_t get_header_values(uint32_t kind, const char *name, uint32_t name_len, char *buf, uint32_t limit);
IMPORT("http_handler", "set_header_value")
void set_header(uint32_t kind, const char *name, uint32_t name_len, const char *value, uint32_t value_len);
IMPORT("http_handler", "add_header_value")
void add_header(uint32_t kind, const char *name, uint32_t name_len, const char *value, uint32_t value_len);
IMPORT("http_handler", "remove_header") void remove_header(uint32_t kind, const char *name, uint32_t name_len);
IMPORT("http_handler", "read_body") uint64_t read_body(uint32_t kind, char *buf, uint32_t limit);
IMPORT("http_handler", "write_body") void write_body(uint32_t kind, const char *body, uint32_t len);
IMPORT("http_handler", "get_status_code") uint32_t get_status(void);
IMPORT("http_handler", "set_status_code") void set_status(uint32_t status);

IMPORT("pandabox_kv", "get") int64_t kv_get(const char *key, uint32_t key_len, char *buf, uint32_t limit);
IMPORT("pandabox_kv", "put")
int32_t kv_put(const char *key, uint32_t key_len, const char *value, uint32_t value_len, int64_t ttl_seconds);
IMPORT("pandabox_kv", "delete") int32_t kv_delete(const char *key, uint32_t key_len);

IMPORT("pandabox_http", "fetch")
int32_t http_fetch(const char *method, uint32_t method_len, const char *url, uint32_t url_len, const char *headers,
                   uint32_t headers_len, const char *body, uint32_t body_len);
IMPORT("pandabox_http", "status") int32_t http_status(int32_t answer);
IMPORT("pandabox_http", "read") int64_t http_read(int32_t answer, char *buf, uint32_t limit);
IMPORT("pandabox_http", "close") int32_t http_close(int32_t answer);

IMPORT("pandabox_job", "get_event") uint32_t job_event(char *buf, uint32_t limit);

#define STR(s) (s), sizeof(s) - 1
