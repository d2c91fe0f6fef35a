/** Examples that a command's help ends with, by the command's words; commands with examples of their own beside them are not here. */
export const EXAMPLES: Record<string, string[]> = {
  "vm list": ["firebreak vm list", "firebreak vm list --json"],
  "vm get": ["firebreak vm get web"],
  "vm start": ["firebreak vm start web"],
  "vm stop": ["firebreak vm stop web", "firebreak vm stop web --time 30s"],
  "vm delete": ["firebreak vm delete web build", "firebreak vm delete --all"],
  "vm shell": ["firebreak vm shell web", "firebreak vm shell web --user nobody"],
  "vm execs": ["firebreak vm execs web"],
  "vm attach": ["firebreak vm attach web x6658e96f4840"],
  "vm kill": ["firebreak vm kill web x6658e96f4840 --time 10s"],
  "vm logs": ["firebreak vm logs web --tail 20", "firebreak vm logs web --follow"],
  "vm pause": ["firebreak vm pause web"],
  "vm resume": ["firebreak vm resume web"],
  "vm suspend": ["firebreak vm suspend web"],
  "vm fork": ["firebreak vm fork web", "firebreak vm fork web attempt-1 --disk 4G"],
  "snapshot create": ["firebreak snapshot create web ready"],
  "snapshot list": ["firebreak snapshot list", "firebreak snapshot list --json"],
  "snapshot get": ["firebreak snapshot get ready"],
  "snapshot restore": ["firebreak snapshot restore ready"],
  "snapshot fork": ["firebreak snapshot fork ready", "firebreak snapshot fork ready attempt-1 --disk 4G"],
  "snapshot delete": ["firebreak snapshot delete ready", "firebreak snapshot delete --all"],
  "template list": ["firebreak template list"],
  "template prune": ["firebreak template prune", "firebreak template prune --all"],
  "template delete": ["firebreak template delete d50fd62c90b1f5b4"],
  "image list": ["firebreak image list"],
  "image build": ["firebreak image build", "firebreak image build debian --force"],
  "serve mcp": ["claude mcp add firebreak -- firebreak serve mcp"],
  "daemon start": ["firebreak daemon start"],
  "daemon stop": ["firebreak daemon stop"],
  "daemon status": ["firebreak daemon status --json"],
  doctor: ["firebreak doctor"],
};

export function formatExamples(lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join("\n")}`;
}
