/** A value as it is written; undefined where there is none. */
export type Slice = string | undefined;

/** The member of an object (the last one of that name), or the item of a list where the name is a position. */
export function get(value: Slice, name: string): Slice;

/** Follows names with dots between them. */
export function follow(value: Slice, path: string): Slice;

/** The content of a string; undefined if the value is not a string. */
export function text(value: Slice): string | undefined;

/** A whole number that is not negative; undefined if it is not one. */
export function count(value: Slice): number | undefined;

/** Whether two values are the same: members in any order, numbers by how they are written. */
export function equal(one: Slice, other: Slice): boolean;

/** The value without whitespace. */
export function compact(value: Slice, otherwise: string): string;
