import { FirebreakError } from "../../errors/firebreak-error.ts";

/** What a server's command comes to before it can run: a package that is installed once, in a build VM. */
export type InstallPlan =
  | { kind: "none"; argv: string[] }
  /** `spec` is what npm installs, `packageName` what that is called there; undefined when only npm knows. */
  | { kind: "npm"; spec: string; bin?: string; args: string[] }
  | { kind: "pypi"; spec: string; bin?: string; args: string[] };

/** Of npx and its like: those that take a value. */
const NPX_VALUES = new Set(["-p", "--package", "--registry", "--cache", "-c", "--call"]);
const UVX_VALUES = new Set(["--from", "--with", "-p", "--python", "--index-url", "--default-index", "--index"]);

/**
 * Reads a command line as people have it in their configuration: `npx -y PACKAGE`, `uvx PACKAGE`, `bunx`, `pnpm dlx`, `pipx run` and the like are installed; any other is
 * run as it is. Throws INVALID_ARGUMENT on options that have no meaning in a VM of its own.
 */
export function planInstall(command: readonly string[]): InstallPlan {
  const words = [...command];
  const program = (words[0] ?? "").split("/").at(-1) ?? "";
  const [, second, third] = words;
  if (program === "npx" || program === "bunx") return planNpx(words.slice(1));
  if ((program === "pnpm" || program === "yarn") && second === "dlx") return planNpx(words.slice(2));
  if (program === "bun" && second === "x") return planNpx(words.slice(2));
  if (program === "npm" && (second === "exec" || second === "x")) return planNpx(words.slice(2));
  if (program === "uvx") return planUvx(words.slice(1));
  if (program === "uv" && second === "tool" && third === "run") return planUvx(words.slice(3));
  if (program === "pipx" && second === "run") return planUvx(words.slice(2));
  if (program === "docker" || program === "podman")
    throw new FirebreakError("INVALID_ARGUMENT", `'${program} run' has no place in a VM of the server's own`, {
      hint: 'Name the image and the command instead: image = "…", command = ["…"]; firebreak image pull gets it.',
    });
  return { kind: "none", argv: words };
}

function planNpx(words: string[]): InstallPlan {
  let spec: string | undefined;
  while (words[0]?.startsWith("-")) {
    const [flag = "", value] = words[0].split(/=(.*)/s);
    words.shift();
    if (flag === "--") break;
    const taken = NPX_VALUES.has(flag) ? (value ?? words.shift()) : undefined;
    if (flag === "-p" || flag === "--package") {
      if (spec !== undefined) throw invalid("npx with more than one --package");
      spec = taken;
    } else if (flag === "-c" || flag === "--call") throw invalid("npx --call");
    else if (flag === "--registry")
      throw invalid("npx --registry; the build VM uses the registry that this host's npm uses");
  }
  const [first, ...args] = words;
  if (first === undefined) throw invalid("npx without a package");
  return spec === undefined
    ? { kind: "npm", spec: checkSpec(first), args }
    : { kind: "npm", spec: checkSpec(spec), bin: first, args };
}

function planUvx(words: string[]): InstallPlan {
  let spec: string | undefined;
  while (words[0]?.startsWith("-")) {
    const [flag = "", value] = words[0].split(/=(.*)/s);
    words.shift();
    if (flag === "--") break;
    const taken = UVX_VALUES.has(flag) ? (value ?? words.shift()) : undefined;
    if (flag === "--from") spec = taken;
    else if (flag === "--with") throw invalid("uvx --with");
    else if (/index/.test(flag)) throw invalid(`uvx ${flag}; the build VM uses the index that this host's pip uses`);
  }
  const [first, ...args] = words;
  if (first === undefined) throw invalid("uvx without a package");
  if (spec !== undefined) return { kind: "pypi", spec: checkSpec(spec), bin: first, args };
  // uvx PACKAGE@VERSION is PACKAGE==VERSION to everybody else.
  const [name = "", version] = first.split("@");
  return {
    kind: "pypi",
    spec: checkSpec(version === undefined || version === "latest" ? name : `${name}==${version}`),
    bin: name,
    args,
  };
}

/** What the installer takes for an option would be one. */
function checkSpec(spec: string): string {
  if (/^[A-Za-z0-9@][^\s\0]{0,512}$/.test(spec) && !spec.startsWith("file:") && !spec.startsWith("/")) return spec;
  throw invalid(`the package ${JSON.stringify(spec)}`);
}

function invalid(what: string): FirebreakError {
  return new FirebreakError("INVALID_ARGUMENT", `a server's command cannot be installed: ${what}`, {
    hint: "Give an image that has the server, with the command as it is in there; or a package by its name.",
  });
}
