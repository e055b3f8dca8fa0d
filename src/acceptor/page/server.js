// The judge behind the HTTP API. Long lists are sent in parts, and a busy server is asked again when it says so.

const ROWS = 256; // sentences of one request
const BYTES = 1 << 20; // of one request, about: the server takes 2 MB
const TRIES = 5; // of a request that a busy server refuses
const KEY = "acceptor.key";

// What the server, or the way to it, answered instead of a result.
export class RequestError extends Error {
  constructor(status, { code = "", message = "", next = "" } = {}, retryAfter = 0) {
    super(message);
    Object.assign(this, { status, code, next, retryAfter });
  }
}

export function serverBackend() {
  const post = (path, body, options) => request(path, { method: "POST", body: JSON.stringify(body) }, options);
  return {
    local: false,
    setKey: (key) => sessionStorage.setItem(KEY, key),
    models: () => request("v1/models", {}),
    async judge({ sentences, seconds = null, ...rest }, { onProgress, ...options } = {}) {
      const verdicts = [];
      for (const [start, end] of parts(sentences, seconds)) {
        verdicts.push(...(await judged(start, end)));
        onProgress?.(end, sentences.length);
      }
      return { verdicts };

      // The server refuses a request for one bad sentence: halves of it find that sentence, and judge the others.
      async function judged(start, end) {
        const body = { ...rest, sentences: sentences.slice(start, end) };
        if (seconds) body.seconds = seconds.slice(start, end);
        try {
          return (await post("v1/judge", body, options)).verdicts;
        } catch (error) {
          if (![413, 422].includes(error.status) || sentences.length === 1) throw error;
          if (end - start === 1) return [{ error: { code: error.code, message: error.message } }];
          const middle = (start + end) >> 1;
          return [...(await judged(start, middle)), ...(await judged(middle, end))];
        }
      }
    },
    explain: (body, options) => post("v1/explain", body, options),
    compare: (body, options) => post("v1/compare", body, options),
  };
}

// Where each request's sentences start and end: at most `ROWS`, and about `BYTES`.
function parts(sentences, seconds) {
  const sizes = sentences.map((text, row) => 4 * (text.length + (seconds?.[row].length ?? 0)));
  const found = [];
  for (let start = 0, end; start < sentences.length; start = end) {
    let size = sizes[start];
    for (end = start + 1; end < sentences.length && end - start < ROWS && size + sizes[end] <= BYTES; end++) size += sizes[end];
    found.push([start, end]);
  }
  return found;
}

async function request(path, init, { signal, onWait } = {}) {
  for (let left = TRIES; ; left--) {
    try {
      return await once(path, init, signal);
    } catch (error) {
      if (left <= 1 || ![429, 503].includes(error.status)) throw error;
      const seconds = Math.max(1, error.retryAfter);
      onWait?.(seconds);
      await wait(seconds, signal);
    }
  }
}

async function once(path, init, signal) {
  const headers = init.body ? { "Content-Type": "application/json" } : {};
  const key = sessionStorage.getItem(KEY);
  if (key) headers.Authorization = `Bearer ${key}`;
  let response;
  let body;
  try {
    response = await fetch(path, { ...init, headers, signal, redirect: "error", credentials: "same-origin" });
    body = await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new RequestError(response?.status ?? 0);
  }
  if (!response.ok) throw new RequestError(response.status, body.error, Number(response.headers.get("Retry-After")) || 0);
  return body;
}

function wait(seconds, signal) {
  return new Promise((done, stop) => {
    const timer = setTimeout(done, 1000 * seconds);
    signal?.addEventListener("abort", () => { clearTimeout(timer); stop(signal.reason); }, { once: true });
  });
}
