import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { COMMANDS as CLOUD_COMMANDS } from "../../cloud-sync/cli/commands.ts";
import { COMMANDS } from "../../edge/cli/commands.ts";
import { bashCompletion, zshCompletion } from "../../scripts/package/completion.ts";
import { manPage } from "../../scripts/package/man-page.ts";
import { usageLine } from "../../shared/cli/help.ts";
import { helpOf } from "../../shared/cli/options.ts";
import { needsProgram } from "../support/needs.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";

const words = suite("manual pages and completion, from the table of commands");
const folder = tempFolder("words");
const PAGE = { version: "1.2.3", dateS: 0, files: [["/etc/x", "it's"]], seeAlso: "y(1)" } as const;
words.after(() => folder.remove());

function written(name: string, text: string): string {
  const file = join(folder.path, name);
  writeFileSync(file, text);
  return file;
}

function printed(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  const options = { encoding: "utf8", env: { ...process.env, ...env } } as const;
  const { status, stdout, stderr } = spawnSync(program, args, options);
  assert.is(status, 0, stderr);
  assert.is(stderr, "");
  return stdout;
}

if (needsProgram("man", "man-db")) {
  words("man prints every command, option and example, and has nothing to complain of", () => {
    for (const [name, page, verbs] of [
      ["porchlight", manPage(COMMANDS, PAGE), COMMANDS.verbs],
      ["porchlight-cloud", manPage(CLOUD_COMMANDS, PAGE), CLOUD_COMMANDS.verbs],
    ] as const) {
      const file = written(`${name}.1`, page);
      const env = { LC_ALL: "C.UTF-8", MANWIDTH: "200", MANROFFSEQ: "" };
      const text = printed("man", ["--warnings", "-l", file], env);
      assert.match(text, `${name} 1.2.3`);
      for (const verb of verbs) {
        for (const said of [usageLine(name, verb), verb.example]) {
          assert.match(text.replaceAll(/\s+/g, " "), said.replaceAll(/\s+/g, " "));
        }
        for (const [option] of helpOf(verb.options)) assert.match(text, option);
      }
    }
  });
}

/** What bash offers for a command line, whose last word is being typed. */
function bash(commands: Parameters<typeof bashCompletion>[0], ...typed: string[]): string[] {
  const file = written("completion.bash", bashCompletion(commands));
  // compopt works only while bash itself completes.
  const script = `compopt() { :; }; . "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    _\${1//-/_}; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const args = ["--norc", "-c", script, file, commands.name, ...typed];
  return printed("bash", args, { LC_ALL: "C" }).split("\n").filter(Boolean);
}

words("bash offers commands, their second words, options, and files", () => {
  const firsts = bash(COMMANDS, "");
  assert.equal(firsts, [...new Set(COMMANDS.verbs.map(({ name }) => name.split(" ")[0]))].sort());
  assert.equal(bash(COMMANDS, "pe"), ["people"]);
  const people = COMMANDS.verbs.flatMap(({ name }) => /^people (.*)$/.exec(name)?.[1] ?? []);
  assert.ok(people.length > 3);
  assert.equal(bash(COMMANDS, "people", "").sort(), [...people].sort());
  assert.equal(bash(COMMANDS, "people", "ren").sort(), ["rename"]);
  assert.equal(bash(COMMANDS, "uninstall", "--"), [
    "--root",
    "--purge",
    "--yes",
    "--config",
    "--data",
    "--json",
    "--help",
  ]);
  assert.ok(bash(COMMANDS, "people", "list", "--j").includes("--json"));
  assert.equal(bash(COMMANDS, "install", "--root", join(folder.path, "..", "porchlight-wor")), [
    join(folder.path, "..", folder.path.split("/").at(-1) ?? ""),
  ]);
  assert.equal(bash(COMMANDS, "install", "--address", ""), []);
  assert.equal(bash(CLOUD_COMMANDS, "dead-letters", "r"), ["retry"]);
});

if (needsProgram("zsh", "zsh")) {
  /** What zsh is given to offer. */
  const zsh = (commands: Parameters<typeof zshCompletion>[0], ...typed: string[]): string[] => {
    const file = written(`_${commands.name}`, zshCompletion(commands));
    const script = `_describe() { print -l -- "\${(@P)4}" }; _arguments() { print -l -- "$@" }
      words=("$@"); CURRENT=$#; source "$0"`;
    const args = ["-fc", script, file, commands.name, ...typed];
    return printed("zsh", args).split("\n").filter(Boolean);
  };

  words("zsh offers the same, and says what each is", () => {
    assert.ok(zsh(COMMANDS, "").some((line) => line.startsWith("init:")));
    assert.ok(zsh(COMMANDS, "").some((line) => line.startsWith("people:list, show, ")));
    assert.ok(zsh(COMMANDS, "people", "").some((line) => /^remove:.{10}/.test(line)));
    const options = zsh(COMMANDS, "install", "--");
    assert.ok(
      options.some((line) => /^--root\[an image's root folder.*\]:folder:_files -\/$/.test(line)),
    );
    assert.ok(options.includes("*:file:_files"));
    assert.ok(zsh(COMMANDS, "people", "list", "").some((line) => line.startsWith("--json[")));
    assert.ok(zsh(CLOUD_COMMANDS, "sinks", "").some((line) => line.startsWith("rejects:")));
  });
}

words.run();
