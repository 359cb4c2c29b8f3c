// What a function may call: the http-wasm handler ABI, and pandabox's store and jobs.

// @ts-ignore: decorator
@external("http_handler", "log")
declare function abiLog(level: i32, text: usize, len: u32): void;
// @ts-ignore: decorator
@external("http_handler", "get_uri")
declare function abiURI(buf: usize, limit: u32): u32;
// @ts-ignore: decorator
@external("http_handler", "get_method")
declare function abiMethod(buf: usize, limit: u32): u32;
// @ts-ignore: decorator
@external("http_handler", "set_header_value")
declare function abiSetHeader(kind: u32, name: usize, nameLen: u32, value: usize, valueLen: u32): void;
// @ts-ignore: decorator
@external("http_handler", "write_body")
declare function abiWrite(kind: u32, body: usize, len: u32): void;
// @ts-ignore: decorator
@external("http_handler", "set_status_code")
export declare function setStatus(status: u32): void;
// @ts-ignore: decorator
@external("pandabox_kv", "get")
declare function abiKVGet(key: usize, keyLen: u32, buf: usize, limit: u32): i64;
// @ts-ignore: decorator
@external("pandabox_kv", "put")
declare function abiKVPut(key: usize, keyLen: u32, value: usize, valueLen: u32, ttl: i64): i32;
// @ts-ignore: decorator
@external("pandabox_job", "get_event")
declare function abiJobEvent(buf: usize, limit: u32): u32;

const RESPONSE: u32 = 1;

// Larger texts are cut: 64 KiB is more than a URI or an event has.
const buffer = new Uint8Array(65536);

function taken(n: u32): string {
  return String.UTF8.decodeUnsafe(buffer.dataStart, min<u32>(n, buffer.length));
}

/** The path with its query. */
export function uri(): string {
  return taken(abiURI(buffer.dataStart, buffer.length));
}

export function method(): string {
  return taken(abiMethod(buffer.dataStart, buffer.length));
}

export function setHeader(name: string, value: string): void {
  const n = String.UTF8.encode(name), v = String.UTF8.encode(value);
  abiSetHeader(RESPONSE, changetype<usize>(n), n.byteLength, changetype<usize>(v), v.byteLength);
}

/** Writes a piece of the answer. */
export function write(text: string): void {
  const b = String.UTF8.encode(text);
  abiWrite(RESPONSE, changetype<usize>(b), b.byteLength);
}

export function log(text: string, level: i32 = 0): void {
  const b = String.UTF8.encode(text);
  abiLog(level, changetype<usize>(b), b.byteLength);
}

/** A value of the environment's key-value store; null where there is no such key. */
export function kvGet(key: string): string | null {
  const k = String.UTF8.encode(key);
  const n = abiKVGet(changetype<usize>(k), k.byteLength, buffer.dataStart, buffer.length);
  return n < 0 ? null : taken(<u32>n);
}

/** Writes a value, to be forgotten after ttl seconds where that is not 0. */
export function kvPut(key: string, value: string, ttl: i64 = 0): bool {
  const k = String.UTF8.encode(key), v = String.UTF8.encode(value);
  return abiKVPut(changetype<usize>(k), k.byteLength, changetype<usize>(v), v.byteLength, ttl) == 0;
}

/** The job that is due: {"cron","job","scheduledTime"}. */
export function jobEvent(): string {
  return taken(abiJobEvent(buffer.dataStart, buffer.length));
}

/** Where failed assertions go. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const what = message === null ? "aborted" : message;
  const where = file === null ? "?" : file;
  log(where + ":" + line.toString() + ":" + column.toString() + ": " + what, 2);
  unreachable();
}
