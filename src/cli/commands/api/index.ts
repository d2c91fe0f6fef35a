import type { Command } from "commander";
import { readVersion } from "../../../platform/package-files.ts";
import { printJson } from "../../output.ts";

export function addApiCommands(program: Command): void {
  const api = program.command("api").description("the daemon's HTTP API, for programs");
  api
    .command("openapi")
    .description("Print the API's OpenAPI 3.1 document. Starts no daemon; one that runs has it at /v1/openapi.json.")
    .action(async () => {
      const { describeApi } = await import("../../../contract/openapi.ts");
      printJson(describeApi(readVersion()));
    });
}
