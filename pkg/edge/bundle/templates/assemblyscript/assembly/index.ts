import { jobEvent, kvGet, kvPut, log, setHeader, setStatus, uri, write } from "./pandabox";

// Every request to the function comes here. 0: it has been answered; 1: it is passed on (middleware).
export function handle_request(): u64 {
  const path = uri();
  setHeader("content-type", "text/plain; charset=utf-8");
  if (path == "/") {
    write("Hello from {{name}}\n");
  } else if (path == "/count") {
    const old = kvGet("count");
    const count = (old === null ? 0 : I32.parseInt(old)) + 1;
    kvPut("count", count.toString());
    write(count.toString() + "\n");
  } else {
    setStatus(404);
    write("not found\n");
  }
  return 0;
}

// Called after the next handler where handle_request passed the request on.
export function handle_response(context: u32, isError: u32): void {}

// Jobs come here. 0: done.
export function handle_scheduled(): i32 {
  log(jobEvent());
  return 0;
}
