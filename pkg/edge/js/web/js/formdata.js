// Forms. https://xhr.spec.whatwg.org/#interface-formdata

const { parseMultipart, randomHex } = host;

let formEntries; // the flat array of a FormData, undefined for anything else
let newForm;

class FormData {
  #list = [];
  constructor(form = undefined) {
    if (form !== undefined) throw new TypeErr('FormData: there are no forms here');
  }
  append(name, value, filename = undefined) {
    const list = this.#list;
    need(arguments.length, 2, 'FormData.append');
    const v = entry(value, filename, arguments.length > 2);
    list[list.length] = usv(name);
    list[list.length] = v;
  }
  delete(name) {
    const list = this.#list;
    need(arguments.length, 1, 'FormData.delete');
    name = usv(name);
    for (let i = 0; i < list.length; ) {
      if (list[i] === name) arraySplice(list, i, 2);
      else i += 2;
    }
  }
  get(name) {
    const list = this.#list;
    need(arguments.length, 1, 'FormData.get');
    name = usv(name);
    for (let i = 0; i < list.length; i += 2) if (list[i] === name) return list[i + 1];
    return null;
  }
  getAll(name) {
    const list = this.#list;
    need(arguments.length, 1, 'FormData.getAll');
    name = usv(name);
    const out = [];
    for (let i = 0; i < list.length; i += 2) if (list[i] === name) out[out.length] = list[i + 1];
    return out;
  }
  has(name) {
    const list = this.#list;
    need(arguments.length, 1, 'FormData.has');
    name = usv(name);
    for (let i = 0; i < list.length; i += 2) if (list[i] === name) return true;
    return false;
  }
  set(name, value, filename = undefined) {
    const list = this.#list;
    need(arguments.length, 2, 'FormData.set');
    const v = entry(value, filename, arguments.length > 2);
    name = usv(name);
    let found = false;
    for (let i = 0; i < list.length; ) {
      if (list[i] !== name) i += 2;
      else if (found) arraySplice(list, i, 2);
      else {
        found = true;
        list[i + 1] = v;
        i += 2;
      }
    }
    if (!found) {
      list[list.length] = name;
      list[list.length] = v;
    }
  }
  static {
    pairIterator(this, 'FormData', (f) => f.#list);
    formEntries = (f) => (isObject(f) && #list in f ? f.#list : undefined);
    newForm = (list) => {
      const f = new FormData();
      f.#list = list;
      return f;
    };
  }
}
publish(FormData);

const entry = (value, filename, named) => {
  const bytes = blobBytes(value);
  if (bytes === undefined) {
    if (named) throw new TypeErr('A file name was given for what is not a Blob');
    return usv(value);
  }
  const file = fileState(value);
  if (file !== undefined && filename === undefined) return value;
  const name = filename === undefined ? 'blob' : usv(filename);
  return newFile(bytes, blobType(value), name, file?.modified);
};

// multipart serialises a form. https://html.spec.whatwg.org/#multipart-form-data
const multipart = (list) => {
  const boundary = `----pandabox${randomHex(16)}`;
  const pieces = [];
  let total = 0;
  const add = (bytes) => {
    pieces[pieces.length] = bytes;
    total += typedLength(bytes);
  };
  for (let i = 0; i < list.length; i += 2) {
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(lines(list[i]))}"`;
    const value = list[i + 1];
    if (typeof value === 'string') add(utf8(`${head}\r\n\r\n${lines(value)}\r\n`));
    else {
      const type = blobType(value) || 'application/octet-stream';
      add(utf8(`${head}; filename="${quoted(fileState(value).name)}"\r\nContent-Type: ${type}\r\n\r\n`));
      add(blobBytes(value));
      add(utf8('\r\n'));
    }
  }
  add(utf8(`--${boundary}--\r\n`));
  return { bytes: join(pieces, total), type: `multipart/form-data; boundary=${boundary}` };
};
const lines = (s) => replaceEach(/\r\n|\r|\n/g, s, () => '\r\n');
const quoted = (s) => replaceEach(/[\r\n"]/g, s, (m) => (m[0] === '\n' ? '%0A' : m[0] === '\r' ? '%0D' : '%22'));

// readForm reads the body of a form of the given content type, throwing a TypeError where it is none.
const readForm = (bytes, type) => {
  const essence = mimeEssence(type);
  if (essence === 'application/x-www-form-urlencoded') return newForm(parseForm(decodeUTF8(bytes)));
  const boundary = essence === 'multipart/form-data' ? mimeParameter(type, 'boundary') : undefined;
  if (boundary === undefined || boundary === '') throw new TypeErr('The body is not a form: its content type says otherwise');
  const flat = parseMultipart(bytes, boundary);
  const list = [];
  for (let i = 0; i < flat.length; i += 4) {
    list[list.length] = flat[i];
    list[list.length] = flat[i + 1] === null ? flat[i + 3] : newFile(flat[i + 3], flat[i + 2], flat[i + 1]);
  }
  return newForm(list);
};

const mimeEssence = (type) => lowerCase(regExec(/^[\t\n\r ]*([^;,]*?)[\t\n\r ]*(?:[;,]|$)/, type ?? '')?.[1] ?? '');
const mimeParameter = (type, name) => {
  const re = /;[\t\n\r ]*([^;=]*)(?:=(?:"((?:[^"\\]|\\.)*)"|([^;]*)))?/g;
  for (let m; (m = regExec(re, type)) !== null; ) {
    if (lowerCase(m[1]) !== name) continue;
    return m[2] !== undefined ? replaceEach(/\\(.)/g, m[2], (c) => c[1]) : regExec(/^(.*?)[\t\n\r ]*$/s, m[3] ?? '')[1];
  }
  return undefined;
};
