// Functions that the language's own library needs: the end of a program, and the console. The build passes both to the compiler.

import { log as lines } from "./host";

/** Logs what ended the program, and where, before the call ends. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const said = message === null ? "abort" : message;
  const place = file === null ? "" : " at " + file + ":" + line.toString() + ":" + column.toString();
  lines.write("error", "aborted" + place + ": " + said, []);
  unreachable();
}

export namespace console {
  export function log(message: string = ""): void {
    write("info", message);
  }
  export function info(message: string = ""): void {
    write("info", message);
  }
  export function debug(message: string = ""): void {
    write("debug", message);
  }
  export function warn(message: string = ""): void {
    write("warn", message);
  }
  export function error(message: string = ""): void {
    write("error", message);
  }
}

function write(level: string, message: string): void {
  lines.write(level, message, []);
}
