// An http-wasm guest that never answers: a loop, and calls within it.
#define EXPORT(name) __attribute__((export_name(name)))

volatile unsigned count;

__attribute__((noinline)) static void step(unsigned by) {
	count += by;
}

EXPORT("handle_request") unsigned long long handle_request(void) {
	for (unsigned i = 0;; i++) {
		step(i);
	}
}

EXPORT("handle_response") void handle_response(unsigned ctx, unsigned is_error) {
	(void)ctx;
	(void)is_error;
}
