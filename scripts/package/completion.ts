/** Completion for bash and zsh, from the table that a command line's help is made of. */
import { EVERYWHERE } from "../../shared/cli/help.ts";
import { labelOf, type OptionTable } from "../../shared/cli/options.ts";
import type { CommandTable } from "../../shared/cli/program.ts";
import type { Call } from "../../shared/cli/verb.ts";

interface Completed {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly CompletedOption[];
}

interface CompletedOption {
  readonly flag: string;
  readonly takes: "nothing" | "file" | "folder" | "text";
  readonly help: string;
}

export function bashCompletion<I extends Call, C extends OptionTable>(
  commands: CommandTable<I, C>,
): string {
  const { name } = commands;
  const verbs = completed(commands);
  const cases = verbs.map((verb) => {
    const flags = verb.options.map(({ flag }) => flag).join(" ");
    return `    ${quoted(verb.name)}) options=${quoted(flags)} ;;`;
  });
  const values = (takes: CompletedOption["takes"]): string =>
    [
      ...new Set(
        verbs.flatMap(({ options }) =>
          options.filter((option) => option.takes === takes).map(({ flag }) => flag),
        ),
      ),
    ].join(" | ") || "''";
  return `# bash completion for ${name}
_${identifier(name)}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]}
  local verbs=${quoted(verbs.map((verb) => verb.name).join("\n"))}
  local verb='' options='' typed
  COMPREPLY=()
  case $previous in
    ${values("folder")}) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    ${values("file")}) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    ${values("text")}) return ;;
  esac
  for typed in "\${COMP_WORDS[1]-} \${COMP_WORDS[2]-}" "\${COMP_WORDS[1]-}"; do
    if [[ $COMP_CWORD -gt 1 && $'\\n'$verbs$'\\n' == *$'\\n'"$typed"$'\\n'* ]]; then
      # The word that is being typed is no part of the command yet.
      [[ $typed == *' '* && $COMP_CWORD -eq 2 ]] && continue
      verb=$typed
      break
    fi
  done
  if [[ -z $verb ]]; then
    local words
    if [[ $COMP_CWORD -eq 1 ]]; then
      words=$(cut -d ' ' -f 1 <<< "$verbs" | sort -u)
    elif [[ $COMP_CWORD -eq 2 ]]; then
      words=$(grep "^\${COMP_WORDS[1]} " <<< "$verbs" | cut -d ' ' -f 2)
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    return
  fi
  case $verb in
${cases.join("\n")}
  esac
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
  else
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  fi
}
complete -F _${identifier(name)} ${name}
`;
}

export function zshCompletion<I extends Call, C extends OptionTable>(
  commands: CommandTable<I, C>,
): string {
  const { name } = commands;
  const verbs = completed(commands);
  const groups = new Map<string, Completed[]>();
  for (const verb of verbs) {
    const [first = ""] = verb.name.split(" ");
    groups.set(first, [...(groups.get(first) ?? []), verb]);
  }
  const firsts = [...groups].map(([first, [only, ...more]]) => {
    const alone = more.length === 0 && only?.name === first;
    return described(first, alone ? only.summary : secondWords(groups.get(first) ?? []));
  });
  const cases = [...groups].map(([first, inGroup]) => {
    const single = inGroup.find((verb) => verb.name === first);
    if (single !== undefined) return `    ${first}) ${argumentsOf(single, 2)} ;;`;
    const seconds = inGroup.map((verb) => described(second(verb), verb.summary)).join(" ");
    const inner = inGroup.map((verb) => `        ${second(verb)}) ${argumentsOf(verb, 3)} ;;`);
    return `    ${first})
      if (( CURRENT == 3 )); then
        local -a seconds=(${seconds})
        _describe -t commands 'command' seconds
        return
      fi
      case $words[3] in
${inner.join("\n")}
      esac
      ;;`;
  });
  return `#compdef ${name}
_${identifier(name)}() {
  if (( CURRENT == 2 )); then
    local -a verbs=(${firsts.join(" ")})
    _describe -t commands 'command' verbs
    return
  fi
  case $words[2] in
${cases.join("\n")}
  esac
}
_${identifier(name)} "$@"
`;
}

function completed<I extends Call, C extends OptionTable>({
  verbs,
  options: common,
}: CommandTable<I, C>): Completed[] {
  return verbs.map(({ name, summary, options }) => ({
    name,
    summary,
    options: Object.entries({ ...options, ...common, ...EVERYWHERE }).map(([long, option]) => ({
      flag: labelOf(long),
      takes: kindOf(option.placeholder),
      help: option.help,
    })),
  }));
}

/** What a shell proposes for a value, by what stands for it in the help. */
function kindOf(placeholder: string | null): CompletedOption["takes"] {
  if (placeholder === null) return "nothing";
  if (/^(FILE|BUNDLE)/.test(placeholder)) return "file";
  return placeholder.startsWith("DIR") ? "folder" : "text";
}

const second = (verb: Completed): string => verb.name.split(" ")[1] ?? "";
const secondWords = (verbs: readonly Completed[]): string => verbs.map(second).join(", ");

/** For _describe: a word, a colon, what it is. */
function described(word: string, text: string): string {
  return quoted(`${word.replaceAll(":", "\\:")}:${text}`);
}

/** A call of _arguments that leaves out the words of the command. */
function argumentsOf({ options }: Completed, wordCount: number): string {
  const specs = options.map(({ flag, takes, help }) => {
    const text = help.replace(/[[\]\\:]/g, "\\$&");
    const action = {
      nothing: "",
      file: ":file:_files",
      folder: ":folder:_files -/",
      text: ":value:",
    };
    return quoted(`${flag}[${text}]${action[takes]}`);
  });
  return `shift ${wordCount - 1} words; (( CURRENT -= ${wordCount - 1} )); _arguments ${specs.join(" ")} '*:file:_files'`;
}

function identifier(name: string): string {
  return name.replaceAll("-", "_");
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
