// The program around a test file: it finds the script in the store, runs it as a script does, and leaves the result.
export async function scheduled(event, env) {
  const script = await env.KV.get('script');
  const search = await env.KV.get('search');
  globalThis.location = {
    search: search === '' ? '' : `?${search}`,
    href: 'https://web-platform.test/test.any.html',
    origin: 'https://web-platform.test',
    protocol: 'https:',
    host: 'web-platform.test',
    toString() {
      return this.href;
    },
  };
  globalThis.GLOBAL = { isWindow: () => false, isWorker: () => false, isShadowRealm: () => false };
  globalThis.fetch = async (name, init) => {
    if (init?.body !== undefined) return new Response(await new Request('https://web-platform.test/', init).arrayBuffer());
    const text = await env.KV.get(`file:${name}`);
    return new Response(text, { headers: { 'content-type': 'application/json' } });
  };
  const result = await new Promise((resolve) => {
    globalThis.finished = resolve;
    try {
      (0, eval)(script);
    } catch (e) {
      resolve({ Status: -1, Message: `${e}\n${e.stack}`, Tests: [] });
    }
  });
  await env.KV.put('result', JSON.stringify(result).replace(/[\ud800-\udfff]/g, '?'));
}
