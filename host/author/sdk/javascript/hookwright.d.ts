import type { Failure } from 'hookwright:plugin/types@0.1.0';

/** A permanent failure; throw it. The code is `noun.problem`. */
export function failure(code: string, message: string): Failure;

/** A failure after which the step is retried, not before this number of milliseconds; 0 leaves the delay to the step. */
export function retry(code: string, message: string, milliseconds?: number): Failure;

/** The failure in an exception; undefined if it has none. */
export function failureOf(error: unknown): Failure | undefined;

/** The name under which a source's plugin finds the secret that the source was created with. */
export const SIGNING_SECRET: string;

/**
 * Whether a check of the host's succeeds: false for a wrong code or token, which the sender is to blame for. A check that
 * could not be made, as without the secret, throws.
 */
export function verified(check: () => void): boolean;

/** Wraps an entry, so that an `Error` becomes a failure. The build does so for what the plugin exports. */
export function guarded<A extends unknown[], R>(entry: (...args: A) => R): (...args: A) => R;
