/** What a verb may say: data on stdout, words on stderr, bars only on a terminal. */
import { printable } from "../core/printable.ts";

export interface Terminal {
  /** True with --json: `data` is printed as JSON, and everything else stays on stderr. */
  readonly json: boolean;
  /** Whether a person can be asked. */
  readonly interactive: boolean;
  /** The verb's answer: JSON on one line with --json, else the words. */
  data(value: unknown, words: string): void;
  /** A line for people. */
  note(text: string): void;
  /** A progress bar on a terminal; nothing elsewhere. */
  progress(label: string, done: number, total: number): void;
}

export interface TerminalStreams {
  readonly out: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly err: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly in: { readonly isTTY?: boolean };
}

const BAR_WIDTH = 24;

export function createTerminal(streams: TerminalStreams, json: boolean): Terminal {
  const { out, err } = streams;
  let barShown = false;
  const clearBar = (): void => {
    if (barShown) err.write("\r\x1b[K");
    barShown = false;
  };
  return {
    json,
    interactive: streams.in.isTTY === true && err.isTTY === true,
    data(value, words) {
      clearBar();
      if (json) out.write(`${JSON.stringify(value)}\n`);
      else if (words !== "") out.write(`${printable(words)}\n`);
    },
    note(text) {
      clearBar();
      err.write(`${printable(text)}\n`);
    },
    progress(label, done, total) {
      if (err.isTTY !== true) return;
      const filled = total === 0 ? 0 : Math.round((done / total) * BAR_WIDTH);
      const bar = "█".repeat(filled).padEnd(BAR_WIDTH, "░");
      err.write(`\r\x1b[K${printable(label)} ${bar} ${done}/${total}`);
      barShown = true;
      if (done >= total) clearBar();
    },
  };
}

/** A table with a header, columns as wide as their widest cell. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_, i) => Math.max(...all.map((row) => (row[i] ?? "").length)));
  return all
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
