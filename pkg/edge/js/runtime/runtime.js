// The runtime: what stands between Go and a program's handlers. It is evaluated after the prelude (see package bridge),
// once, into the snapshot that every isolate begins with. User code shares this realm: nothing below reads a global or a
// prototype's method later than now, except the classes' own methods, whose tampering hurts only who did it.
(host => {
  'use strict';
  const { Promise, Map, Uint8Array, ArrayBuffer, Error, TypeError, RangeError, SyntaxError, DOMException, Object, String, JSON, Request, Response, ReadableStream } = globalThis;
  const { apply } = Reflect;
  const { then: promiseThen } = Promise.prototype;
  const { join: arrayJoin, slice: arraySlice } = Array.prototype;
  const { get: mapGet, set: mapSet, delete: mapDelete, clear: mapClear } = Map.prototype;
  const split = String.prototype.split;
  const isView = ArrayBuffer.isView;
  const make = Object.create;
  const parse = JSON.parse, stringify = JSON.stringify;
  const resolve = Promise.resolve.bind(Promise);
  const then = (p, f, g) => apply(promiseThen, p, [f, g]);
  const nothing = () => {};
  const METHODS = ['', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'];
  const KINDS = { __proto__: null, Error, TypeError, RangeError, SyntaxError, EvalError, ReferenceError, URIError };

  // ── errors ──

  // failure makes what a host function throws.
  function failure(name, message) {
    const Kind = KINDS[name];
    if (Kind) return new Kind(message);
    return DOMException ? new DOMException(message, name) : new Error(name + ': ' + message);
  }

  // describe returns [what, stack] of anything that was thrown.
  function describe(e) {
    let what = 'an error that cannot be shown', stack = '';
    try {
      what = typeof e === 'object' && e !== null && ('message' in e || e instanceof Error)
        ? (e.name ?? 'Error') + (e.message ? ': ' + e.message : '')
        : host.inspect(e);
      if (typeof e === 'object' && e !== null && typeof e.stack === 'string') stack = e.stack;
      for (let c = e?.cause, n = 0; c && n < 4; c = c.cause, n++) {
        stack += '\nCaused by: ' + (c instanceof Error ? c.name + ': ' + c.message + '\n' + c.stack : host.inspect(c));
      }
    } catch {}
    return ['' + what, '' + stack];
  }

  const report = (how, e) => { const d = describe(e); host.report(how, d[0], d[1]); };

  // ── timers ──

  const timers = new Map();
  let nextTimer = 1;

  function timer(callback, delay, args, repeat) {
    if (typeof callback !== 'function') throw new TypeError('the first argument of a timer is a function');
    delay = +delay;
    const id = nextTimer++;
    host.timer(id, delay > 0 ? delay : 0, repeat);
    apply(mapSet, timers, [id, { callback, args, repeat }]);
    return id;
  }

  function clearTimer(id) {
    id = +id;
    if (apply(mapDelete, timers, [id])) host.clearTimer(id);
  }

  function fire(id) {
    const t = apply(mapGet, timers, [id]);
    if (!t) return;
    if (!t.repeat) apply(mapDelete, timers, [id]);
    try { apply(t.callback, undefined, t.args); } catch (e) { report('Uncaught ', e); }
  }

  const globals = {
    setTimeout(callback, delay, ...args) { return timer(callback, delay, args, false); },
    setInterval(callback, delay, ...args) { return timer(callback, delay, args, true); },
    clearTimeout(id) { clearTimer(id); },
    clearInterval(id) { clearTimer(id); },
    queueMicrotask(callback) {
      if (typeof callback !== 'function') throw new TypeError('queueMicrotask takes a function');
      then(resolve(), () => { try { callback(); } catch (e) { report('Uncaught ', e); } });
    },
    reportError(e) { report('Uncaught ', e); },
    fetch(input, init) {
      try {
        return exchange(host.fetch, new Request(input, init));
      } catch (e) {
        return new Promise((_, reject) => reject(e));
      }
    },
  };
  for (const name of Object.keys(globals)) {
    Object.defineProperty(globalThis, name, { value: globals[name], writable: true, configurable: true, enumerable: true });
  }
  Object.defineProperty(globalThis, 'self', { value: globalThis, writable: true, configurable: true, enumerable: true });

  // ── bodies ──

  // Source is a body that comes from Go. The prelude makes a stream of it when somebody asks for one.
  class Source {
    #id;
    #call = current;
    constructor(id) { this.#id = id; }
    #check() { if (this.#call !== current) throw new TypeError('the request that this body belongs to is over'); }
    pull() { this.#check(); return host.pull(this.#id); }
    all() { this.#check(); return host.readAll(this.#id); }
    cancel() { if (this.#call === current) host.cancel(this.#id); }
    // handle returns the number Go knows an untouched source by, -1 where body is something else.
    static handle(body) {
      if (typeof body !== 'object' || body === null || !(#id in body)) return -1;
      body.#check();
      return body.#id;
    }
  }

  // pump writes a stream to a sink of Go's, piece by piece: the next is read when the last was written.
  function pump(stream, sink) {
    const reader = stream.getReader();
    const fail = e => {
      report('The body of a stream failed: ', e);
      host.abort(sink);
      then(resolve(reader.cancel(e)), nothing, nothing);
    };
    const gone = () => { host.abort(sink); then(resolve(reader.cancel(new TypeError('nobody reads the body any more'))), nothing, nothing); };
    const step = () => then(reader.read(), r => {
      try {
        if (r.done) return host.end(sink);
        if (!isView(r.value) && !(r.value instanceof ArrayBuffer)) throw new TypeError('a body is made of Uint8Arrays, not of ' + typeof r.value);
        then(host.write(sink, r.value), step, gone);
      } catch (e) { fail(e); }
    }, fail);
    step();
  }

  function joined(pairs) {
    switch (pairs.length) {
      case 0: return '';
      case 2: return pairs[0] + '\n' + pairs[1];
      default: return apply(arrayJoin, pairs, ['\n']);
    }
  }

  // ── requests of others: fetch and next ──

  let nextExchange = 1;

  function exchange(send, request) {
    const id = nextExchange++, call = current;
    const r = host.readRequest(request);
    const signal = r.signal;
    if (signal && signal.aborted) throw signal.reason;
    let body = r.body, source = Source.handle(body), sink = 0;
    if (source >= 0) body = undefined;
    else if (typeof body === 'object' && body !== null && !isView(body) && !(body instanceof ArrayBuffer)) {
      sink = host.upload();
      pump(body, sink);
      body = undefined;
    }
    let answer = send(id, r.method, r.url, joined(r.headers), r.redirect ?? 'follow', source, sink, body);
    if (signal && signal.addEventListener) {
      const sent = answer;
      answer = new Promise((accept, reject) => {
        signal.addEventListener('abort', () => {
          reject(signal.reason);
          if (call === current) host.stop(id);
        });
        then(sent, accept, e => reject(signal.aborted ? signal.reason : e));
      });
    }
    return then(answer, a => {
      const [status, statusText, headers, body, url, redirected] = a;
      return host.newResponse(status, statusText, headers === '' ? [] : apply(split, headers, ['\n']), body >= 0 ? new Source(body) : null, url, redirected);
    });
  }

  // ── the key-value store ──

  const KV = {
    get(key, type) {
      if (typeof type === 'object' && type !== null) type = type.type;
      type = type === undefined ? 'text' : '' + type;
      if (type !== 'text' && type !== 'json' && type !== 'arrayBuffer' && type !== 'bytes') throw new TypeError(`KV.get: the type is "text", "json" or "arrayBuffer", not "${type}"`);
      return then(host.kvGet('' + key, type === 'text' || type === 'json'), v =>
        v === null ? null : type === 'json' ? parse(v) : type === 'arrayBuffer' ? v.buffer : v);
    },
    put(key, value, options) {
      const { expirationTtl = 0, expiration = 0 } = options ?? {};
      if (typeof value !== 'string' && !isView(value) && !(value instanceof ArrayBuffer)) {
        throw new TypeError('KV.put: a value is a string, an ArrayBuffer or a typed array; for objects: JSON.stringify(value)');
      }
      return host.kvPut('' + key, value, +expirationTtl, +expiration);
    },
    delete(key) { return host.kvDelete('' + key); },
    list(options) {
      const { prefix = '', limit = 1000, cursor = '' } = options ?? {};
      return then(host.kvList('' + prefix, '' + cursor, +limit), ([names, expiries, next]) => {
        const keys = [];
        for (let i = 0; i < names.length; i++) keys[i] = expiries[i] ? { name: names[i], expiration: expiries[i] } : { name: names[i] };
        return next === '' ? { keys, list_complete: true } : { keys, list_complete: false, cursor: next };
      });
    },
  };
  for (const name of Object.keys(KV)) {
    const f = KV[name];
    // What a promise-returning method throws is a rejection.
    KV[name] = { [name](...args) { try { return apply(f, KV, args); } catch (e) { return new Promise((_, reject) => reject(e)); } } }[name];
  }

  // ── calls ──

  let current = 0; // the number of the call
  let env;         // the same object in all calls of one isolate
  let handlers;    // {fetch, scheduled} of the program

  function environment() {
    const e = {}, vars = host.env();
    if (vars !== '') {
      const all = parse(vars);
      for (const k of Object.keys(all)) Object.defineProperty(e, k, { value: all[k], writable: true, enumerable: true, configurable: true });
    }
    e.KV = KV;
    return e;
  }

  // Context is the third argument of handlers. Its methods work detached: async fetch(request, env, { next }).
  class Context {
    #call = current;
    #request;
    constructor(request) { this.#request = request; }
    get waitUntil() {
      return promise => {
        if (this.#call !== current) throw new TypeError('waitUntil: the request is over');
        host.hold(1);
        then(resolve(promise), () => host.hold(-1), e => { report('Uncaught (in waitUntil) ', e); host.hold(-1); });
      };
    }
    get next() {
      return (input, init) => {
        try {
          if (this.#call !== current) throw new TypeError('next: the request is over');
          const r = input === undefined ? this.#request : input instanceof Request && init === undefined ? input : new Request(input, init);
          return exchange(host.next, r);
        } catch (e) {
          return new Promise((_, reject) => reject(e));
        }
      };
    }
    get passThroughOnException() { return nothing; }
  }

  function deliver(response) {
    try {
      if (typeof response !== 'object' || !(response instanceof Response)) {
        throw new TypeError('the handler returned ' + (response === undefined ? 'nothing' : host.inspect(response)) + ' and not a Response');
      }
      const r = host.readResponse(response);
      if (r.status === 0) throw new TypeError('the handler returned Response.error()');
      const body = r.body, headers = joined(r.headers);
      if (body === null || typeof body === 'string' || isView(body)) return host.respond(r.status, headers, body);
      const source = Source.handle(body);
      if (source >= 0) return host.relay(r.status, headers, source);
      host.start(r.status, headers);
      pump(body, 0);
    } catch (e) { fail(e); }
  }

  function fail(e) { const d = describe(e); host.fail(d[0], d[1]); }

  // settle calls done with what a handler returned or what its promise came to.
  function settle(result, done) {
    if (result instanceof Promise) then(result, done, fail);
    else if (result !== null && typeof result === 'object' && typeof result.then === 'function') then(resolve(result), done, fail);
    else done(result);
  }

  function begin() {
    current++;
    if (timers.size > 0) apply(mapClear, timers, []);
    env ??= environment();
  }

  function over() { throw new TypeError('the request is over'); }

  function lines(text) { return text === '' ? [] : apply(split, text, ['\n']); }

  function dispatch(method, hasBody) {
    begin();
    const call = current;
    const request = host.newRequest(METHODS[method] || host.method(), () => call === current ? host.url() : over(),
      () => call === current ? lines(host.headers()) : over(), hasBody ? new Source(0) : null, undefined);
    try {
      settle(handlers.fetch(request, env, new Context(request)), deliver);
    } catch (e) { fail(e); }
  }

  function scheduled(cron, job, time) {
    begin();
    try {
      settle(handlers.scheduled({ type: 'scheduled', cron, job, scheduledTime: time }, env, new Context(undefined)), () => host.finish());
    } catch (e) { fail(e); }
  }

  // adopt takes a program's module. It returns which handlers there are (1 fetch, 2 scheduled), or what is wrong.
  function adopt(module) {
    const found = make(null);
    const main = module.default;
    const isObject = (typeof main === 'object' && main !== null) || typeof main === 'function';
    if (isObject && typeof main.fetch === 'function') found.fetch = (r, e, c) => main.fetch(r, e, c);
    else if (typeof main === 'function') found.fetch = (r, e, c) => main(r, e, c);
    else if (typeof module.fetch === 'function') found.fetch = module.fetch;
    if (isObject && typeof main.scheduled === 'function') found.scheduled = (v, e, c) => main.scheduled(v, e, c);
    else if (typeof module.scheduled === 'function') found.scheduled = module.scheduled;
    handlers = found;
    return (found.fetch ? 1 : 0) | (found.scheduled ? 2 : 0);
  }

  host.expose({ failure, describe, fire, dispatch, scheduled, adopt });
})(host);
