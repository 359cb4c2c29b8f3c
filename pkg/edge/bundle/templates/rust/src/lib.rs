mod pandabox;

/// Every request to the function comes here. 0: it has been answered; 1: it is passed on (middleware).
#[no_mangle]
pub extern "C" fn handle_request() -> u64 {
    pandabox::set_header("content-type", "text/plain; charset=utf-8");
    match pandabox::uri().as_str() {
        "/" => pandabox::write(b"Hello from {{name}}\n"),
        "/count" => match count() {
            Ok(n) => pandabox::write(format!("{}\n", n).as_bytes()),
            Err(why) => {
                pandabox::set_status(500);
                pandabox::log(&why);
            }
        },
        _ => {
            pandabox::set_status(404);
            pandabox::write(b"not found\n");
        }
    }
    0
}

/// A count that lives in the environment's key-value store.
fn count() -> Result<u64, String> {
    let old = pandabox::kv_get("count")?.unwrap_or_default();
    let n = String::from_utf8_lossy(&old).parse().unwrap_or(0) + 1;
    pandabox::kv_put("count", n.to_string().as_bytes(), 0)?;
    Ok(n)
}

/// Called after the next handler where handle_request passed the request on.
#[no_mangle]
pub extern "C" fn handle_response(_context: u32, _is_error: u32) {}

/// Jobs come here. 0: done.
#[no_mangle]
pub extern "C" fn handle_scheduled() -> i32 {
    pandabox::log(&pandabox::job_event());
    0
}
