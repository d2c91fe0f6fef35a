import { enableCompileCache } from "node:module";
import { compileCachePath } from "../platform/compile-cache.ts";

// Before anything else is loaded: stripping and compiling are most of a short command's time.
enableCompileCache(compileCachePath());
const { runCli } = await import("./program.ts");
process.exitCode = await runCli(process.argv.slice(2));
