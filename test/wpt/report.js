// Between the harness and the tests: where results go, and stand-ins for what a test uses that is not what it tests.
add_completion_callback((tests, status) => {
  finished({ Status: status.status, Message: `${status.message}`, Tests: tests.map((t) => [t.name, t.status, `${t.message}`]) });
});
setTimeout(() => timeout(), 15000);

// The harness of interfaces asks which kind of global object this is. It is most like that of a worker.
for (const name of ['WorkerGlobalScope', 'DedicatedWorkerGlobalScope']) {
  self[name] = { [Symbol.hasInstance]: (o) => o === self };
}

// Tests of Blob read with a FileReader.
self.FileReader = class {
  #read(promise) {
    promise.then((result) => {
      this.result = result;
      this.onload?.({ target: this });
      this.onloadend?.({ target: this });
    });
  }
  addEventListener(type, f) {
    this[`on${type}`] = f;
  }
  readAsText(blob) {
    this.#read(blob.text());
  }
  readAsArrayBuffer(blob) {
    this.#read(blob.arrayBuffer());
  }
};

// A MessageChannel is the way tests detach a buffer.
self.MessageChannel = class {
  port1 = {
    postMessage(value, transfer) {
      structuredClone(value, { transfer });
    },
  };
};
