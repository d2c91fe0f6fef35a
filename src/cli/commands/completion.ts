import type { Command } from "commander";
import { FirebreakError } from "../../errors/firebreak-error.ts";

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

/** Per command path ("vm create") the words that may follow it. */
function collectWords(command: Command, path: string[], words: Map<string, string[]>): void {
  const options = command.options.map((option) => option.long ?? option.short ?? "");
  words.set(path.join(" "), [...command.commands.map((child) => child.name()), ...options, "--help"]);
  for (const child of command.commands) collectWords(child, [...path, child.name()], words);
}

function bashScript(words: Map<string, string[]>): string {
  const cases = [...words].map(
    ([path, next]) => `    ${JSON.stringify(path)}) words=${JSON.stringify(next.join(" "))} ;;`,
  );
  return `_firebreak() {
  local path="" words="" word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in -*) ;; *) path="\${path:+$path }$word" ;; esac
  done
  case $path in
${cases.join("\n")}
    "vm "*) words=$(firebreak vm list --json 2>/dev/null | sed -n 's/^ *"name": "\\(.*\\)",*$/\\1/p') ;;
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
