export default {
  // Every request to the function comes here.
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    if (url.pathname === "/") {
      return new Response("Hello from {{name}}\n");
    }
    if (url.pathname === "/count") {
      // env.KV is the environment's key-value store; variables and secrets are in env too.
      const count = Number((await env.KV.get("count")) ?? 0) + 1;
      await env.KV.put("count", String(count));
      return Response.json({ count });
    }
    return new Response("not found\n", { status: 404 });
  },

  // Jobs come here: pandabox job add nightly "0 3 * * *" --scheduled
  async scheduled(event, env, ctx) {
    console.log("job", event.job, "due", new Date(event.scheduledTime).toISOString());
  },
};
