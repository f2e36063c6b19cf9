// The action `probe-action` (see ../../../README.md).
import type { Action, Outcome } from 'hookwright:plugin/action@0.1.0';
import * as clock from 'hookwright:plugin/clock@0.1.0';
import * as crypto from 'hookwright:plugin/crypto@0.1.0';
import * as encoding from 'hookwright:plugin/encoding@0.1.0';
import * as events from 'hookwright:plugin/events@0.1.0';
import * as http from 'hookwright:plugin/http@0.1.0';
import * as kv from 'hookwright:plugin/kv@0.1.0';
import * as log from 'hookwright:plugin/log@0.1.0';
import type { Metadata } from 'hookwright:plugin/metadata@0.1.0';
import * as random from 'hookwright:plugin/random@0.1.0';
import * as tickets from 'hookwright:plugin/tickets@0.1.0';
import type { Event } from 'hookwright:plugin/types@0.1.0';
import { failure, failureOf, guarded, retry } from './hookwright.js';
import * as json from './json.js';

/** One call: the event, and its parameters. */
class Call {
  constructor(
    readonly event: Event,
    readonly parameters: string,
  ) {}

  /** A parameter as JSON. */
  value(name: string, otherwise: string): string {
    return json.compact(json.get(this.parameters, name), otherwise);
  }

  /** A parameter that is a string; undefined if it is not one. */
  given(name: string): string | undefined {
    return json.text(json.get(this.parameters, name));
  }

  /** A parameter that is a string; empty if it is not one. */
  text(name: string): string {
    return this.given(name) ?? '';
  }

  /** A parameter that is a string or a number. */
  id(name: string): string {
    return this.given(name) ?? this.value(name, '');
  }

  /** A parameter that is an integer; undefined if it is not one. */
  count(name: string): number | undefined {
    return json.count(json.get(this.parameters, name));
  }
}

const done = (val: string): Outcome => ({ tag: 'done', val });
const result = (value: unknown): Outcome => done(JSON.stringify(value));
const skipped = (val: string): Outcome => ({ tag: 'skipped', val });

function verifies(algorithm: string, secret: string, data: Uint8Array, code: Uint8Array): boolean {
  try {
    crypto.verifyHmac(algorithm, secret, data, code);
    return true;
  } catch (error) {
    if (failureOf(error) === undefined) throw error;
    return false;
  }
}

const PROBES: Record<string, (call: Call) => Outcome> = {
  echo: (call) => done(call.event.data),
  unicode: (call) => {
    const text = call.text('text');
    const bytes = encoding.utf8Encode(text);
    return result({ bytes: bytes.length, hex: encoding.hexEncode(bytes), same: encoding.utf8Decode(bytes) === text });
  },
  numbers: ({ event }) => {
    const every = json.compact(json.get(event.data, 'numbers'), 'null');
    const first = json.compact(json.follow(event.data, 'numbers.0'), 'null');
    return done(`{"numbers":${every},"first":${first}}`);
  },
  hash: (call) => {
    const digest = crypto.digest(call.text('algorithm'), encoding.utf8Encode(call.text('text')));
    return result({ hex: encoding.hexEncode(digest) });
  },
  hmac: (call) => {
    const [algorithm, secret, data] = [call.text('algorithm'), call.text('secret'), encoding.utf8Encode(call.text('text'))];
    const code = crypto.hmac(algorithm, secret, data);
    const wrong = code.slice();
    wrong[wrong.length - 1]! ^= 1;
    const verified = verifies(algorithm, secret, data, code);
    return result({ hex: encoding.hexEncode(code), verified, refused: !verifies(algorithm, secret, data, wrong) });
  },
  base64: (call) => {
    const given = call.given('decode');
    if (given !== undefined) return result({ hex: encoding.hexEncode(encoding.base64Decode(given)) });
    const text = call.text('text');
    const base64 = encoding.base64Encode(encoding.utf8Encode(text));
    return result({ base64, same: encoding.utf8Decode(encoding.base64Decode(base64)) === text });
  },
  time: () => result({ now: clock.now(), ms: clock.nowMs() }),
  random: () => {
    const [one, other] = [random.uuid(), random.uuid()];
    random.bits();
    return result({ bytes: random.bytes(16).length, uuid: one.length, differs: one !== other });
  },
  log: (call) => {
    const text = call.text('text');
    log.write('warn', text, [['probe', 'log']]);
    log.print(encoding.utf8Encode(`${text}\n`));
    return result({ logged: 2 });
  },
  ticket: (call) => {
    const id = call.id('id');
    const before = tickets.get(id);
    if (before == null) return skipped(`there is no ticket ${id}`);
    const after = tickets.update(id, call.value('changes', '{}'));
    return done(`{"before":${before},"after":${after}}`);
  },
  note: (call) => {
    const isPublic = call.value('public', '') === 'true';
    return result({ note: tickets.addNote(call.id('id'), call.text('text'), isPublic) });
  },
  emit: (call) => result({ event: events.emit(call.text('type'), call.given('subject'), call.value('data', 'null')) }),
  kv: (call) => {
    const key = call.text('key');
    const held = () => {
      const bytes = kv.get(key);
      return bytes == null ? null : encoding.utf8Decode(bytes);
    };
    const before = held();
    kv.set(key, encoding.utf8Encode(call.text('value')), call.count('ttl_seconds'));
    const after = held();
    const keys = kv.keys(key, 10).length;
    const removes = call.value('remove', '') === 'true';
    if (removes) kv.remove(key);
    return result({ before, after, keys, removed: removes && kv.get(key) == null });
  },
  http: (call) => {
    const answer = http.send({
      method: call.text('method') || 'POST',
      url: call.text('url'),
      headers: [
        ['content-type', 'application/json'],
        ['x-probe', 'http'],
      ],
      body: encoding.utf8Encode(call.value('body', '')),
      timeoutMs: 5000,
    });
    const type = answer.headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? null;
    return result({ status: answer.status, type, body: encoding.utf8Decode(answer.body) });
  },
  fail: (call) => {
    throw failure('probe.failed', call.text('text'));
  },
  retry: (call) => {
    throw retry('probe.later', call.text('text'), call.count('after_ms') ?? 0);
  },
  skip: (call) => skipped(call.text('text')),
  big: ({ event }) => {
    const data = encoding.utf8Encode(event.data);
    return result({ bytes: data.length, sha256: encoding.hexEncode(crypto.digest('sha256', data)) });
  },
};

export const metadata: Metadata = {
  describe: () => ({
    name: 'probe-action',
    version: '0.1.0',
    summary: 'Calls the host in every way and tells what came back',
    parameters: '{"type":"object"}',
    hints: [],
  }),
};

export const action: Action = {
  run: guarded((event, parameters) => {
    const call = new Call(event, parameters);
    const probe = Object.hasOwn(PROBES, call.text('do')) ? PROBES[call.text('do')] : undefined;
    if (probe) return probe(call);
    const known = Object.keys(PROBES).join(', ');
    throw failure('parameters.invalid', `\`do\` is ${call.value('do', 'nothing')}: write one of ${known}`);
  }),
};
