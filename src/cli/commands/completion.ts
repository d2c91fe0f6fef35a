import { type Command, Help } from "commander";
import { SECRET_EXPOSURES } from "../../contract/secret.ts";
import { KEEP_VM, TASK_STATES } from "../../contract/task.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { CLIENT_IDS } from "./gen-config.ts";

export function addCompletion(program: Command): void {
  program
    .command("completion")
    .description("Print a completion script for a shell.")
    .argument("<shell>", "bash, zsh or fish")
    .addHelpText(
      "after",
      `
Examples:
  $ source <(firebreak completion bash)
  $ firebreak completion fish > ~/.config/fish/completions/firebreak.fish`,
    )
    .action((shell: string) => {
      const words = new Map<string, string[]>();
      collectWords(program, [], words);
      const script = { bash: bashScript, zsh: zshScript, fish: fishScript }[shell];
      if (script === undefined)
        throw new FirebreakError("INVALID_ARGUMENT", `no completion for '${shell}'`, { hint: "bash, zsh or fish" });
      process.stdout.write(script(words));
    });
}

const AGENTS = ["claude", "codex", "gemini", "opencode", "copilot", "command"];
/** What may follow a word, beside what commander knows: values of options and arguments. */
const VALUES: Record<string, string[]> = {
  "--accel": ["auto", "kvm", "tcg"],
  "--driver": ["auto", "qemu", "firecracker"],
  "--image": ["debian"],
  "-i": ["debian"],
  "--client": CLIENT_IDS,
  "--scope": ["user", "project"],
  "--transport": ["stdio", "http"],
  "--agent": AGENTS,
  "--network": ["none", "allowlist", "public", "nat"],
  "--keep-vm": [...KEEP_VM],
  "--state": [...TASK_STATES],
  "--restart": ["never", "on-failure", "always"],
  "--on-expiry": ["stop", "suspend", "delete"],
  "--expose": [...SECRET_EXPOSURES],
  "--by": ["agent", "user", "model", "day", "task", "label:"],
};
const ARGUMENTS: Record<string, string[]> = {
  "agent get": AGENTS,
  completion: ["bash", "zsh", "fish"],
  "image build": ["debian"],
  "kernel use": ["stock"],
  "kernel verify": ["stock"],
};

/** Per command path ("vm create") the words that may follow it. */
function collectWords(command: Command, path: string[], words: Map<string, string[]>): void {
  const options = command.options.map((option) => option.long ?? option.short ?? "");
  // Not those that only other programs start.
  const children = new Help().visibleCommands(command).map((child) => child.name());
  words.set(path.join(" "), [...children, ...(ARGUMENTS[path.join(" ")] ?? []), ...options, "--help"]);
  for (const child of command.commands) collectWords(child, [...path, child.name()], words);
}

/** What a command's first argument names, and the sed expression that finds such names in the JSON of a listing. */
const NAMED: { commands: RegExp; listing: string; expression: string }[] = [
  {
    commands:
      /^(vm (get|start|stop|pause|resume|suspend|fork|delete|exec|shell|ssh|execs|attach|kill|cp|logs|stats|wait|update|probe|plan|events|policy (get|set))|snapshot create|forward (create|list)|egress log|event list|drive (attach|detach)|workspace (push|pull|status|detach)|artifact create)$/,
    listing: "vm list",
    expression: 's/^      "name": "\\(.*\\)",*$/\\1/p',
  },
  {
    commands: /^snapshot (get|restore|fork|delete)$/,
    listing: "snapshot list",
    expression: 's/^      "name": "\\(.*\\)",*$/\\1/p',
  },
  {
    commands: /^(drive (get|grow|delete|upload)|volume (get|delete))$/,
    listing: "drive list",
    expression: 's/^      "name": "\\(.*\\)",*$/\\1/p',
  },
  {
    commands: /^secret (get|set|rotate|delete)$/,
    listing: "secret list",
    expression: 's/^      "name": "\\(.*\\)",*$/\\1/p',
  },
  {
    commands: /^(server (get|scan|approve|start|stop|login|logout|logs|update|delete)|mcp run)$/,
    listing: "server list",
    expression: 's/^      "name": "\\(.*\\)",*$/\\1/p',
  },
  {
    commands: /^task (get|wait|logs|cancel|retry|files|file|delete)$/,
    listing: "task list",
    expression: 's/^      "id": "\\(.*\\)",*$/\\1/p',
  },
  { commands: /^key revoke$/, listing: "key list", expression: 's/^      "name": "\\(.*\\)",*$/\\1/p' },
  {
    commands: /^forward (get|delete)$/,
    listing: "forward list",
    expression: 's/^      "id": "\\(.*\\)",*$/\\1/p',
  },
  { commands: /^template delete$/, listing: "template list", expression: 's/^      "id": "\\(.*\\)",*$/\\1/p' },
];

function bashScript(words: Map<string, string[]>): string {
  const cases = [...words].map(
    ([path, next]) => `    ${JSON.stringify(path)}) words=${JSON.stringify(next.join(" "))} ;;`,
  );
  const values = Object.entries(VALUES).map(
    ([flag, next]) => `    ${flag}) words=${JSON.stringify(next.join(" "))} ;;`,
  );
  // Names are asked of a daemon that runs; completion starts none.
  const names = NAMED.map(({ commands, listing, expression }) => {
    const paths = [...words.keys()].filter((path) => commands.test(path)).map((path) => JSON.stringify(path));
    return `    ${paths.join("|")})
      if "\${COMP_WORDS[0]}" daemon status >/dev/null 2>&1; then
        words="$words $("\${COMP_WORDS[0]}" ${listing} --json 2>/dev/null | sed -n '${expression}')"
      fi ;;`;
  });
  const known = [...words.keys()]
    .filter((path) => path !== "")
    .map((path) => JSON.stringify(path))
    .join("|");
  return `_firebreak() {
  local path="" words="" word
  # What is no command is an argument, or the value of an option: the command before it goes on.
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${path:+$path }$word" in
      ${known}) path="\${path:+$path }$word" ;;
    esac
  done
  case $path in
${cases.join("\n")}
  esac
  case $path in
${names.join("\n")}
  esac
  case \${COMP_WORDS[COMP_CWORD-1]} in
${values.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _firebreak firebreak
`;
}

function zshScript(words: Map<string, string[]>): string {
  return `autoload -U +X bashcompinit && bashcompinit\n${bashScript(words)}`;
}

function fishScript(words: Map<string, string[]>): string {
  const lines = [...words].flatMap(([path, next]) => {
    const condition = path === "" ? "__fish_use_subcommand" : `__fish_seen_subcommand_from ${path.split(" ").at(-1)}`;
    return next.map((word) =>
      word.startsWith("--")
        ? `complete -c firebreak -n '${condition}' -l ${word.slice(2)}`
        : `complete -c firebreak -n '${condition}' -f -a ${word}`,
    );
  });
  return `${lines.join("\n")}\n`;
}
