import { spawn } from "node:child_process";

/** A program alone: what has arguments in it is for a shell, and none is here. */
const PROGRAM = /^[\w./+-]+$/;

/** Shows a URL in the browser of whoever sits here. Resolves to whether there is one: not over SSH, nor on a server. */
export function openBrowser(url: string, env: NodeJS.ProcessEnv = process.env): Promise<boolean> {
  const { BROWSER = "", DISPLAY = "", WAYLAND_DISPLAY = "" } = env;
  const program = PROGRAM.test(BROWSER) ? BROWSER : DISPLAY + WAYLAND_DISPLAY === "" ? undefined : "xdg-open";
  // A URL of another scheme, or an option, is no place to go.
  if (program === undefined || !/^https?:\/\//.test(url)) return Promise.resolve(false);
  return new Promise((resolve) => {
    const child = spawn(program, [url], { env, stdio: "ignore", detached: true });
    child.once("error", () => resolve(false));
    child.once("spawn", () => {
      child.unref();
      resolve(true);
    });
  });
}
