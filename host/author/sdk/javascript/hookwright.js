// Helpers for every plugin: failures, and an entry that never traps.

/** The name under which a source's plugin finds the secret that the source was created with. */
export const SIGNING_SECRET = 'signing-secret';

/** A permanent failure; throw it. The code is `noun.problem`. A plain object, since the host takes no `Error`. */
export function failure(code, message) {
  return { code: String(code), message: String(message), retryAfterMs: undefined };
}

/**
 * A failure after which the step is retried, not before this number of milliseconds; 0 leaves the delay to the step. The engine
 * cuts counts of 2^31 and more at 2^31 - 1, unless they are given as the same 32 bits with a sign.
 */
export function retry(code, message, milliseconds = 0) {
  return { code: String(code), message: String(message), retryAfterMs: milliseconds | 0 };
}

/** The failure in an exception; undefined if it has none. */
export function failureOf(error) {
  const found = error?.payload ?? error;
  return typeof found?.code === 'string' ? found : undefined;
}

/**
 * Whether a check of the host's succeeds: false for a wrong code or token, which the sender is to blame for. A check that
 * could not be made, as without the secret, throws.
 */
export function verified(check) {
  try {
    check();
    return true;
  } catch (error) {
    if (failureOf(error)?.code === 'signature.wrong') return false;
    throw error;
  }
}

/**
 * Wraps the plugin's entry, so that an `Error` becomes a failure with the code `plugin.error`, here rather than at the
 * build's own wrapper: for entries that tests call directly. Failures, the host's among them, pass through.
 */
export function guarded(entry) {
  return (...args) => {
    try {
      return entry(...args);
    } catch (error) {
      if (failureOf(error) === undefined) console.error(error);
      const frame = String(error?.stack ?? '').split('\n').find((line) => line.trim() !== '');
      const place = frame === undefined ? '' : ` (${frame.trim()})`;
      throw failureOf(error) ?? failure('plugin.error', `${error}${place}`);
    }
  };
}
