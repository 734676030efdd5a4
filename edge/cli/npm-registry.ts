import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { EXIT, PorchlightError, systemCodeOf } from "../../shared/core/errors.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** npm starts in half a second; on a Pi with a cold card in some. */
const NPM_MS_MAX = 30_000;
const ANSWER_BYTES_MAX = 64 * 1024;

/**
 * The registry that npm would ask for a package: `npm config get` says it where npm is installed.
 * Elsewhere it is what npm would read first: the environment, then the owner's .npmrc.
 */
export async function npmRegistry(packageName: string, environment: Environment): Promise<URL> {
  const scope = packageName.startsWith("@") ? packageName.split("/")[0] : undefined;
  const keys = [...(scope === undefined ? [] : [`${scope}:registry`]), "registry"];
  const npm = await askNpm(keys, environment);
  const found = npm ?? keys.map((key) => configured(key, environment)).find(Boolean);
  if (found === undefined) throw noRegistry("no registry of npm's is configured here");
  if (!/^https?:\/\/./i.test(found) || !URL.canParse(found)) {
    throw noRegistry("the registry that npm is configured with is no http(s) address");
  }
  const registry = new URL(found.endsWith("/") ? found : `${found}/`);
  if (registry.username !== "" || registry.password !== "") {
    throw noRegistry("the address of the registry that npm is configured with holds a password");
  }
  return registry;
}

/**
 * What npm answers for the first of these keys that is set; undefined where there is no npm, or one
 * that does not run: its files can still be read.
 */
async function askNpm(
  keys: readonly string[],
  environment: Environment,
): Promise<string | undefined> {
  for (const key of keys) {
    const answer = await promisify(execFile)("npm", ["config", "get", key], {
      // No project's .npmrc speaks for the owner of this device; in the home folder, the owner's
      // would be taken for one.
      cwd: "/",
      env: { ...environment },
      timeout: NPM_MS_MAX,
      maxBuffer: ANSWER_BYTES_MAX,
    }).catch(() => undefined);
    const value = answer?.stdout.trim() ?? "";
    if (value !== "" && value !== "undefined" && value !== "null") return value;
  }
  return undefined;
}

function configured(key: string, environment: Environment): string | undefined {
  const wanted = `npm_config_${key}`;
  const named = Object.keys(environment).find((name) => name.toLowerCase() === wanted);
  const value = named === undefined ? undefined : environment[named];
  if (value !== undefined && value !== "") return value;
  const file = environment["npm_config_userconfig"] ?? join(homeOf(environment), ".npmrc");
  const setting = settingIn(textOf(file), key);
  return setting?.replace(/\$\{([^}]+)\}/g, (_, name: string) => environment[name] ?? "");
}

/** An .npmrc is lines of `key = value`, where a value may be quoted and name ${VARIABLES}. */
function settingIn(text: string, key: string): string | undefined {
  let found: string | undefined;
  for (const line of text.split(/\r?\n/)) {
    const [, name, value] = /^\s*([^#;=\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (name === key) found = value?.replace(/^(["'])(.*)\1$/, "$2");
  }
  return found;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (systemCodeOf(error) !== undefined) return "";
    throw error;
  }
}

function homeOf(environment: Environment): string {
  return environment["HOME"] ?? homedir();
}

function noRegistry(message: string): PorchlightError {
  return new PorchlightError("model.registry", message, {
    exitCode: EXIT.config,
    hint: "name one: npm_config_registry=https://REGISTRY/ porchlight models pull PACK",
  });
}
