// Requests to the server that this page came from, and their failures in plain words.

export const BROKEN_OFF = "The connection broke off. What had come stands above; ask again.";

export class Failure extends Error {
  /** `status`: that of the reply, 0 where there was none; `receipt`: of what had come of an answer. */
  constructor(message, status = 0, receipt = null) {
    super(message);
    this.status = status;
    this.receipt = receipt;
  }
}

async function request(path, key, init = {}) {
  const headers = { ...init.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  let reply;
  try {
    reply = await fetch(path, { ...init, headers, cache: "no-store", credentials: "omit", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("The server does not answer. Is it still running (dlp-local serve)? Then try again.");
  }
  if (reply.ok) return reply;
  if (reply.status === 401) throw new Failure(key ? "The API key is wrong." : "This server wants an API key.", 401);
  let said = "";
  try {
    said = (await reply.json()).error?.message ?? "";
  } catch { /* no JSON: the status has to say it */ }
  throw new Failure(said ? sentence(said) : `The server refused this (status ${reply.status}).`, reply.status);
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** What a path gives as JSON. */
export async function getJson(path, key) {
  return (await request(path, key)).json();
}

/** Answers a conversation; calls `on.route`, `on.text`, `on.reasoning`, `on.wasReasoning` as it comes.

Gives the receipt. Raises `Failure`, also where the stream breaks off, and an AbortError after `signal`. */
export async function streamAnswer(body, key, signal, on) {
  const reply = await request("/v1/chat/completions", key, {
    method: "POST", signal, headers: { "Content-Type": "application/json" }, body: JSON.stringify({ ...body, stream: true }),
  });
  let receipt = null;
  for await (const data of events(reply.body)) {
    if (data === "[DONE]") return receipt;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Failure(sentence(chunk.error.message), 0, chunk.dlp_local);
    const extra = chunk.dlp_local, choice = chunk.choices?.[0];
    if (!choice) continue;
    if (extra?.answer_was_reasoning) { on.wasReasoning(); continue; }
    if (choice.delta.reasoning_content) on.reasoning(choice.delta.reasoning_content);
    if (choice.delta.content) on.text(choice.delta.content);
    if (choice.finish_reason) receipt = extra;
    else if (extra) on.route(extra);
  }
  throw new Failure(BROKEN_OFF);
}

async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) if (line.startsWith("data: ")) yield line.slice(6).trimEnd();
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(BROKEN_OFF);
  } finally {
    reader.cancel().catch(() => {});
  }
}
