/**
 * Foreign text on a terminal or in a log must not move the cursor or set its title, nor turn the writing's direction round, which makes a name
 * look like another.
 */
export function stripControl(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, "\ufffd");
}

/** The same of a text of several lines, which stay lines, indented by tabs or not; each but the first begins with `indent`. */
export function stripLines(text: string, indent = ""): string {
  const stripLine = (line: string) => line.split("\t").map(stripControl).join("\t");
  return text.replaceAll("\r\n", "\n").split("\n").map(stripLine).join(`\n${indent}`);
}
