import { Hono } from 'hono';
import { cors } from 'hono/cors';
import { HTTPException } from 'hono/http-exception';
import { streamText } from 'hono/streaming';

type Bindings = { GREETING: string; KV: any };

const app = new Hono<{ Bindings: Bindings }>();

app.use('/api/*', cors());
app.use(async (c, next) => {
  await next();
  c.header('x-powered-by', 'hono');
});
app.get('/', (c) => c.text('hello'));
app.get('/greet/:name', (c) => c.text(`${c.env.GREETING} ${c.req.param('name')} ${c.req.query('q') ?? ''}`));
app.post('/api/echo', async (c) => c.json({ got: await c.req.json() }, 201));
app.get('/store/:key', async (c) => {
  await c.env.KV.put(c.req.param('key'), 'kept');
  return c.json(await c.env.KV.get(c.req.param('key')));
});
app.get('/stream', (c) => streamText(c, async (s) => {
  for (const part of ['a', 'b', 'c']) {
    await s.write(part);
    await s.sleep(1);
  }
}));
app.get('/forbidden', () => {
  throw new HTTPException(403, { message: 'no' });
});
app.get('/go', (c) => c.redirect('/greet/you'));
app.post('/form', async (c) => c.text(String((await c.req.parseBody())['a'])));
app.notFound((c) => c.text('nothing here', 404));

export default app;
