// The http-wasm guest of wasm-hello: it answers hello world.
#define IMPORT(name) __attribute__((import_module("http_handler"), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))

IMPORT("write_body") void write_body(unsigned kind, const char *body, unsigned length);

enum { BODY_RESPONSE = 1 };

EXPORT("handle_request") unsigned long long handle_request(void) {
	write_body(BODY_RESPONSE, "hello world", 11);
	return 0; // answered: nothing comes next
}

EXPORT("handle_response") void handle_response(unsigned ctx, unsigned is_error) {
	(void)ctx;
	(void)is_error;
}
