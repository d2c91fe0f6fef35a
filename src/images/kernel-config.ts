import { hashText } from "./digest.ts";

/** Kconfig symbols without their CONFIG_ and their values as .config writes them: y, m, a number, a quoted string; n for "not set". */
export type KernelConfig = Map<string, string>;

/** Parses a .config or a fragment of one. Throws a RangeError for a line that is neither a setting nor a comment, or a symbol that comes twice. */
export function parseKernelConfig(text: string): KernelConfig {
  const config: KernelConfig = new Map();
  for (const line of text.split("\n")) {
    const set = /^CONFIG_(\w+)=(.+)$/.exec(line);
    const unset = /^# CONFIG_(\w+) is not set$/.exec(line);
    const symbol = set?.[1] ?? unset?.[1];
    if (symbol === undefined) {
      if (line.trim() === "" || line.startsWith("#")) continue;
      throw new RangeError(`not a line of a kernel configuration: ${line}`);
    }
    if (config.has(symbol)) throw new RangeError(`CONFIG_${symbol} comes twice`);
    config.set(symbol, set?.[2] ?? "n");
  }
  return config;
}

/**
 * What a fragment wants and a finished .config does not have, as lines for people. Kconfig drops in silence what it does not
 * know or what lacks something it depends on.
 */
export function listUntaken(fragment: KernelConfig, config: KernelConfig): string[] {
  const untaken: string[] = [];
  for (const [symbol, wanted] of fragment) {
    const found = config.get(symbol) ?? "n";
    if (found !== wanted) untaken.push(`CONFIG_${symbol}=${wanted} (is ${found})`);
  }
  return untaken;
}

/** Digest of what a configuration sets; its comments and the order of its lines do not count. */
export function digestKernelConfig(config: KernelConfig): string {
  const lines = [...config].map(([symbol, value]) => `CONFIG_${symbol}=${value}\n`);
  return hashText(lines.sort().join(""));
}
