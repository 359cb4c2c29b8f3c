// URLs. https://url.spec.whatwg.org/#api
//
// A record is immutable: the serialised URL and the offsets of its parts in it. Plain http URLs are taken apart here,
// every other one and every change is the host's.

const { parseURL, changeURL } = host;

// What the parser would leave as it is: a name without "xn--" that does not end in a number, no dot segments.
const plainURL =
  /^(https?:\/\/)([a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9-]+)*)(:[1-9][0-9]{0,3})?(\/[A-Za-z0-9\-_~!$&'()*+,;=:@/%]*(?:[A-Za-z0-9\-_~!$&()*+,;=:@%]\.[A-Za-z0-9\-_~!$&()*+,;=:@/%]*)*)(\?[A-Za-z0-9\-._~!$&()*+,;=:@/%?[\]]*)?(#[A-Za-z0-9\-._~!$&'()*+,;=:@/%?]*)?$/;
const hardHost = /xn--|(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$/;
const hardPath = /%2e/i;

const parts = new Uint32Array(8);

// protocol: end of the scheme and its colon. user, password: ends of what stands before "@". host: its begin and end.
// path, query, hash: their begins; the end of href where there is none.
const record = (href, protocol, user, password, hostStart, hostEnd, path, query, hash) => ({
  href,
  protocol,
  user,
  password,
  hostStart,
  hostEnd,
  path,
  query,
  hash,
});

const fromHost = (href) =>
  href === null
    ? null
    : record(href, parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], parts[6], parts[7]);

let lastText = '';
let lastRecord = null;

// parseRecord returns null where text is no URL.
const parseRecord = (text, base) => {
  if (base === undefined) {
    if (text === lastText && lastRecord !== null) return lastRecord;
    const known = ofKnownOrigin(text);
    if (known !== null) return known;
    const m = text.length < 2048 ? regExec(plainURL, text) : null;
    const r = m === null ? fromHost(parseURL(text, undefined, parts)) : (plain(text, m) ?? fromHost(parseURL(text, undefined, parts)));
    if (r !== null) {
      lastText = text;
      lastRecord = r;
      if (ownsProperty(r, 'path') && r.hostStart === r.protocol + 2 && matches(/^https?:/, r.href)) {
        originRecord = r;
        origin = slice(r.href, 0, r.path + 1);
      }
    }
    return r;
  }
  return fromHost(parseURL(text, base.href, parts));
};

// The requests of a function come to few origins: where the last one is that of text, what follows needs to have no
// character that is escaped, dot segment or fragment. originRecord is that of a URL without user name and password.
let origin = '';
let originRecord = null;
const ofKnownOrigin = (text) => {
  if (originRecord === null || !startsWith(text, origin)) return null;
  const end = text.length;
  if (end > 2048 || encodeURI(text) !== text || includes(text, '/.') || includes(text, "'") || includes(text, '#')) return null;
  const query = indexOf(text, '?');
  const r = create(originRecord); // the parts before the path are the same
  r.href = lastText = text;
  r.query = query < 0 ? end : query;
  r.hash = end;
  return (lastRecord = r);
};

const plain = (text, m) => {
  const secure = m[1].length === 8;
  const port = m[3];
  if (matches(hardHost, m[2]) || (port !== undefined && port === (secure ? ':443' : ':80'))) return null;
  if (includes(m[4], '%') && matches(hardPath, m[4])) return null;
  const hostStart = m[1].length;
  const hostEnd = hostStart + m[2].length;
  const path = port === undefined ? hostEnd : hostEnd + port.length;
  const query = path + m[4].length;
  const hash = m[5] === undefined ? query : query + m[5].length;
  return record(text, hostStart - 2, hostStart, hostStart, hostStart, hostEnd, path, query, hash);
};

let setQuery;
let urlRecord; // the record of a URL object, undefined for anything else

class URL {
  #r;
  #params;
  // Without an argument it is that "undefined" is no URL what throws: looking at arguments has a price.
  constructor(url, base = undefined) {
    const text = usv(url);
    let from;
    if (base !== undefined) {
      from = parseRecord(usv(base));
      if (from === null) throw invalidURL(base);
    }
    const r = parseRecord(text, from);
    if (r === null) throw invalidURL(text);
    this.#r = r;
  }
  static parse(url, base = undefined) {
    need(arguments.length, 1, 'URL.parse');
    const r = tryParse(url, base);
    if (r === null) return null;
    const u = new URL(r.href);
    return u;
  }
  static canParse(url, base = undefined) {
    need(arguments.length, 1, 'URL.canParse');
    return tryParse(url, base) !== null;
  }
  get href() {
    return this.#r.href;
  }
  set href(v) {
    v = usv(v);
    const r = parseRecord(v);
    if (r === null) throw invalidURL(v);
    this.#put(r);
  }
  get origin() {
    const r = this.#r;
    const scheme = slice(r.href, 0, r.protocol);
    switch (scheme) {
      case 'http:':
      case 'https:':
      case 'ws:':
      case 'wss:':
      case 'ftp:':
        return `${scheme}//${slice(r.href, r.hostStart, r.path)}`;
      case 'blob:': {
        const inner = parseRecord(slice(r.href, r.path, r.query));
        if (inner === null || !matches(/^https?:/, inner.href)) return 'null';
        return new URL(inner.href).origin;
      }
    }
    return 'null';
  }
  get protocol() {
    return slice(this.#r.href, 0, this.#r.protocol);
  }
  set protocol(v) {
    this.#change('protocol', v);
  }
  get username() {
    const r = this.#r;
    return r.user > r.protocol + 2 ? slice(r.href, r.protocol + 2, r.user) : '';
  }
  set username(v) {
    this.#change('username', v);
  }
  get password() {
    const r = this.#r;
    return r.password > r.user ? slice(r.href, r.user + 1, r.password) : '';
  }
  set password(v) {
    this.#change('password', v);
  }
  get host() {
    const r = this.#r;
    return slice(r.href, r.hostStart, r.hostEnd === r.hostStart ? r.hostEnd : portEnd(r));
  }
  set host(v) {
    this.#change('host', v);
  }
  get hostname() {
    const r = this.#r;
    return slice(r.href, r.hostStart, r.hostEnd);
  }
  set hostname(v) {
    this.#change('hostname', v);
  }
  get port() {
    const r = this.#r;
    return slice(r.href, r.hostEnd + 1, portEnd(r));
  }
  set port(v) {
    this.#change('port', v);
  }
  get pathname() {
    const r = this.#r;
    return slice(r.href, r.path, r.query);
  }
  set pathname(v) {
    this.#change('pathname', v);
  }
  get search() {
    const r = this.#r;
    return r.hash - r.query > 1 ? slice(r.href, r.query, r.hash) : '';
  }
  set search(v) {
    this.#change('search', v);
    if (this.#params !== undefined) resetParams(this.#params, queryOf(this.#r));
  }
  get searchParams() {
    return (this.#params ??= paramsOf(this, queryOf(this.#r)));
  }
  get hash() {
    const r = this.#r;
    return r.href.length - r.hash > 1 ? slice(r.href, r.hash) : '';
  }
  set hash(v) {
    this.#change('hash', v);
  }
  toString() {
    return this.#r.href;
  }
  toJSON() {
    return this.#r.href;
  }
  #put(r) {
    this.#r = r;
    if (this.#params !== undefined) resetParams(this.#params, queryOf(r));
  }
  #change(part, value) {
    const r = this.#r;
    this.#r = fromHost(changeURL(r.href, part, usv(value), parts));
  }
  static {
    setQuery = (url, query) => url.#change('search', query);
    urlRecord = (u) => (isObject(u) && #r in u ? u.#r : undefined);
  }
}
publish(URL);

// Between the host and the path stands ":port", or "/." where a path would look like a host.
const portEnd = (r) => (r.path > r.hostEnd && r.href[r.hostEnd] === ':' && r.hostEnd > r.protocol ? r.path : r.hostEnd);
const queryOf = (r) => slice(r.href, r.query + 1, r.hash);
const invalidURL = (text) => {
  const e = new TypeErr(`Invalid URL: ${text}`);
  e.code = 'ERR_INVALID_URL';
  return e;
};
const tryParse = (url, base) => {
  const text = usv(url);
  if (base === undefined) return parseRecord(text);
  const from = parseRecord(usv(base));
  return from === null ? null : parseRecord(text, from);
};
