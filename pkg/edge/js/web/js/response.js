// Responses. https://fetch.spec.whatwg.org/#response-class

let responseState; // the state of a Response, undefined for anything else
let newResponse;

const nullBodyStatus = (status) => status === 101 || status === 103 || status === 204 || status === 205 || status === 304;
const reasonPhrase = /[^\t\x20-\x7e\x80-\xff]/;

class Response {
  #s;
  constructor(body = null, init = undefined) {
    if (body === SECRET) {
      this.#s = init;
      return;
    }
    const s = (this.#s = new ResponseState());
    if (init !== undefined && init !== null) responseInit(s, init);
    if (body !== null && body !== undefined) {
      if (nullBodyStatus(s.status)) throw new TypeErr(`A response of status ${s.status} has no body`);
      extractBody(s, body);
    }
  }
  static error() {
    const s = new ResponseState();
    s.kind = 'error';
    s.status = 0;
    s.headers = newHeaders([], true);
    return new Response(SECRET, s);
  }
  static redirect(url, status = 302) {
    const r = parseRecord(usv(url));
    if (r === null) throw new TypeErr(`Invalid URL: ${url}`);
    status = integer(status, 0xffff);
    if (status !== 301 && status !== 302 && status !== 303 && status !== 307 && status !== 308) {
      throw new RangeErr(`${status} is not the status of a redirect`);
    }
    const s = new ResponseState();
    s.status = status;
    s.headers = newHeaders(['location', r.href], true);
    return new Response(SECRET, s);
  }
  static json(data, init = undefined) {
    const text = jsonStringify(data);
    if (text === undefined) throw new TypeErr('The data cannot be written as JSON');
    const s = new ResponseState();
    if (init !== undefined && init !== null) responseInit(s, init);
    if (nullBodyStatus(s.status)) throw new TypeErr(`A response of status ${s.status} has no body`);
    s.body = text;
    s.type = 'application/json';
    return new Response(SECRET, s);
  }
  get type() {
    return this.#s.kind;
  }
  get url() {
    return this.#s.url;
  }
  get redirected() {
    return this.#s.redirected;
  }
  get status() {
    return this.#s.status;
  }
  get ok() {
    const { status } = this.#s;
    return status >= 200 && status <= 299;
  }
  get statusText() {
    return this.#s.statusText;
  }
  get headers() {
    return headersOf(this.#s);
  }
  clone() {
    const s = this.#s;
    const to = new ResponseState();
    cloneBody(s, to);
    to.status = s.status;
    to.statusText = s.statusText;
    to.kind = s.kind;
    to.url = s.url;
    to.redirected = s.redirected;
    to.type = s.type;
    to.immutable = s.immutable;
    if (s.headers !== undefined) to.headers = newHeaders(arraySlice(headerPairs(s.headers)), s.immutable);
    else if (typeof s.pairs === 'function') to.pairs = s.pairs = arraySlice(s.pairs());
    else if (s.pairs !== null) to.pairs = arraySlice(s.pairs);
    return new Response(SECRET, to);
  }
  static {
    responseState = (r) => (isObject(r) && #s in r ? r.#s : undefined);
    withBody(this, (r) => r.#s, contentTypeOf);
    newResponse = (s) => new Response(SECRET, s);
  }
}
publish(Response);

// type is the content type of the body that is not among pairs yet.
// What is as it mostly is stays on the prototype: an object with two properties is made sooner than one with twelve.
function ResponseState() {
  this.body = null;
  this.type = null;
}
ResponseState.prototype = {
  __proto__: null,
  stream: undefined,
  used: false,
  headers: undefined,
  pairs: null,
  immutable: false,
  status: 200,
  statusText: '',
  kind: 'default',
  url: '',
  redirected: false,
};

function responseInit(s, init) {
  const o = dictionary(init, 'The options of a Response');
  const { headers } = o;
  const { status } = o;
  const { statusText } = o;
  if (status !== undefined) {
    s.status = integer(status, 0xffff);
    if (s.status < 200 || s.status > 599) throw new RangeErr(`The status ${s.status} is not between 200 and 599`);
  }
  if (statusText !== undefined) {
    s.statusText = byteString(statusText);
    if (matches(reasonPhrase, s.statusText)) throw new TypeErr('The statusText has characters it cannot have');
  }
  if (headers !== undefined) s.pairs = headersFrom(headers);
}

// pairsOf returns the flat headers of a request or a response, the content type of the body among them.
function pairsOf(s) {
  if (s.headers !== undefined) return headerPairs(s.headers);
  let { pairs } = s;
  if (typeof pairs === 'function') pairs = s.pairs = pairs();
  if (s.type !== null) {
    if (pairs === null) pairs = s.pairs = ['content-type', s.type];
    else if (arrayIndexOfName(pairs, 'content-type') < 0) {
      pairs[pairs.length] = 'content-type';
      pairs[pairs.length] = s.type;
    }
    s.type = null;
  }
  return pairs ?? (s.pairs = []);
}

function headersOf(s) {
  return (s.headers ??= newHeaders(typeof s.pairs === 'function' ? s.pairs : pairsOf(s), s.immutable));
}

function contentTypeOf(s) {
  return headerGet(pairsOf(s), 'content-type');
}
