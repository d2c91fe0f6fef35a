import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { dashboardFolder } from "../../src/platform/package-files.ts";

const folder = dashboardFolder();
const read = (name: string) => readFileSync(path.join(folder, name));
const page = read("index.html").toString();

/** Files that a script or style asks for without anybody going anywhere. */
function firstLoad(): Set<string> {
  const found = new Set<string>();
  const add = (name: string): void => {
    if (found.has(name)) return;
    found.add(name);
    const text = read(name).toString();
    if (name.endsWith(".js"))
      for (const [, file = ""] of text.matchAll(/\bfrom?\s*"\.\/([\w.-]+\.js)"/g)) add(`assets/${file}`);
    if (name.endsWith(".css"))
      for (const [, file = ""] of text.matchAll(/url\("?\/(assets\/[\w.-]+)/g)) found.add(file);
  };
  for (const [, name = ""] of page.matchAll(/(?:src|href)="\/([^"]+)"/g)) add(name);
  return found;
}

test("the first page is less than 300 KB on its way", () => {
  const names = [...firstLoad()];
  assert.ok(names.some((name) => name.endsWith(".js")) && names.some((name) => name.endsWith(".woff2")), String(names));
  const sizes = names.map((name) => (name.endsWith(".woff2") ? read(name).length : gzipSync(read(name)).length));
  const total = sizes.reduce((sum, size) => sum + size, gzipSync(page).length);
  assert.ok(total < 300_000, `${total} bytes: ${names.map((name, index) => `${name} ${sizes[index]}`).join(", ")}`);
});

test("what is built is there compressed, too, as it is", () => {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile() && /\.(js|css|html|svg)$/.test(file)) assert.ok(statSync(`${file}.gz`).size > 0, file);
  }
});

test("nothing that is built knows another host", () => {
  /** Names of vocabularies, and addresses within messages, which nobody asks for anything. */
  const names = /^https?:\/\/(www\.w3\.org|react\.dev|localhost|a|example\.com|github\.com\/xtermjs)\b/;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/\.(js|css|html|svg)$/.test(entry.name)) continue;
    const text = readFileSync(path.join(entry.parentPath, entry.name), "utf8");
    for (const [url] of text.matchAll(/\bhttps?:\/\/[\w.-]+[^\s"'`)\\]*/g)) assert.match(url, names, entry.name);
  }
});
