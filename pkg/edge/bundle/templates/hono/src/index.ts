import { Hono } from "hono";

type Bindings = {
  KV: {
    get(key: string): Promise<string | null>;
    put(key: string, value: string): Promise<void>;
  };
};

const app = new Hono<{ Bindings: Bindings }>();

app.get("/", (c) => c.text("Hello from {{name}}\n"));

app.get("/greet/:name", (c) => c.json({ hello: c.req.param("name") }));

app.get("/count", async (c) => {
  const count = Number((await c.env.KV.get("count")) ?? 0) + 1;
  await c.env.KV.put("count", String(count));
  return c.json({ count });
});

export default app;
