import { enableCompileCache } from "node:module";

// Before anything else is loaded: stripping and compiling are most of a short command's time.
enableCompileCache();
const { runCli } = await import("./program.ts");
process.exitCode = await runCli(process.argv.slice(2));
