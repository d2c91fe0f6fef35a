/** What a `docker run` of an MCP client's file asks for. */
export interface ContainerCommand {
  image: string;
  /** Behind the image. */
  args: string[];
  /** `null`: the client's own value is passed on. */
  env: Record<string, string | null>;
  /** `/host:/inside:rw` */
  paths: string[];
  cwd?: string;
  entrypoint?: string;
  /** Options that mean nothing here. */
  ignored: string[];
}

/** Options of `docker run` and `podman run` that have a value behind them. */
const WITH_VALUE = new Set(
  "-e --env -v --volume --mount -w --workdir --entrypoint --name --network --net -p --publish -u --user -l --label --env-file --memory -m --cpus --platform --pull --add-host --hostname -h --restart --log-driver --ipc --pid --security-opt --cap-add --cap-drop --gpus --tmpfs --dns".split(
    " ",
  ),
);
/** What a VM is anyway. */
const SILENT = new Set(
  "-i --interactive -t --tty -it -ti --rm --init --name --pull --platform --restart --log-driver -d".split(" "),
);

/** Undefined for a command that is none. */
export function readContainerCommand(words: readonly string[]): ContainerCommand | undefined {
  const program = words[0]?.slice(words[0].lastIndexOf("/") + 1);
  if ((program !== "docker" && program !== "podman") || words[1] !== "run") return undefined;
  const found: ContainerCommand = { image: "", args: [], env: {}, paths: [], ignored: [] };
  let at = 2;
  for (; at < words.length; at++) {
    const word = words[at] as string;
    if (!word.startsWith("-")) break;
    const [option = "", inline] = word.startsWith("--") ? word.split(/=(.*)/s) : [word];
    const value = inline ?? (WITH_VALUE.has(option) ? words[++at] : undefined);
    addOption(found, option, value);
  }
  const [image, ...args] = words.slice(at);
  return image === undefined ? undefined : { ...found, image, args };
}

function addOption(found: ContainerCommand, option: string, value: string | undefined): void {
  if ((option === "-e" || option === "--env") && value !== undefined) {
    const [name = "", text] = value.split(/=(.*)/s);
    found.env[name] = text ?? null;
  } else if ((option === "-v" || option === "--volume") && value !== undefined) addVolume(found, option, value);
  else if (option === "--mount" && value !== undefined) addMount(found, option, value);
  else if ((option === "-w" || option === "--workdir") && value !== undefined) found.cwd = value;
  else if (option === "--entrypoint" && value !== undefined) found.entrypoint = value;
  else if (!SILENT.has(option)) found.ignored.push(value === undefined ? option : `${option} ${value}`);
}

function addVolume(found: ContainerCommand, option: string, value: string): void {
  const [host = "", inside, mode = "rw"] = value.split(":");
  const isPath = /^[./~$]/.test(host);
  if (!isPath || inside === undefined) found.ignored.push(`${option} ${value}`);
  else found.paths.push(`${host}:${inside}:${mode.split(",").includes("ro") ? "ro" : "rw"}`);
}

function addMount(found: ContainerCommand, option: string, value: string): void {
  const parts = new Map(value.split(",").map((part) => part.split(/=(.*)/s) as [string, string | undefined]));
  const host = parts.get("source") ?? parts.get("src");
  const inside = parts.get("target") ?? parts.get("destination") ?? parts.get("dst");
  const isReadOnly = parts.has("readonly") || parts.has("ro");
  if (parts.get("type") !== "bind" || host === undefined || inside === undefined)
    found.ignored.push(`${option} ${value}`);
  else found.paths.push(`${host}:${inside}:${isReadOnly ? "ro" : "rw"}`);
}
