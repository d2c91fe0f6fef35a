import { mkdirSync, writeFileSync } from "node:fs";
import { writeReference } from "./reference/index.ts";

/** Writes docs/reference; a unit test compares it with the source. */
mkdirSync("docs/reference", { recursive: true });
for (const [name, text] of Object.entries(await writeReference())) writeFileSync(`docs/reference/${name}`, text);
