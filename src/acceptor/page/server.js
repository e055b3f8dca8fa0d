// The judge behind the HTTP API. Long lists are sent in parts, and a part that a server is too busy for, or that is lost
// on the way, is sent again.

const ROWS = 256; // sentences of one request
const BYTES = 1 << 20; // of one request, about: the server takes 2 MB
const TRIES = 5; // of each request
const TRY_AGAIN = [0, 429, 502, 503, 504]; // 0: no answer; the others are a busy server's, or a proxy's
const KEY = "acceptor.key";

// What the server, or the way to it, answered instead of a result.
export class RequestError extends Error {
  constructor(status, { code = "", message = "", next = "", positions = [] } = {}, retryAfter = 0) {
    super(message);
    Object.assign(this, { status, code, next, positions, retryAfter });
  }
}

export function serverBackend() {
  let key = stored();
  let judges = []; // as they were when the page asked for them

  // A judge that was replaced meanwhile has other labels, or another threshold, than the page shows.
  async function post(path, body, options) {
    const found = await request(path, { method: "POST", body: JSON.stringify(body) }, options);
    if (judges.some(({ name, version }) => name === found.model && version === found.version)) return found;
    throw new RequestError(404, { message: `${found.model} is another judge now` });
  }

  return {
    local: false,
    setKey(given) {
      key = given;
      store(given);
    },
    async models(_, options) {
      const found = await request("v1/models", {}, options);
      judges = found.models;
      return found;
    },
    // Each part that is done is handed on at once, with the numbers of its sentences: what comes later may be lost.
    async judge({ sentences, seconds = null, ...rest }, { onProgress, onPart, ...options } = {}) {
      const verdicts = [];
      for (const [start, end] of parts(sentences, seconds)) {
        const rows = Array.from({ length: end - start }, (_, at) => start + at);
        const part = await judged(rows);
        onPart?.(rows, part);
        verdicts.push(...part);
        onProgress?.(end, sentences.length);
      }
      return { verdicts };

      // The server refuses a request for bad sentences, and names them: the others are sent again. Of a request that is too
      // large, halves are.
      async function judged(rows) {
        const body = { ...rest, sentences: rows.map((row) => sentences[row]) };
        if (seconds) body.seconds = rows.map((row) => seconds[row]);
        try {
          return (await post("v1/judge", body, options)).verdicts;
        } catch (error) {
          const bad = new Set(error.status === 413 && rows.length === 1 ? [0] : error.positions);
          if (bad.size) {
            const why = { error: { code: error.code, message: error.message.split(" · ")[0] } }; // the rest is about the first one
            const others = rows.filter((_, at) => !bad.has(at));
            const found = others.length ? await judged(others) : [];
            return rows.map((_, at) => (bad.has(at) ? why : found.shift()));
          }
          if (error.status !== 413) throw error;
          const middle = rows.length >> 1;
          return [...(await judged(rows.slice(0, middle))), ...(await judged(rows.slice(middle)))];
        }
      }
    },
    explain: (body, options) => post("v1/explain", body, options),
    compare: (body, options) => post("v1/compare", body, options),
  };

  async function request(path, init, { signal, onWait } = {}) {
    const headers = init.body ? { "Content-Type": "application/json" } : {};
    if (key) headers.Authorization = `Bearer ${key}`;
    for (let left = TRIES; ; left--) {
      try {
        return await once(path, { ...init, headers, signal });
      } catch (error) {
        if (left <= 1 || !TRY_AGAIN.includes(error.status)) throw error;
        const seconds = Math.max(1, error.retryAfter);
        onWait?.(seconds);
        await wait(seconds, signal);
      }
    }
  }
}

// The key outlives a reload of the page, where the browser lets pages store anything.
function stored() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function store(key) {
  try {
    sessionStorage.setItem(KEY, key);
  } catch {
    // It is kept until the page is left.
  }
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

async function once(path, init) {
  let response;
  let body;
  try {
    response = await fetch(path, { ...init, redirect: "error", credentials: "same-origin" });
    body = await response.json();
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new RequestError(response?.ok ? 0 : (response?.status ?? 0)); // an answer that was cut short is none
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
