#include "pandabox.h"

static int same(const char *a, uint32_t n, const char *b, uint32_t m) {
  if (n != m) return 0;
  while (n--)
    if (a[n] != b[n]) return 0;
  return 1;
}

static void say(const char *text, uint32_t len) { write_body(RESPONSE, text, len); }

// A count that lives in the environment's key-value store.
static void count(void) {
  char text[20];
  int64_t len = kv_get(STR("count"), text, sizeof text);
  uint64_t n = 0;
  for (int64_t i = 0; i < len && len <= (int64_t)sizeof text; i++) n = n * 10 + (text[i] - '0');
  n++;
  char *at = text + sizeof text;
  do *--at = '0' + n % 10;
  while (n /= 10);
  kv_put(STR("count"), at, text + sizeof text - at, 0);
  say(at, text + sizeof text - at);
  say(STR("\n"));
}

// Every request to the function comes here. 0: it has been answered; 1: it is passed on (middleware).
EXPORT("handle_request") uint64_t handle_request(void) {
  char uri[1024];
  uint32_t len = get_uri(uri, sizeof uri);
  set_header(RESPONSE, STR("content-type"), STR("text/plain; charset=utf-8"));
  if (same(uri, len, STR("/"))) {
    say(STR("Hello from {{name}}\n"));
  } else if (same(uri, len, STR("/count"))) {
    count();
  } else {
    set_status(404);
    say(STR("not found\n"));
  }
  return 0;
}

// Called after the next handler where handle_request passed the request on.
EXPORT("handle_response") void handle_response(uint32_t context, uint32_t is_error) {}

// Jobs come here. 0: done.
EXPORT("handle_scheduled") int32_t handle_scheduled(void) {
  char event[1024];
  uint32_t len = job_event(event, sizeof event);
  if (len <= sizeof event) log_line(0, event, len);
  return 0;
}
