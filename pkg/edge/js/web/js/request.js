// Requests. https://fetch.spec.whatwg.org/#request-class

let requestState; // the state of a Request, undefined for anything else
let newRequest;

const noOptions = freeze({ __proto__: null });

class Request {
  #s;
  constructor(input, init = undefined) {
    if (input === SECRET) {
      this.#s = init;
      return;
    }
    const from = requestState(input);
    const o = init === undefined || init === null ? noOptions : dictionary(init, 'The options of a Request');
    const s = (this.#s = new RequestState());
    if (from !== undefined) {
      s.url = requestURL(from);
      s.method = from.method;
      s.redirect = from.redirect;
      s.cache = from.cache;
      s.credentials = from.credentials;
      s.mode = from.mode === 'navigate' ? 'cors' : from.mode;
      s.referrer = from.referrer;
      s.referrerPolicy = from.referrerPolicy;
      s.integrity = from.integrity;
      s.keepalive = from.keepalive;
    } else {
      const text = usv(input);
      const r = parseRecord(text);
      if (r === null) throw invalidURL(text);
      if (r.password > r.protocol + 2) throw new TypeErr(`A URL with a user name or password cannot be requested: ${text}`);
      s.url = r.href;
      s.mode = 'cors';
    }
    if (o !== noOptions) requestOptions(s, o);
    let { body } = o;
    if (body === undefined) body = null;
    const { signal } = o;
    if (signal !== undefined && signal !== null) {
      if (!isSignal(signal)) throw new TypeErr('The option signal is not an AbortSignal');
      s.follow = signal;
    } else if (signal === undefined && from !== undefined) s.follow = signalOf(from);
    const { headers } = o;
    if (headers !== undefined) s.pairs = headersFrom(headers);
    else if (from !== undefined) s.pairs = arraySlice(pairsOf(from));
    if ((body !== null || (from !== undefined && from.body !== null)) && (s.method === 'GET' || s.method === 'HEAD')) {
      throw new TypeErr(`A ${s.method} request has no body`);
    }
    if (body !== null) {
      // The specification wants duplex: "half" with a stream; Workers do not, and neither does this.
      extractBody(s, body);
      return;
    }
    if (from === undefined || from.body === null) return;
    if (bodyUnusable(from)) throw usedError();
    s.body = takeBody(from);
    if (isStream(s.body)) {
      // A copy that the old request does not share: it counts as read from now on.
      const pipe = new TransformStream();
      const source = s.body;
      from.used = true;
      s.body = s.stream = readableOf(pipe);
      then(apply(streamPipeTo, source, [writableOf(pipe)]), undefined, () => {});
    }
  }
  get method() {
    return this.#s.method;
  }
  get url() {
    return requestURL(this.#s);
  }
  get headers() {
    return headersOf(this.#s);
  }
  get destination() {
    this.#s;
    return '';
  }
  get referrer() {
    return this.#s.referrer;
  }
  get referrerPolicy() {
    return this.#s.referrerPolicy;
  }
  get mode() {
    return this.#s.mode;
  }
  get credentials() {
    return this.#s.credentials;
  }
  get cache() {
    return this.#s.cache;
  }
  get redirect() {
    return this.#s.redirect;
  }
  get integrity() {
    return this.#s.integrity;
  }
  get keepalive() {
    return this.#s.keepalive;
  }
  get signal() {
    return signalOf(this.#s);
  }
  get duplex() {
    this.#s;
    return 'half';
  }
  clone() {
    const s = this.#s;
    const to = new RequestState();
    cloneBody(s, to);
    to.url = requestURL(s);
    const names = ['method', 'redirect', 'cache', 'credentials', 'mode', 'referrer', 'referrerPolicy', 'integrity', 'keepalive'];
    for (let i = 0; i < names.length; i++) to[names[i]] = s[names[i]];
    to.pairs = arraySlice(pairsOf(s));
    to.immutable = s.immutable;
    to.follow = signalOf(s);
    return new Request(SECRET, to);
  }
  static {
    requestState = (r) => (isObject(r) && #s in r ? r.#s : undefined);
    withBody(this, (r) => r.#s, contentTypeOf);
    newRequest = (s) => new Request(SECRET, s);
  }
}
publish(Request);
const streamPipeTo = ReadableStream.prototype.pipeTo;

// As ResponseState is.
function RequestState() {
  this.body = null;
  this.method = 'GET';
  this.url = '';
  this.pairs = null;
}
RequestState.prototype = {
  __proto__: null,
  known: true, // the URL is serialised
  type: null,
  stream: undefined,
  used: false,
  headers: undefined,
  immutable: false,
  signal: undefined,
  follow: undefined, // the signal that `signal` follows
  redirect: 'follow',
  cache: 'default',
  credentials: 'same-origin',
  mode: 'cors',
  referrer: 'about:client',
  referrerPolicy: '',
  integrity: '',
  keepalive: false,
};

const upperMethods = /^(?:delete|get|head|options|post|put|patch)$/i;
const forbiddenMethods = /^(?:connect|trace|track)$/i;
const choices = {
  __proto__: null,
  redirect: ['follow', 'error', 'manual'],
  cache: ['default', 'no-store', 'reload', 'no-cache', 'force-cache', 'only-if-cached'],
  credentials: ['omit', 'same-origin', 'include'],
  mode: ['cors', 'no-cors', 'same-origin'],
  referrerPolicy: [
    '',
    'no-referrer',
    'no-referrer-when-downgrade',
    'same-origin',
    'origin',
    'strict-origin',
    'origin-when-cross-origin',
    'strict-origin-when-cross-origin',
    'unsafe-url',
  ],
};
const choiceNames = objectKeys(choices);

function requestOptions(s, o) {
  if (o.window !== undefined && o.window !== null) throw new TypeErr('The option window can only be null');
  for (let i = 0; i < choiceNames.length; i++) {
    const name = choiceNames[i];
    const v = o[name];
    if (v === undefined) continue;
    if (!arrayIncludes(choices[name], `${v}`)) throw new TypeErr(`${jsonStringify(`${v}`)} is not a valid value of the option ${name}`);
    s[name] = `${v}`;
  }
  const { referrer, integrity, keepalive, method } = o;
  if (referrer !== undefined) {
    const text = usv(referrer);
    if (text === '') s.referrer = '';
    else {
      const r = parseRecord(text);
      if (r === null) throw new TypeErr(`Invalid URL: ${text}`);
      s.referrer = r.href === 'about:client' ? 'about:client' : r.href;
    }
  }
  if (integrity !== undefined) s.integrity = `${integrity}`;
  if (keepalive !== undefined) s.keepalive = !!keepalive;
  if (method !== undefined) s.method = requestMethod(byteString(method));
}

function requestMethod(m) {
  if (!matches(tokenRE, m)) throw new TypeErr(`${jsonStringify(m)} is not a method`);
  if (matches(forbiddenMethods, m)) throw new TypeErr(`The method ${m} is forbidden`);
  return matches(/^patch$/i, m) && m !== 'PATCH' ? m : matches(upperMethods, m) ? upperCase(m) : m;
}

// requestURL is the URL as the parser writes it, found at the first look.
function requestURL(s) {
  if (s.known) return s.url;
  const text = typeof s.url === 'function' ? s.url() : s.url;
  s.known = true;
  return (s.url = parseRecord(text)?.href ?? text);
}

function signalOf(s) {
  if (s.signal === undefined) {
    s.signal = s.follow === undefined ? newSignal() : AbortSignal.any([s.follow]);
  }
  return s.signal;
}
