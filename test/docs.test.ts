/** What the pages say is there: links, files, commands, settings, scripts. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as assert from "uvu/assert";
import { z } from "zod";
import { VERBS as CLOUD_VERBS } from "../cloud-sync/cli/verbs.ts";
import { cloudConfigSchema } from "../cloud-sync/config/schema.ts";
import { VERBS as DEVICE_VERBS } from "../edge/cli/verbs.ts";
import { deviceConfigSchema } from "../edge/config/schema.ts";
import type { OptionTable } from "../shared/cli/options.ts";
import { leavesOf } from "../shared/core/config-schema.ts";
import { ENTRY_DATA } from "../shared/log/entry.ts";
import { suite } from "./support/suite.ts";

const docs = suite("the pages");

const PAGES = [
  "README.md",
  "ARCHITECTURE.md",
  "test/support/README.md",
  ...readdirSync("docs")
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
].map((path) => ({ path, text: readFileSync(path, "utf8") }));

const SCRIPTS = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readFileSync("package.json", "utf8"))).scripts;

/** Of every command of both programs. */
const COMMON = ["json", "help", "version", "config", "data"];
const PROGRAMS: Readonly<
  Record<string, readonly { readonly name: string; readonly options: OptionTable }[]>
> = { porchlight: DEVICE_VERBS, "porchlight-cloud": CLOUD_VERBS };

/** Command lines in fenced blocks and in backticks. */
function commandsOf(text: string): string[] {
  const blocks = [...text.matchAll(/^```(?:sh|bash|console)?\n([\s\S]*?)^```/gm)].flatMap(
    ([, block = ""]) => block.replaceAll("\\\n", " ").split("\n"),
  );
  const inline = [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = ""]) => code);
  return [...blocks, ...inline].flatMap((line) =>
    line
      .replace(/(^|\s)#.*$/, "")
      .split(/&&|\|\||[|;]/)
      .map((part) => part.trim())
      .filter(Boolean),
  );
}

/** The words of a command line after `sudo`, and the program it calls. */
function callOf(command: string): { readonly program: string; readonly words: string[] } {
  const words = command.split(/\s+/).filter((word) => !/^(sudo|exec|[A-Z_]+=\S*)$/.test(word));
  const [first = "", ...rest] = words;
  return { program: first.replace(/^(?:\.?\/?bin\/|\/usr\/bin\/)/, ""), words: rest };
}

for (const { path, text } of PAGES) {
  docs(`${path}: every relative link leads somewhere`, () => {
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
    const broken = links
      .filter((link) => !/^(https?:|mailto:|#)/.test(link))
      .filter((link) => !existsSync(join(dirname(path), link.replace(/#.*$/, ""))));
    assert.equal(broken, []);
  });

  docs(`${path}: every file of ours that it names is there`, () => {
    const named = [
      ...text.matchAll(/`((?:edge|cloud-sync|shared|test|scripts|systemd|docs|bin)\/[\w./@-]+)`/g),
    ].map(([, name = ""]) => name);
    assert.equal(
      named.filter((name) => !existsSync(name) && !existsSync(name.replace(/\.js$/, ".ts"))),
      [],
    );
  });

  docs(`${path}: every command of ours is one, with options that it has`, () => {
    const wrong: string[] = [];
    for (const command of commandsOf(text)) {
      const { program, words } = callOf(command);
      const verbs = PROGRAMS[program];
      const [one = "", two = ""] = words;
      // The program alone, or its kinds of commands, as prose names them.
      if (verbs === undefined || !/^[a-z]/.test(one)) continue;
      const verb =
        verbs.find(({ name }) => name === `${one} ${two}`) ??
        verbs.find(({ name }) => name === one);
      const group = two === "" && verbs.some(({ name }) => name.startsWith(`${one} `));
      if (verb === undefined && !group) wrong.push(command);
      const known = [...COMMON, ...Object.keys(verb?.options ?? {})];
      const options = words.flatMap((word) => /^--([a-z-]+)/.exec(word)?.[1] ?? []);
      if (verb === undefined) continue;
      for (const option of options) {
        if (!known.includes(option)) wrong.push(`${command}: --${option}`);
      }
    }
    assert.equal(wrong, []);
  });

  docs(`${path}: every npm script is one`, () => {
    const called = commandsOf(text).flatMap((command) => {
      const [, script] = /^npm run (?:--silent )?([\w:]+)/.exec(command) ?? [];
      return script === undefined ? [] : [script];
    });
    assert.equal(
      called.filter((script) => !Object.hasOwn(SCRIPTS, script)),
      [],
    );
  });
}

docs("every setting that a page names is one", () => {
  const known = new Set(
    [deviceConfigSchema, cloudConfigSchema].flatMap((schema) =>
      leavesOf(schema).flatMap(({ path }) => path.map((_, i) => path.slice(0, i + 1).join("."))),
    ),
  );
  const sections = new Set([...known].map((key) => key.split(".")[0]));
  const wrong = PAGES.filter(
    ({ path }) => !/log-format|benchmarks|dependencies/.test(path),
  ).flatMap(({ path, text }) =>
    [...text.matchAll(/`([a-z]+(?:\.[a-zA-Z]+)+)`/g)]
      .map(([, key = ""]) => key)
      .filter((key) => sections.has(key.split(".")[0]) && !Object.hasOwn(ENTRY_DATA, key))
      .filter((key) => !known.has(key) && !/\.(ts|md|yaml|json|db|key|pem|jpg|sock)$/.test(key))
      .map((key) => `${path}: ${key}`),
  );
  assert.equal(wrong, []);
});

docs("the map of test/support names every file in it, once", () => {
  const map = PAGES.find(({ path }) => path === "test/support/README.md")?.text ?? "";
  const named = [...map.matchAll(/`([\w-]+\.\w+)`/gi)].map(([, name]) => name);
  const there = readdirSync("test/support").filter((name) => name !== "README.md");
  assert.equal([...named].sort(), [...there].sort());
});

docs.run();
