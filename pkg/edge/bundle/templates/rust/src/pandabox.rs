//! What a function may call: the http-wasm handler ABI, and pandabox's store and jobs.
#![allow(dead_code)]

mod http_handler {
    #[link(wasm_import_module = "http_handler")]
    extern "C" {
        pub fn get_config(buf: *mut u8, limit: u32) -> u32;
        pub fn log(level: i32, text: *const u8, len: u32);
        pub fn get_method(buf: *mut u8, limit: u32) -> u32;
        pub fn get_uri(buf: *mut u8, limit: u32) -> u32;
        pub fn get_header_values(kind: u32, name: *const u8, name_len: u32, buf: *mut u8, limit: u32) -> u64;
        pub fn set_header_value(kind: u32, name: *const u8, name_len: u32, value: *const u8, value_len: u32);
        pub fn read_body(kind: u32, buf: *mut u8, limit: u32) -> u64;
        pub fn write_body(kind: u32, body: *const u8, len: u32);
        pub fn set_status_code(status: u32);
    }
}

mod pandabox_kv {
    #[link(wasm_import_module = "pandabox_kv")]
    extern "C" {
        pub fn get(key: *const u8, key_len: u32, buf: *mut u8, limit: u32) -> i64;
        pub fn put(key: *const u8, key_len: u32, value: *const u8, value_len: u32, ttl_seconds: i64) -> i32;
        pub fn last_error(buf: *mut u8, limit: u32) -> u32;
    }
}

mod pandabox_job {
    #[link(wasm_import_module = "pandabox_job")]
    extern "C" {
        pub fn get_event(buf: *mut u8, limit: u32) -> u32;
    }
}

const REQUEST: u32 = 0;
const RESPONSE: u32 = 1;

/// Calls f with a buffer, and again with a larger one where that was too small.
fn filled(f: impl Fn(*mut u8, u32) -> u32) -> Vec<u8> {
    let mut buf = vec![0; 256];
    loop {
        let n = f(buf.as_mut_ptr(), buf.len() as u32) as usize;
        if n <= buf.len() {
            buf.truncate(n);
            return buf;
        }
        buf.resize(n, 0);
    }
}

fn text(f: impl Fn(*mut u8, u32) -> u32) -> String {
    String::from_utf8_lossy(&filled(f)).into_owned()
}

/// The function's variables and secrets, as JSON.
pub fn config() -> String {
    text(|b, n| unsafe { http_handler::get_config(b, n) })
}

pub fn method() -> String {
    text(|b, n| unsafe { http_handler::get_method(b, n) })
}

/// The path with its query.
pub fn uri() -> String {
    text(|b, n| unsafe { http_handler::get_uri(b, n) })
}

/// The first value of a header of the request.
pub fn header(name: &str) -> Option<String> {
    let all = filled(|b, n| unsafe {
        http_handler::get_header_values(REQUEST, name.as_ptr(), name.len() as u32, b, n) as u32
    });
    let end = all.iter().position(|c| *c == 0)?;
    Some(String::from_utf8_lossy(&all[..end]).into_owned())
}

/// The request's body, all of it.
pub fn body() -> Vec<u8> {
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let result = unsafe { http_handler::read_body(REQUEST, piece.as_mut_ptr(), piece.len() as u32) };
        all.extend_from_slice(&piece[..result as u32 as usize]);
        if result >> 32 != 0 {
            return all;
        }
    }
}

pub fn set_status(status: u32) {
    unsafe { http_handler::set_status_code(status) }
}

pub fn set_header(name: &str, value: &str) {
    unsafe {
        http_handler::set_header_value(RESPONSE, name.as_ptr(), name.len() as u32, value.as_ptr(), value.len() as u32)
    }
}

/// Writes a piece of the answer.
pub fn write(piece: &[u8]) {
    unsafe { http_handler::write_body(RESPONSE, piece.as_ptr(), piece.len() as u32) }
}

pub fn log(line: &str) {
    unsafe { http_handler::log(0, line.as_ptr(), line.len() as u32) }
}

/// A value of the environment's key-value store; None where there is no such key.
pub fn kv_get(key: &str) -> Result<Option<Vec<u8>>, String> {
    let mut buf = vec![0; 256];
    loop {
        let n = unsafe { pandabox_kv::get(key.as_ptr(), key.len() as u32, buf.as_mut_ptr(), buf.len() as u32) };
        match n {
            -1 => return Ok(None),
            n if n < 0 => return Err(kv_error()),
            n if n as usize <= buf.len() => {
                buf.truncate(n as usize);
                return Ok(Some(buf));
            }
            n => buf.resize(n as usize, 0),
        }
    }
}

/// Writes a value, to be forgotten after ttl seconds where that is not 0.
pub fn kv_put(key: &str, value: &[u8], ttl: i64) -> Result<(), String> {
    match unsafe { pandabox_kv::put(key.as_ptr(), key.len() as u32, value.as_ptr(), value.len() as u32, ttl) } {
        0 => Ok(()),
        _ => Err(kv_error()),
    }
}

fn kv_error() -> String {
    text(|b, n| unsafe { pandabox_kv::last_error(b, n) })
}

/// The job that is due: {"cron","job","scheduledTime"}.
pub fn job_event() -> String {
    text(|b, n| unsafe { pandabox_job::get_event(b, n) })
}
