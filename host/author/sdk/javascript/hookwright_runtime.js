// The layer between the plugin and the engine. The build imports it before the plugin's own modules and wraps what the
// plugin exports, so that the clock, random numbers and the console are the host's, and no mistake ends in a trap that
// says nothing.
import { nowMs } from 'hookwright:plugin/clock@0.1.0';
import { write } from 'hookwright:plugin/log@0.1.0';
import { bits } from 'hookwright:plugin/random@0.1.0';
import { failure, failureOf } from './hookwright.js';

// Modules are evaluated when the component is built, where there is no host: until the first call the engine's own
// clock and random numbers answer.
let called = false;
let instant;
let state;

const OwnDate = Date;
const ownRandom = Math.random;

function now() {
  if (!called) return OwnDate.now();
  instant ??= nowMs();
  return instant;
}

const HostDate = new Proxy(OwnDate, {
  construct: (date, given, target) => Reflect.construct(date, given.length > 0 ? given : [now()], target),
  apply: () => new OwnDate(now()).toString(),
  get: (date, name, receiver) => (name === 'now' ? now : Reflect.get(date, name, receiver)),
});
Object.defineProperty(OwnDate.prototype, 'constructor', { value: HostDate, writable: true, configurable: true });
globalThis.Date = HostDate;
globalThis.performance = { now, timeOrigin: 0 };

// sfc32, seeded by the host at the first use in each call.
function random() {
  if (!called) return ownRandom();
  state ??= Uint32Array.from([bits(), bits(), bits(), 1]);
  const sum = (state[0] + state[1] + state[3]) | 0;
  state[3] += 1;
  state[0] = state[1] ^ (state[1] >>> 9);
  state[1] = state[2] + (state[2] << 3);
  state[2] = ((state[2] << 21) | (state[2] >>> 11)) + sum;
  return (sum >>> 0) / 4294967296;
}
Math.random = random;

function shown(value) {
  if (typeof value === 'string') return value;
  if (value instanceof Error) return `${value}\n${value.stack ?? ''}`.trimEnd();
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

function logger(level) {
  return (...values) => {
    if (!called) return;
    for (const line of values.map(shown).join(' ').split('\n')) write(level, line, []);
  };
}

globalThis.console = {
  log: logger('info'),
  info: logger('info'),
  debug: logger('debug'),
  trace: logger('trace'),
  warn: logger('warn'),
  error: logger('error'),
};

function sort(value) {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value?.then === 'function') return 'a promise';
  return typeof value === 'object' ? 'an object' : `${shown(value).slice(0, 80)} (${typeof value})`;
}

const NUMBERS = { u8: [0, 255], u16: [0, 65535], u32: [0, 4294967295], s32: [-2147483648, 2147483647] };

/** What is wrong with a value where the WIT requires `shape`; undefined if it is valid. */
function mistake(shape, value, path) {
  const wrong = (wanted) => `${path} is ${sort(value)}: ${wanted} expected`;
  if (typeof shape === 'string') {
    if (shape === 'string') return typeof value === 'string' ? undefined : wrong('a string');
    if (shape === 'bool') return typeof value === 'boolean' ? undefined : wrong('a boolean');
    if (typeof value !== 'number') return wrong('a number');
    const [least, most] = NUMBERS[shape] ?? [-Infinity, Infinity];
    // A delay of 2^31 ms and more is given as the same 32 bits with a sign.
    const fits = shape === 'u32' ? value >= -2147483648 && value <= most : value >= least && value <= most;
    return fits && (shape === 'f64' || Number.isInteger(value)) ? undefined : wrong(`a whole number of ${least} to ${most}`);
  }
  const [kind, inner] = shape;
  if (kind === 'option') return value === undefined || value === null ? undefined : mistake(inner, value, path);
  if (kind === 'bytes') {
    const fits = value instanceof Uint8Array || (Array.isArray(value) && value.every(Number.isInteger));
    return fits ? undefined : wrong('a Uint8Array (utf8Encode makes one of text)');
  }
  if (kind === 'list') {
    if (!Array.isArray(value)) return wrong('a list');
    return value.map((item, place) => mistake(inner, item, `${path}[${place}]`)).find(Boolean);
  }
  if (kind === 'tuple') {
    if (!Array.isArray(value) || value.length !== inner.length) return wrong(`a list of ${inner.length}`);
    return inner.map((one, place) => mistake(one, value[place], `${path}[${place}]`)).find(Boolean);
  }
  if (typeof value !== 'object' || value === null || typeof value.then === 'function') return wrong('an object');
  if (kind === 'record') {
    return Object.entries(inner)
      .map(([name, one]) => mistake(one, value[name], `${path}.${name}`))
      .find(Boolean);
  }
  const cases = Object.keys(inner);
  if (!cases.includes(value.tag)) return `${path}.tag is ${sort(value.tag)}: one of ${cases.join(', ')} expected`;
  return inner[value.tag] === null ? undefined : mistake(inner[value.tag], value.val, `${path}.val`);
}

/** A function of the host that names the argument that it cannot take. The engine would trap. */
export function imported(name, call, parameters) {
  return (...given) => {
    parameters.forEach(([parameter, shape], place) => {
      const wrong = mistake(shape, given[place], parameter);
      if (wrong !== undefined) throw new TypeError(`${name}: ${wrong}`);
    });
    return call(...given);
  };
}

/** The plugin's exports, with every exception converted to a failure for the host. */
export function exported(name, own, functions) {
  const wrapped = {};
  for (const [entry, shape, fails] of functions) {
    if (typeof own?.[entry] !== 'function') {
      throw new Error(`the plugin does not export \`${name}\` with a function \`${entry}\``);
    }
    wrapped[entry] = (...given) => {
      [called, instant, state] = [true, undefined, undefined];
      try {
        const answer = own[entry](...given);
        const wrong = mistake(shape, answer, 'the answer');
        if (wrong === undefined) return answer;
        const hint = typeof answer?.then === 'function' ? '; make it a plain function: the host answers at once' : '';
        throw failure('plugin.result_invalid', `${name}.${entry}: ${wrong}${hint}`);
      } catch (error) {
        const known = failureOf(error);
        const [said, ...places] = known === undefined ? explained(error) : [`${known.code}: ${known.message}`];
        if (known === undefined || known.code === 'plugin.result_invalid') write('error', said, []);
        for (const place of places) write('error', `  ${place}`, []);
        const message = places.length > 0 ? `${said} (${places[0]})` : said;
        if (fails) throw known ?? failure('plugin.error', message);
        // Only a trap is left; the host reports the last printed error.
        write('error', message, []);
        throw error;
      }
    };
  }
  return wrapped;
}

/** An exception in one line, and its stack trace, the innermost frame first. */
function explained(error) {
  const places = String(error?.stack ?? '').split('\n').map((line) => line.trim());
  return [shown(error).split('\n')[0], ...places.filter((line) => line !== '' && !/hookwright_|\(native\)/.test(line))];
}
