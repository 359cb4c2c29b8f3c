// Between the harness and the tests.
add_completion_callback((tests, status) => {
  finished({ Status: status.status, Message: `${status.message}`, Tests: tests.map((t) => [t.name, t.status, `${t.message}`]) });
});
setTimeout(() => timeout(), 15000);
