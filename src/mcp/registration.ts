/** How one MCP client is told of the server. */
export interface ClientRegistration {
  client: string;
  /** A command that does it, or the file to put `text` into. */
  where: string;
  text?: string;
}

/** How each client registers `firebreak serve mcp`, by the program's absolute path: clients started from a desktop have no PATH of a shell. */
export function listRegistrations(program: string): ClientRegistration[] {
  const json = (value: unknown) => JSON.stringify(value);
  const command = { command: program, args: ["serve", "mcp"] };
  return [
    { client: "Claude Code", where: `claude mcp add --scope user firebreak -- ${quote(program)} serve mcp` },
    { client: "Codex", where: `codex mcp add firebreak -- ${quote(program)} serve mcp` },
    {
      client: "VS Code",
      where: "file .vscode/mcp.json",
      text: json({ servers: { firebreak: { type: "stdio", ...command } } }),
    },
    {
      client: "Cursor",
      where: "file .cursor/mcp.json or ~/.cursor/mcp.json",
      text: json({ mcpServers: { firebreak: command } }),
    },
    {
      client: "Gemini CLI",
      where: "file .gemini/settings.json or ~/.gemini/settings.json",
      text: json({ mcpServers: { firebreak: command } }),
    },
    {
      client: "opencode",
      where: "file opencode.json or ~/.config/opencode/opencode.json",
      text: json({ mcp: { firebreak: { type: "local", command: [program, "serve", "mcp"], enabled: true } } }),
    },
    {
      client: "Copilot CLI",
      where: "file ~/.copilot/mcp-config.json",
      text: json({ mcpServers: { firebreak: { type: "local", ...command, tools: ["*"] } } }),
    },
  ];
}

/** The same for a person at a terminal. */
export function describeRegistrations(program: string): string {
  const lines = [
    "This is an MCP server on stdin and stdout: an MCP client starts it. Register it once, by 'firebreak gen-config --client NAME --write' or yourself:",
    ...listRegistrations(program).flatMap(({ client, where, text }) => ["", `${client}: ${where}`, ...indent(text)]),
    "",
    "Each client then has the tools run_command, command_*, file_*, vm_* and snapshot_*; with '--toolsets all' behind 'serve mcp' it has all.",
    "State is shared with the firebreak command.",
    "For a daemon on another host, 'mcp-bridge --url URL' stands in place of 'serve mcp', with the key in FIREBREAK_API_KEY;",
    "or the client speaks HTTP with URL/mcp itself: firebreak mcp-bridge --help",
  ];
  return `${lines.join("\n")}\n`;
}

function indent(text: string | undefined): string[] {
  return text === undefined ? [] : text.split("\n").map((line) => `  ${line}`);
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
