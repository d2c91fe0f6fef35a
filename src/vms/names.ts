import { randomInt } from "node:crypto";

const QUALITIES = [
  "amber",
  "brisk",
  "calm",
  "clear",
  "dry",
  "early",
  "fair",
  "fleet",
  "green",
  "keen",
  "light",
  "lucid",
  "mild",
  "neat",
  "quick",
  "quiet",
  "ready",
  "sharp",
  "steady",
  "swift",
  "tidy",
  "warm",
  "wide",
  "young",
];
const THINGS = [
  "aspen",
  "birch",
  "brook",
  "cedar",
  "clover",
  "dune",
  "elm",
  "fern",
  "field",
  "glade",
  "grove",
  "heath",
  "hill",
  "larch",
  "maple",
  "meadow",
  "moor",
  "moss",
  "oak",
  "pine",
  "ridge",
  "rowan",
  "stone",
  "willow",
];

/** A name for a VM that was given none, such as `calm-birch-42`, that is not taken. */
export function makeName(isTaken: (name: string) => boolean): string {
  while (true) {
    const name = `${QUALITIES[randomInt(QUALITIES.length)]}-${THINGS[randomInt(THINGS.length)]}-${randomInt(10, 1000)}`;
    if (!isTaken(name)) return name;
  }
}
