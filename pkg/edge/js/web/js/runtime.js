// What the runtime of package js uses: see package bridge.

host.newRequest = (method, url, pairs, source, signal) => {
  const s = new RequestState();
  s.method = method;
  s.url = url;
  s.known = false;
  s.pairs = pairs;
  s.body = source;
  if (signal !== undefined) s.signal = signal;
  return newRequest(s);
};

host.newResponse = (status, statusText, pairs, source, url, redirected) => {
  const s = new ResponseState();
  s.status = status;
  s.statusText = statusText;
  s.pairs = pairs;
  s.body = source;
  s.url = url;
  s.redirected = redirected;
  s.immutable = true;
  s.kind = 'basic';
  return newResponse(s);
};

host.readRequest = (request) => {
  const s = requestState(request);
  if (s === undefined) throw new TypeErr('This is not a Request');
  const body = takeBody(s);
  return { method: s.method, url: requestURL(s), headers: pairsOf(s), body, redirect: s.redirect, signal: s.signal ?? s.follow };
};

host.readResponse = (response) => {
  const s = responseState(response);
  if (s === undefined) throw new TypeErr('This is not a Response');
  const body = takeBody(s);
  return { status: s.status, statusText: s.statusText, headers: pairsOf(s), body };
};

host.abort = abortSignal;
