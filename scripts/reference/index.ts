import { writeCliReference } from "./cli.ts";
import { writeHttpReference } from "./http.ts";
import { writeMcpReference } from "./mcp.ts";

/** The pages of docs/reference, by file name, as the source has them now. */
export async function writeReference(): Promise<Record<string, string>> {
  return { "http.md": writeHttpReference(), "cli.md": await writeCliReference(), "mcp.md": writeMcpReference() };
}
