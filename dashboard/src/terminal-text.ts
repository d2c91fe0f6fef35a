/** What is kept of an output, characters: its newest end. */
export const KEPT_CHARACTERS = 256 * 1024;
/** A line that is longer is cut: a browser lays out a text without a break for seconds. */
const MAX_LINE = 4_000;

/** Escape sequences of terminals: CSI, then OSC, DCS, SOS, PM and APC with their text, then those of two or three characters. */
const SEQUENCES =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are made of them
  /\u001b\[[0-?]*[ -/]*[@-~]|\u001b[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)?|\u001b[ -/]*[0-~]?/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is control characters that are taken out
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** The newest end of an output with what has come. */
export function appendOutput(kept: string, text: string): string {
  const whole = kept + text;
  return whole.length <= KEPT_CHARACTERS ? whole : whole.slice(-KEPT_CHARACTERS);
}

/** Lines of an output for people: without what only a terminal can do. */
export function plainOutput(raw: string): string {
  return raw.replace(SEQUENCES, "").replace(/\r+\n/g, "\n").split("\n").map(plainLine).join("\n");
}

/** What a carriage return writes over is gone, as on a terminal. */
function plainLine(line: string): string {
  const text = line.slice(line.replace(/\r+$/, "").lastIndexOf("\r") + 1).replace(CONTROLS, "");
  if (text.length <= MAX_LINE) return text;
  return `${text.slice(0, MAX_LINE)}… (${text.length - MAX_LINE} more characters in this line)`;
}
