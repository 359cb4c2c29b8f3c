// atob and btoa as the engine has them; what they throw is a DOMException.
// https://html.spec.whatwg.org/multipage/webappapis.html#atob

const nativeAtob = atob;
const nativeBtoa = btoa;

const base64 = {
  atob(data) {
    need(arguments.length, 1, 'atob');
    return nativeAtob(`${data}`);
  },
  btoa(data) {
    need(arguments.length, 1, 'btoa');
    return nativeBtoa(`${data}`);
  },
};
defineMember('atob', base64.atob);
defineMember('btoa', base64.btoa);

const base64url = { alphabet: 'base64url', omitPadding: true };
const toBase64url = (bytes) => toBase64(bytes, base64url);
const fromBase64url = (text) => {
  if (!matches(/^[A-Za-z0-9_-]*$/, text)) throw domError('DataError', 'A member of the JWK is not base64url');
  try {
    return fromBase64(text, base64url);
  } catch {
    throw domError('DataError', 'A member of the JWK is not base64url');
  }
};
