// The action `probe-action` (see ../../../README.md).

import { Event, Failure, Manifest, Outcome, Pair } from "../target/sdk/hookwright";
import { Request, clock, crypto, encoding, events, http, kv, log, random, tickets } from "../target/sdk/host";
import * as json from "../target/sdk/json";

const NAMES = "echo, unicode, numbers, hash, hmac, base64, time, random, log, ticket, note, emit, kv, http, fail, retry, skip, big";

export function describe(): Manifest {
  return new Manifest("probe-action", "0.1.0", "Calls the host in every way and tells what came back", '{"type":"object"}');
}

/** One call: the event, and its parameters. */
class Call {
  constructor(
    public data: string,
    public parameters: string,
  ) {}

  get(name: string): string | null {
    return json.get(this.parameters, name);
  }

  /** A parameter that is a string; empty if it is not one. */
  text(name: string): string {
    const said = json.text(this.get(name));
    return said == null ? "" : said;
  }

  /** A parameter that is text, as UTF-8. */
  bytes(name: string): Uint8Array {
    return encoding.utf8Encode(this.text(name));
  }

  /** A parameter that is a string or a number. */
  id(name: string): string {
    const said = json.text(this.get(name));
    return said == null ? json.compact(this.get(name), "") : said;
  }

  isTrue(name: string): bool {
    return json.equal(this.get(name), "true");
  }
}

export function run(event: Event, parameters: string): Outcome {
  const call = new Call(event.data, parameters);
  const wanted = call.text("do");
  if (wanted == "echo") return Outcome.done(call.data);
  if (wanted == "unicode") return unicode(call);
  if (wanted == "numbers") return numbers(call);
  if (wanted == "hash") return hash(call);
  if (wanted == "hmac") return hmac(call);
  if (wanted == "base64") return base64(call);
  if (wanted == "time") return time();
  if (wanted == "random") return draw();
  if (wanted == "log") return write(call);
  if (wanted == "ticket") return ticket(call);
  if (wanted == "note") return note(call);
  if (wanted == "emit") return emit(call);
  if (wanted == "kv") return keep(call);
  if (wanted == "http") return ask(call);
  if (wanted == "fail") return Outcome.failed(new Failure("probe.failed", call.text("text")));
  if (wanted == "retry") return retry(call);
  if (wanted == "skip") return Outcome.skipped(call.text("text"));
  if (wanted == "big") return big(call);
  const message = "`do` is " + json.compact(call.get("do"), "nothing") + ": write one of " + NAMES;
  return Outcome.failed(new Failure("parameters.invalid", message));
}

function say(isSo: bool): string {
  return isSo ? "true" : "false";
}

function hexOf(bytes: Uint8Array): string {
  return json.quote(encoding.hexEncode(bytes));
}

function unicode(call: Call): Outcome {
  const bytes = call.bytes("text");
  const back = encoding.utf8Decode(bytes);
  if (back.failure) return Outcome.failed(back.failure!);
  const same = back.value == call.text("text");
  return Outcome.done('{"bytes":' + bytes.length.toString() + ',"hex":' + hexOf(bytes) + ',"same":' + say(same) + "}");
}

function numbers(call: Call): Outcome {
  const every = json.compact(json.get(call.data, "numbers"), "null");
  const first = json.compact(json.follow(call.data, "numbers.0"), "null");
  return Outcome.done('{"numbers":' + every + ',"first":' + first + "}");
}

function hash(call: Call): Outcome {
  const digest = crypto.digest(call.text("algorithm"), call.bytes("text"));
  if (digest.failure) return Outcome.failed(digest.failure!);
  return Outcome.done('{"hex":' + hexOf(digest.value) + "}");
}

function hmac(call: Call): Outcome {
  const algorithm = call.text("algorithm");
  const secret = call.text("secret");
  const data = call.bytes("text");
  const code = crypto.hmac(algorithm, secret, data);
  if (code.failure) return Outcome.failed(code.failure!);
  const hex = hexOf(code.value);
  const verified = crypto.verifyHmac(algorithm, secret, data, code.value).failure == null;
  code.value[code.value.length - 1] ^= 1;
  const refused = crypto.verifyHmac(algorithm, secret, data, code.value).failure != null;
  return Outcome.done('{"hex":' + hex + ',"verified":' + say(verified) + ',"refused":' + say(refused) + "}");
}

function base64(call: Call): Outcome {
  const given = json.text(call.get("decode"));
  if (given != null) {
    const decoded = encoding.base64Decode(given);
    if (decoded.failure) return Outcome.failed(decoded.failure!);
    return Outcome.done('{"hex":' + hexOf(decoded.value) + "}");
  }
  const encoded = encoding.base64Encode(call.bytes("text"));
  const decoded = encoding.base64Decode(encoded);
  if (decoded.failure) return Outcome.failed(decoded.failure!);
  const back = encoding.utf8Decode(decoded.value);
  const same = back.failure == null && back.value == call.text("text");
  return Outcome.done('{"base64":' + json.quote(encoded) + ',"same":' + say(same) + "}");
}

function time(): Outcome {
  const ms = (<i64>clock.nowMs()).toString();
  return Outcome.done('{"now":' + json.quote(clock.now()) + ',"ms":' + ms + "}");
}

function draw(): Outcome {
  const count = random.bytes(16).length.toString();
  const one = random.uuid();
  const differs = one != random.uuid();
  random.bits();
  return Outcome.done('{"bytes":' + count + ',"uuid":' + one.length.toString() + ',"differs":' + say(differs) + "}");
}

function write(call: Call): Outcome {
  log.write("warn", call.text("text"), [new Pair("probe", "log")]);
  log.print(encoding.utf8Encode(call.text("text") + "\n"));
  return Outcome.done('{"logged":2}');
}

function ticket(call: Call): Outcome {
  const id = call.id("id");
  const found = tickets.get(id);
  if (found.failure) return Outcome.failed(found.failure!);
  const before = found.value;
  if (before == null) return Outcome.skipped("there is no ticket " + id);
  const after = tickets.update(id, json.compact(call.get("changes"), "{}"));
  if (after.failure) return Outcome.failed(after.failure!);
  return Outcome.done('{"before":' + before + ',"after":' + after.value + "}");
}

function note(call: Call): Outcome {
  const id = tickets.addNote(call.id("id"), call.text("text"), call.isTrue("public"));
  if (id.failure) return Outcome.failed(id.failure!);
  return Outcome.done('{"note":' + json.quote(id.value) + "}");
}

function emit(call: Call): Outcome {
  const data = json.compact(call.get("data"), "null");
  const id = events.emit(call.text("type"), json.text(call.get("subject")), data);
  if (id.failure) return Outcome.failed(id.failure!);
  return Outcome.done('{"event":' + json.quote(id.value) + "}");
}

/** The value of a key, as JSON. */
function held(value: Uint8Array | null): string {
  return value == null ? "null" : json.quote(encoding.utf8Decode(value).value);
}

function keep(call: Call): Outcome {
  const key = call.text("key");
  const before = kv.get(key);
  if (before.failure) return Outcome.failed(before.failure!);
  const set = kv.set(key, call.bytes("value"), json.count(call.get("ttl_seconds")));
  if (set.failure) return Outcome.failed(set.failure!);
  const after = kv.get(key);
  if (after.failure) return Outcome.failed(after.failure!);
  const keys = kv.keys(key, 10);
  if (keys.failure) return Outcome.failed(keys.failure!);
  let removed = false;
  if (call.isTrue("remove")) {
    const gone = kv.remove(key);
    if (gone.failure) return Outcome.failed(gone.failure!);
    const left = kv.get(key);
    if (left.failure) return Outcome.failed(left.failure!);
    removed = left.value == null;
  }
  const both = '{"before":' + held(before.value) + ',"after":' + held(after.value);
  return Outcome.done(both + ',"keys":' + keys.value.length.toString() + ',"removed":' + say(removed) + "}");
}

function ask(call: Call): Outcome {
  const method = call.text("method");
  const request = new Request(method.length == 0 ? "POST" : method, call.text("url"));
  request.headers = [new Pair("content-type", "application/json"), new Pair("x-probe", "http")];
  request.body = encoding.utf8Encode(json.compact(call.get("body"), ""));
  request.timeoutMs = 5000;
  const answer = http.send(request);
  if (answer.failure) return Outcome.failed(answer.failure!);
  const found = answer.value.header("content-type");
  const type = found == null ? "null" : json.quote(found);
  const body = encoding.utf8Decode(answer.value.body);
  if (body.failure) return Outcome.failed(body.failure!);
  const status = answer.value.status.toString();
  return Outcome.done('{"status":' + status + ',"type":' + type + ',"body":' + json.quote(body.value) + "}");
}

function retry(call: Call): Outcome {
  const after = json.count(call.get("after_ms"));
  return Outcome.failed(new Failure("probe.later", call.text("text"), after < 0 ? 0 : after));
}

function big(call: Call): Outcome {
  const data = encoding.utf8Encode(call.data);
  const digest = crypto.digest("sha256", data);
  if (digest.failure) return Outcome.failed(digest.failure!);
  return Outcome.done('{"bytes":' + data.length.toString() + ',"sha256":' + hexOf(digest.value) + "}");
}
