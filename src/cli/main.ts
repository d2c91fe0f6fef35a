import { enableCompileCache } from "node:module";
import { compileCachePath } from "../platform/compile-cache.ts";
import "../platform/lean-zod.ts";

// Before anything else is loaded: stripping and compiling are most of a short command's time.
enableCompileCache(compileCachePath());
// A reader that has gone (`| head`) ends us as it ends any program; a session with a command in a VM listens for itself.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE" && process.stdout.listenerCount("error") === 1) process.exit(141);
});
const { runCli } = await import("./program.ts");
process.exitCode = await runCli(process.argv.slice(2));
